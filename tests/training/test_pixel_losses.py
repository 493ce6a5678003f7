"""Losses of pixels: answers by hand or by a few lines of NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.training import pixel_losses as losses

X = 255  # what is left out


def gradient(function, logits):
    logits = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = tf.reduce_sum(function(logits))
    return np.array(tape.gradient(value, logits))


def test_sums_and_means_count_what_has_weight():
    values = np.array([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]], "float32")
    weights = np.array([[[1.0, 0], [0, 1]], [[0, 0], [0, 0]]], "float32")
    np.testing.assert_array_equal(losses.masked_sum(values, weights), [5, 0])
    np.testing.assert_array_equal(losses.masked_mean(values, weights), [2.5, 0])
    weights[0, 0, 0] = 3
    np.testing.assert_array_equal(losses.masked_mean(values, weights), [7 / 4, 0])


def test_infinity_without_weight_is_nothing():
    assert losses.masked_sum(np.array([[np.inf, 1]], "float32"), np.array([[0, 1.0]], "float32")).numpy() == [1]


def test_which_labels_are_valid():
    np.testing.assert_array_equal(losses.valid(np.array([[0, 1, X]], np.uint8)), [[1, 1, 0]])


def test_focal_loss_by_hand():
    # At a logit of 0 the probability is a half: 0.25 * 0.5² * ln 2 for a positive, three times that for a negative.
    found = np.array(losses.focal_loss(np.array([[1, 0, X]]), np.zeros((1, 3), "float32")))
    np.testing.assert_allclose(found, [[0.0625 * np.log(2), 0.1875 * np.log(2), 0]], rtol=1e-6)
    # gamma 0 and alpha 0.5: half of the cross-entropy. ln 3 is the logit of 3/4.
    found = np.array(losses.focal_loss(np.array([1, 0]), np.full(2, np.log(3), "float32"), alpha=0.5, gamma=0))
    np.testing.assert_allclose(found, [0.5 * np.log(4 / 3), 0.5 * np.log(4)], rtol=1e-6)


def test_focal_loss_at_the_extremes():
    labels, logits = np.array([1, 0, 1, 0, X]), np.array([1000, -1000, -1000, 1000, 1000], "float32")
    found = np.array(losses.focal_loss(labels, logits))
    np.testing.assert_allclose(found, [0, 0, 250, 750, 0])
    for gamma in (0.0, 0.5, 2.0):
        slope = gradient(lambda x, gamma=gamma: losses.focal_loss(labels, x, gamma=gamma), logits)
        np.testing.assert_allclose(slope, [0, 0, -0.25, 0.75, 0], atol=1e-6)


def test_focal_loss_refuses_what_makes_no_sense():
    for settings, text in (
        ({"alpha": 1.5}, "alpha must be between 0 and 1, got 1.5."),
        ({"gamma": -1}, "gamma must not be negative, got -1."),
    ):
        with pytest.raises(ValueError) as error:
            losses.focal_loss(np.zeros(1), np.zeros(1), **settings)
        assert str(error.value) == text


def test_pixel_cross_entropy_against_numpy():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(2, 5, 4, 2)).astype("float32")
    labels = generator.choice([0, 1, X], (2, 5, 4)).astype("uint8")
    chance = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    wanted = np.where(labels == 1, -np.log(chance[..., 1]), -np.log(chance[..., 0])) * (labels != X)
    np.testing.assert_allclose(losses.pixel_cross_entropy(labels, logits), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(losses.softmax_loss(labels, logits), wanted.sum(axis=(1, 2)), rtol=1e-5)
    counted = (labels != X).sum(axis=(1, 2))
    found = losses.softmax_loss(labels, logits, normalised=True)
    np.testing.assert_allclose(found, wanted.sum(axis=(1, 2)) / counted, rtol=1e-5)


def test_the_ring_of_a_concentric_label_does_not_count():
    # About the middle of 9x9 px: 9 pixels within 1.5 px, 29 within 3 px (x² + y² <= 9), so 52 beyond.
    y, x = np.mgrid[:9, :9] - 4
    far = np.hypot(y, x)
    labels = np.where(far <= 1.5, 1, np.where(far <= 3, X, 0)).astype("uint8")[None]
    assert (labels == 1).sum() == 9 and (labels == X).sum() == 20
    flat = np.zeros((1, 9, 9, 2), "float32")
    np.testing.assert_allclose(losses.concentric_loss(labels, flat), [(81 - 20) * np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(losses.concentric_loss(labels, flat, normalised=True), [np.log(2)], rtol=1e-6)
    slope = gradient(lambda logits: losses.concentric_loss(labels, logits), flat)[0]
    assert (slope[labels[0] == X] == 0).all()
    np.testing.assert_allclose(slope[labels[0] == 1], np.tile([0.5, -0.5], (9, 1)))
    np.testing.assert_allclose(slope[labels[0] == 0], np.tile([-0.5, 0.5], (52, 1)))


def test_softmax_loss_at_the_extremes():
    labels = np.array([[[1, 0, X]]])
    right = np.array([[[[-1000, 1000], [1000, -1000], [1000, -1000]]]], "float32")
    np.testing.assert_array_equal(losses.softmax_loss(labels, right), [0])
    np.testing.assert_array_equal(losses.softmax_loss(labels, -right), [4000])
    nothing = np.full((1, 2, 2), X)
    assert np.array(losses.concentric_loss(nothing, np.ones((1, 2, 2, 2)), normalised=True)) == [0]


def test_dice_loss_by_hand():
    # Half a chance at four pixels, one of them true, one left out: 1 - (2 * 0.5 + 1) / (1.5 + 1 + 1).
    found = losses.dice_loss(np.array([[[1, 0], [0, X]]]), np.zeros((1, 2, 2), "float32"))
    np.testing.assert_allclose(found, [1 - 2 / 3.5], rtol=1e-6)
    empty, full = np.zeros((1, 4, 4)), np.ones((1, 4, 4))
    sure = np.full((1, 4, 4), 1000, "float32")
    np.testing.assert_allclose(losses.dice_loss(empty, -sure), [0], atol=1e-6)
    np.testing.assert_allclose(losses.dice_loss(full, sure), [0], atol=1e-6)
    np.testing.assert_allclose(losses.dice_loss(full, -sure), [1 - 1 / 17], rtol=1e-6)
    np.testing.assert_allclose(losses.dice_loss(empty, sure), [1 - 1 / 17], rtol=1e-6)
    with pytest.raises(ValueError, match="smooth must be above 0, got 0"):
        losses.dice_loss(empty, sure, smooth=0)


def test_losses_take_half_precision_and_give_single():
    labels = np.ones((1, 2, 2), "uint8")
    logits = keras.ops.zeros((1, 2, 2), "bfloat16")
    assert losses.focal_loss(labels, logits).dtype == "float32"
    assert losses.dice_loss(labels, logits).dtype == "float32"
    assert losses.pixel_cross_entropy(labels, keras.ops.zeros((1, 2, 2, 2), "bfloat16")).dtype == "float32"
