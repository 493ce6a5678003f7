"""The spatial transformer's sampler and the sign of theta."""

import math

import keras
import numpy as np
import tensorflow as tf

from mitozoo.models.layers.sampler import AffineSampler


def by_hand(image: np.ndarray, theta: np.ndarray, out_px: int) -> np.ndarray:
    """The same in plain loops; points outside take the nearest edge pixel."""
    height, width, _ = image.shape
    out = np.zeros((out_px, out_px, image.shape[2]))
    for row in range(out_px):
        for column in range(out_px):
            grid = np.array([(2 * column + 1) / out_px - 1, (2 * row + 1) / out_px - 1, 1.0])
            x, y = theta @ grid
            px = min(max((x + 1) * width / 2 - 0.5, 0), width - 1)
            py = min(max((y + 1) * height / 2 - 0.5, 0), height - 1)
            x0, y0 = min(int(px), width - 2), min(int(py), height - 2)
            wx, wy = px - x0, py - y0
            out[row, column] = (
                image[y0, x0] * (1 - wx) * (1 - wy)
                + image[y0, x0 + 1] * wx * (1 - wy)
                + image[y0 + 1, x0] * (1 - wx) * wy
                + image[y0 + 1, x0 + 1] * wx * wy
            )
    return out


def test_equals_plain_loops_for_any_transform():
    generator = np.random.default_rng(0)
    images = generator.random((4, 20, 24, 3)).astype("float32")
    theta = generator.normal(0, 0.6, (4, 2, 3)).astype("float32")
    found = np.asarray(AffineSampler(7)(images, theta))
    for image, matrix, patch in zip(images, theta, found, strict=True):
        np.testing.assert_allclose(patch, by_hand(image, matrix, 7), atol=1e-5)


def test_scale_one_half_is_two_by_two_means_of_the_middle():
    image = np.random.default_rng(1).random((1, 128, 128, 3)).astype("float32")
    theta = np.array([[[0.5, 0, 0], [0, 0.5, 0]]], "float32")
    patch = np.asarray(AffineSampler(32)(image, theta))[0]
    middle = image[0, 32:96, 32:96]
    np.testing.assert_allclose(patch, middle.reshape(32, 2, 32, 2, 3).mean((1, 3)), atol=1e-6)


def test_positive_shift_looks_right_and_down():
    image = np.zeros((1, 128, 128, 1), "float32")
    image[0, 70:90, 90:110] = 1.0  # centre x 99.5, y 79.5
    theta = np.array([[[0.5, 0, (99.5 - 63.5) / 64], [0, 0.5, (79.5 - 63.5) / 64]]], "float32")
    patch = np.asarray(AffineSampler(32)(image, theta))[0, :, :, 0]
    rows, columns = np.mgrid[:32, :32]
    assert math.isclose((patch * columns).sum() / patch.sum(), 15.5, abs_tol=0.01)
    assert math.isclose((patch * rows).sum() / patch.sum(), 15.5, abs_tol=0.01)


def test_gradient_for_the_transform_agrees_with_finite_differences():
    line = np.linspace(0, 3, 16)
    image = (np.sin(line)[:, None] * np.cos(line)[None])[None, :, :, None].astype("float32")
    start = np.array([[[0.5, 0.1, 0.05], [-0.1, 0.45, -0.02]]], "float32")
    layer = AffineSampler(5)

    def total(theta):
        return tf.reduce_sum(tf.square(layer(image, theta)))

    theta = tf.Variable(start)
    with tf.GradientTape() as tape:
        value = total(theta)
    gradient = tape.gradient(value, theta).numpy()
    step = 1e-3
    for index in np.ndindex(start.shape):
        high, low = start.copy(), start.copy()
        high[index] += step
        low[index] -= step
        slope = (float(total(tf.constant(high))) - float(total(tf.constant(low)))) / (2 * step)
        assert math.isclose(gradient[index], slope, rel_tol=0.05, abs_tol=0.02), index


def test_no_number_gives_no_number_and_no_error():
    image = np.ones((2, 8, 8, 3), "float32")
    theta = np.array([[[0.5, 0, 0], [0, 0.5, 0]], [[0.5, 0, np.nan], [0, 0.5, 0]]], "float32")
    patch = np.asarray(AffineSampler(4)(image, theta))
    np.testing.assert_array_equal(patch[0], np.ones((4, 4, 3)))
    assert np.isnan(patch[1]).all()


def test_far_outside_is_the_corner():
    image = np.arange(16, dtype="float32").reshape(1, 4, 4, 1)
    theta = np.array([[[0.5, 0, 1e30], [0, 0.5, -np.inf]]], "float32")
    np.testing.assert_array_equal(np.asarray(AffineSampler(2)(image, theta)).ravel(), [3, 3, 3, 3])


def test_half_precision_does_not_move_the_place():
    image = np.random.default_rng(2).random((1, 128, 128, 3)).astype("float32")
    # In bfloat16 the shift would be 0.330078, which is 0.16 px off.
    theta = np.array([[[0.5, 0, 0.3325], [0, 0.5, 0]]], "float32")
    exact = np.asarray(AffineSampler(32)(image, theta))
    half = np.asarray(AffineSampler(32, dtype="mixed_bfloat16")(image, theta)).astype("float32")
    np.testing.assert_allclose(half, exact, atol=2**-8)


def test_saves_its_setting():
    layer = AffineSampler(9)
    assert keras.layers.deserialize(keras.layers.serialize(layer)).out_px == 9
