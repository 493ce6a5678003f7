"""RoIAlign against loops in NumPy."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.models.layers.rcnn.roi_align import RoiAlign, level_of, roi_align

STRIDES = (4, 8, 16, 32)


def bilinear(image, x, y):
    """Sample at a place between positions, the nearest edge outside."""
    x, y = min(max(x, 0), image.shape[1] - 1), min(max(y, 0), image.shape[0] - 1)
    left, top = int(x), int(y)
    right, bottom = min(left + 1, image.shape[1] - 1), min(top + 1, image.shape[0] - 1)
    upper = image[top, left] * (1 - x + left) + image[top, right] * (x - left)
    lower = image[bottom, left] * (1 - x + left) + image[bottom, right] * (x - left)
    return upper * (1 - y + top) + lower * (y - top)


def by_loops(levels, box, size, samples=2):
    x1, y1, x2, y2 = box
    level = min(max(math.floor(4 + math.log2(math.sqrt((x2 - x1) * (y2 - y1)) / 224)) - 2, 0), 3)
    stride, out = STRIDES[level], np.zeros((size, size, levels[0].shape[-1]))
    for row in range(size):
        for column in range(size):
            for i in range(samples):
                for j in range(samples):
                    x = x1 + (column + (j + 0.5) / samples) / size * (x2 - x1)
                    y = y1 + (row + (i + 0.5) / samples) / size * (y2 - y1)
                    # The centre of position 0 lies half a stride inside the tile.
                    out[row, column] += bilinear(levels[level], x / stride - 0.5, y / stride - 0.5) / samples**2
    return out


def pyramid(generator, tiles=2, height=512, width=384, channels=3):
    return [generator.normal(size=(tiles, height // s, width // s, channels)).astype("float32") for s in STRIDES]


def test_all_levels_are_as_by_loops():
    generator = np.random.default_rng(0)
    levels = pyramid(generator)
    boxes = np.array(
        [
            [[10, 20, 42, 52], [3.3, 1.7, 30.1, 60.9], [100, 100, 250, 230], [0, 0, 384, 512]],
            # At the edges, where positions outside count as the nearest.
            [[0, 0, 20, 20], [364, 492, 384, 512], [50, 50, 300, 290], [384, 0, 384, 0.5]],
        ],
        "float32",
    )
    for size in (7, 14):
        found = np.array(roi_align(levels, boxes, size=size, strides_px=STRIDES))
        for tile in range(2):
            for number, box in enumerate(boxes[tile][:3]):
                wanted = by_loops([level[tile] for level in levels], box, size)
                np.testing.assert_allclose(found[tile, number], wanted, atol=1e-4)
    np.testing.assert_allclose(found[0, 3], by_loops([level[0] for level in levels], boxes[0, 3], 14), atol=1e-4)
    assert np.isfinite(found).all()


def test_a_slope_stays_a_slope():
    # Positions hold the x of their centre, so each bin holds the x of its own.
    levels = [
        np.broadcast_to((np.arange(256 // s) + 0.5)[None, None, :, None] * s, (1, 8, 256 // s, 5)) for s in STRIDES
    ]
    found = roi_align([level.astype("float32") for level in levels], np.array([[[40, 8, 68, 36.0]]], "float32"), size=7,
                      strides_px=STRIDES)  # fmt: skip
    np.testing.assert_allclose(found[0, 0, :, :, 4], np.tile(np.arange(42, 68, 4.0), (7, 1)), rtol=1e-5)


@pytest.mark.parametrize(
    ("side", "level"), [(0, 0), (16, 0), (111, 0), (112, 1), (223, 1), (224, 2), (447, 2), (448, 3), (2000, 3)]
)
def test_the_level_of_a_square(side, level):
    assert int(level_of(np.array([[[5, 5, 5 + side, 5 + side]]], "float32"), STRIDES)[0, 0]) == level


def test_the_level_goes_by_the_area_and_none_is_the_first():
    boxes = np.array([[[0, 0, 56, 224], [0, 0, 57, 896], [-1, -1, -1, -1]]], "float32")
    assert np.array(level_of(boxes, STRIDES)).tolist() == [[1, 2, 0]]


def test_the_layer_gives_features_a_gradient_and_works_in_a_graph():
    layer = RoiAlign(2, STRIDES)
    levels = [tf.Variable(level) for level in pyramid(np.random.default_rng(1), tiles=1, height=64, width=64)]
    boxes = tf.constant([[[8, 8, 24, 24.0], [0, 0, 16, 16]]])
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(list(levels), boxes))
    gradient = tape.gradient(total, levels)
    # Every sample's weights add up to 1: two boxes of 2 x 2 bins and three channels, all from the first level.
    assert float(tf.reduce_sum(tf.convert_to_tensor(gradient[0]))) == pytest.approx(2 * 4 * 3, rel=1e-5)
    assert all(g is None or float(tf.reduce_sum(tf.abs(tf.convert_to_tensor(g)))) == 0 for g in gradient[1:])
    graph = tf.function(layer)
    np.testing.assert_allclose(graph(list(levels), boxes), layer(list(levels), boxes), atol=1e-6)


def test_the_layer_is_saved_with_its_settings():
    again = RoiAlign.from_config(RoiAlign(7, STRIDES).get_config())
    shapes = [keras.KerasTensor((None, 64 // s, 64 // s, 6)) for s in STRIDES]
    assert again(shapes, keras.KerasTensor((None, 9, 4))).shape == (None, 9, 7, 7, 6)
