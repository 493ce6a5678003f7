"""Anchors against loops."""

import keras
import numpy as np

from mitozoo.models.layers.rcnn.anchors import STRIDES_PX, anchors_of


def by_loops(tile_px, size, ratios, stride):
    boxes = []
    for row in range(tile_px[0] // stride):
        for column in range(tile_px[1] // stride):
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            for ratio in ratios:
                width, height = size * ratio**0.5, size / ratio**0.5
                boxes.append([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
    return boxes


def test_anchors_are_those_of_loops():
    found = anchors_of((64, 96), (32, 64, 128, 256), (0.5, 1, 2), STRIDES_PX)
    assert [len(level) for level in found] == [16 * 24 * 3, 8 * 12 * 3, 4 * 6 * 3, 2 * 3 * 3]
    for level, size, stride in zip(found, (32, 64, 128, 256), STRIDES_PX, strict=True):
        np.testing.assert_allclose(level, by_loops((64, 96), size, (0.5, 1, 2), stride), atol=1e-4)


def test_half_precision_does_not_round_them():
    wanted = anchors_of((512, 512), (32,), (0.5,), (4,))[0]
    keras.config.set_dtype_policy("mixed_float16")
    try:
        np.testing.assert_array_equal(anchors_of((512, 512), (32,), (0.5,), (4,))[0], wanted)
    finally:
        keras.config.set_dtype_policy("float32")
