"""Losses against values worked out by hand."""

import math

import numpy as np
import pytest
import tensorflow as tf

from mitozoo.training.losses import cross_entropy, guided_loss, heat_loss, heat_truth, localization_loss, safe_norm


def truth(x=0.0, y=0.0, scale=0.5):
    return np.array([[[scale, 0, x], [0, scale, y]]], "float32")


def test_cross_entropy_of_equal_logits_is_log_of_classes():
    np.testing.assert_allclose(cross_entropy([0, 2], np.zeros((2, 3), "float32")), [math.log(3)] * 2, rtol=1e-6)


def test_cross_entropy_at_extreme_logits_is_exact():
    logits = np.array([[1000.0, -1000.0, 0.0]] * 3, "float32")
    np.testing.assert_allclose(cross_entropy([0, 1, 2], logits), [0.0, 2000.0, 1000.0], rtol=1e-6)


def test_truth_has_no_localization_loss():
    assert float(localization_loss(truth(0.3, -0.2), truth(0.3, -0.2))[0]) == 0.0


@pytest.mark.parametrize("degrees", [30, 90, 200])
def test_rotation_is_free(degrees):
    angle = math.radians(degrees)
    turned = np.array(
        [[[0.5 * math.cos(angle), -0.5 * math.sin(angle), 0], [0.5 * math.sin(angle), 0.5 * math.cos(angle), 0]]],
        "float32",
    )
    assert float(localization_loss(truth(), turned)[0]) < 1e-12


@pytest.mark.parametrize(
    ("theta", "loss"),
    [
        ([[0.5, 0, 0.3], [0, 0.5, 0]], 0.09),  # place: 0.3²
        ([[0.5, 0, 0.3], [0, 0.5, -0.4]], 0.25),  # 0.3² + 0.4²
        ([[0.8, 0, 0], [0, 0.8, 0]], 0.18),  # both scales: 2 · 0.3²
        ([[0.5, 0, 0], [0, -0.5, 0]], 1.0),  # mirrored: (0.5 + 0.5)²
        ([[0.3, 0.4, 0], [0.4, 0.3, 0]], 0.64),  # scales 0.5 and 0.5; (0.4 + 0.4)²
        ([[0, 0, 0], [0, 0, 0]], 0.5),  # both scales: 2 · 0.5²
    ],
)
def test_localization_loss_by_hand(theta, loss):
    assert float(localization_loss(truth(), np.array([theta], "float32"))[0]) == pytest.approx(loss, abs=1e-6)


def test_gradient_is_zero_not_missing_where_the_linear_part_is_zero():
    theta = tf.Variable(np.zeros((1, 2, 3), "float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(localization_loss(truth(), theta))
    np.testing.assert_array_equal(tape.gradient(loss, theta).numpy(), np.zeros((1, 2, 3)))


def test_gradient_of_the_norm_is_the_direction():
    a, b = tf.Variable([3.0]), tf.Variable([4.0])
    with tf.GradientTape() as tape:
        norm = safe_norm(a, b)
    assert norm.numpy()[0] == 5.0
    assert [g.numpy()[0] for g in tape.gradient(norm, [a, b])] == pytest.approx([0.6, 0.8])


def test_gradients_agree_with_finite_differences():
    start = np.array([[[0.6, 0.2, 0.1], [-0.1, 0.4, -0.3]]])
    theta = tf.Variable(start.astype("float32"))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(localization_loss(truth(0.2, 0.2), theta))
    gradient = tape.gradient(loss, theta).numpy()

    def exact(matrix):
        (t1, t2, tx), (t3, t4, ty) = matrix[0]
        sizes = (np.hypot(t1, t3) - 0.5) ** 2 + (np.hypot(t2, t4) - 0.5) ** 2
        return (tx - 0.2) ** 2 + (ty - 0.2) ** 2 + sizes + (t1 - t4) ** 2 + (t2 + t3) ** 2

    assert float(loss) == pytest.approx(exact(start), rel=1e-5)
    for index in np.ndindex(start.shape):
        step = np.zeros_like(start)
        step[index] = 1e-6
        slope = (exact(start + step) - exact(start - step)) / 2e-6
        assert gradient[index] == pytest.approx(slope, abs=1e-5), index


def test_gradient_at_extreme_logits_is_probability_less_truth():
    logits = tf.constant([[1000.0, -1000.0, 1000.0]])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        loss = tf.reduce_sum(cross_entropy([1], logits))
    assert float(loss) == pytest.approx(2000 + math.log(2))
    np.testing.assert_allclose(tape.gradient(loss, logits), [[0.5, -1, 0.5]])


def test_losses_are_one_value_a_sample():
    theta = np.concatenate([truth(), truth(0.1)])
    loss = guided_loss(truth().repeat(2, 0), theta, [0, 0], np.array([[0.0, 0], [1000, -1000]], "float32"), kappa=1.0)
    np.testing.assert_allclose(loss, [math.log(2), 0.01], rtol=1e-5)


def test_guided_loss_adds_kappa_times_the_class():
    theta = np.array([[[0.5, 0, 0.3], [0, 0.5, 0]]], "float32")
    loss = guided_loss(truth(), theta, [1], np.zeros((1, 3), "float32"), kappa=0.2)
    assert float(loss[0]) == pytest.approx(0.09 + 0.2 * math.log(3), rel=1e-6)


def test_negative_kappa_is_refused():
    with pytest.raises(ValueError, match="kappa must not be negative, got -1."):
        guided_loss(truth(), truth(), [0], np.zeros((1, 3), "float32"), kappa=-1)


def test_label_smoothing_by_hand():
    # Logits 0 and log 3: probabilities 1/4 and 3/4. Truth 1 with a fifth shared: 0.1 and 0.9.
    found = cross_entropy(np.array([1]), np.array([[0.0, np.log(3)]]), smoothing=0.2)
    np.testing.assert_allclose(found, [-0.1 * np.log(0.25) - 0.9 * np.log(0.75)], rtol=1e-6)


def test_heat_loss_by_hand():
    truth = np.array([[[1.0, 0.5], [0.0, 0.0]]])
    logits = np.array([[[0.0, np.log(3)], [-np.log(3), -1000.0]]])
    # At the cell p = 1/2: 1/4 ln 2. Beside it p = 3/4, half off: 1/16 * 9/16 * ln 4.
    # Background p = 1/4: 1/16 * ln(4/3).
    wanted = 0.25 * np.log(2) + (1 / 16) * (9 / 16) * np.log(4) + (1 / 16) * np.log(4 / 3)
    np.testing.assert_allclose(heat_loss(truth, logits), [wanted], rtol=1e-6)
    extreme = heat_loss(np.array([[[1.0, 0.0]]]), np.array([[[-1000.0, 1000.0]]]))
    np.testing.assert_allclose(extreme, [2000.0])


def test_heat_truth_by_hand():
    # Positions at 3.5, 11.5, 19.5, 27.5 px; the cell at x 12, y 4 is nearest to column 1, row 0.
    x, y = np.array([12.0, 12.0], "float32"), np.array([4.0, 4.0], "float32")
    found = np.asarray(heat_truth(x, y, np.array([True, False]), side=4, stride_px=8))
    assert found[0, 0, 1] == 1 and (found[0] == 1).sum() == 1
    np.testing.assert_allclose(found[0, 2, 3], np.exp(-(15.5**2 + 15.5**2) / 128), rtol=1e-5)
    assert not found[1].any()
