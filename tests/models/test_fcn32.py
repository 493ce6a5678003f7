"""FCN-32s, alone (segmitos) and as a branch: parameters by hand, where it looks, and how it is enlarged."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from counts import fcn32, mobilenet, vgg16
from symbolic import parameters

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.models import registry
from mitozoo.models.layers.fcn32 import build_fcn32

SLIM = {"encoder": "mobilenet", "width": 48}


def test_parameters_by_hand():
    assert parameters("segmitos") == registry.spec("segmitos").params == vgg16() + fcn32(512, 4096) == 134_268_738
    assert parameters("segmitos", **SLIM) == mobilenet() + fcn32(1024, 48)
    assert mobilenet() == 3_228_864  # Keras' own MobileNet without its top
    assert 2 * parameters("segmitos", **SLIM) <= 12e6


def test_segmitos_is_its_concentric_branch():
    model = registry.build("segmitos", encoder="vgg16", width=4)
    image = np.random.default_rng(0).random((1, 64, 96, 3)).astype("float32")
    found = model(image)["concentric"]
    assert found.shape == (1, 64, 96, 2)
    np.testing.assert_array_equal(found, model.get_layer("concentric")(image))


def with_scores(values):
    """A network whose scores of class 1 are given, position by position, whatever it sees."""
    model = build_fcn32("mobilenet", width=2, alpha=0.25)
    upsample = model.get_layer("upsample")
    return upsample(tf.constant(np.stack([0 * values, values], axis=-1)[None], tf.float32))[0, ..., 1].numpy()


def test_scores_are_enlarged_32_times_about_the_middle_of_their_pixels():
    values = np.random.default_rng(1).normal(size=(3, 5)).astype("float32")
    found = with_scores(values)
    np.testing.assert_allclose(found, cv2.resize(values, (160, 96), interpolation=cv2.INTER_LINEAR), atol=1e-5)
    # By hand: half way between the first two positions, at pixel 31.5, lies their mean; the first counts to the edge.
    np.testing.assert_allclose(found[0, 31:33].mean(), values[0, :2].mean(), rtol=1e-5)
    np.testing.assert_allclose(found[:16, :16], np.full((16, 16), values[0, 0]), rtol=1e-6)


def averaging(encoder):
    """What the encoder gives of a field, every kernel of it taking a weighted mean."""
    model = build_fcn32(encoder, width=2, alpha=0.25)
    for weight in model.get_layer(encoder).weights:
        if weight.name == "kernel":
            depthwise = weight.shape[-1] == 1
            total = np.abs(weight.numpy()).sum(axis=(0, 1) if depthwise else (0, 1, 2), keepdims=True)
            weight.assign(np.abs(weight.numpy()) / total)
    return keras.Model(model.input, model.get_layer("fc6").input)


def test_a_position_of_vgg16_looks_at_212_px_about_its_middle():
    # Position 5 stands for the pixels 160 to 191: from 175.5 it sees 106 px to each side.
    seen = averaging("vgg16")
    columns = np.ones((5, 32, 352, 3), "float32")
    for number, column in enumerate((69, 70, 281, 282), start=1):
        columns[number, :, column] = 1e4
    without, *found = seen(columns)[:, 0, 5].numpy()
    assert [bool((values > without).any()) for values in found] == [False, True, True, False]


def test_a_position_of_mobilenet_looks_at_315_px_about_its_middle():
    # An odd number of pixels has its middle at one: 175 of 175.5. Without the shift it would be 191.
    seen, line = averaging("mobilenet"), tf.ones((1, 32, 384, 3))
    with tf.GradientTape() as tape:
        tape.watch(line)
        position = tf.reduce_sum(seen(line)[0, 0, 5])
    columns = np.flatnonzero(np.abs(tape.gradient(position, line)[0].numpy()).sum(axis=(0, 2)))
    assert (columns.min(), columns.max()) == (175 - 157, 175 + 157)


def test_a_fresh_network_gives_the_prior():
    model = build_fcn32("mobilenet", width=2, alpha=0.25, prior=0.02)
    model.get_layer("score").kernel.assign(np.zeros((1, 1, 2, 2)))
    logits = model(np.ones((1, 32, 32, 3), "float32")).numpy()
    chance = np.exp(logits[..., 1]) / np.exp(logits).sum(axis=-1)
    np.testing.assert_allclose(chance, np.full((1, 32, 32), 0.02), rtol=1e-5)


def test_what_makes_no_sense():
    with pytest.raises(UnknownNameError) as error:
        registry.build("segmitos", encoder="vgg61")
    assert str(error.value) == "No encoder named 'vgg61'. Did you mean 'vgg16'?"
    with pytest.raises(RecipeError, match="between 0 and 1, not 0"):
        registry.build("segmitos", encoder="mobilenet", width=2, prior=0)
