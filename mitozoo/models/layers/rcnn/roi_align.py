"""Features of regions, cut out of the right level of the pyramid."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

#: A box of the side of an ImageNet image goes to P4, one of half the side to P3 …
_SIDE_PX, _SIDE_LEVEL = 224.0, 4


def level_of(boxes, strides_px: Sequence[int]):
    """Which level each box is cut out of: int32 (B, R), 0 for the first.

    Source: Lin et al. 2017, arXiv:1612.03144, Eq. 1.
    """
    size = ops.maximum(boxes[..., 2:] - boxes[..., :2], 1.0)
    side = ops.sqrt(size[..., 0] * size[..., 1])
    # A little more, so that a box of just the side is not thrown to the level below by rounding.
    level = ops.floor(_SIDE_LEVEL + ops.log(side / _SIDE_PX) / np.log(2.0) + 1e-4)
    first = int(np.log2(strides_px[0]))
    return ops.cast(ops.clip(level - first, 0, len(strides_px) - 1), "int32")


def roi_align(features, boxes, *, size: int, strides_px: Sequence[int], samples: int = 2):
    """Features of boxes, each bin the mean of samples x samples bilinear samples.

    Args: features, a list of (B, h, w, C), one a level, h and w known; boxes (B, R, 4) in pixels of the tile; size,
    bins a side; strides_px of the levels; samples a bin and side.
    Returns: (B, R, size, size, C). Outside a level the nearest position at its edge counts.
    Source: He et al. 2017, arXiv:1703.06870, section 3.
    """
    heights, widths = ([level.shape[axis] for level in features] for axis in (1, 2))
    counts = [height * width for height, width in zip(heights, widths, strict=True)]
    channels = features[0].shape[-1]
    rows = [ops.reshape(level, (-1, n, channels)) for level, n in zip(features, counts, strict=True)]
    flat = ops.reshape(ops.concatenate(rows, axis=1), (-1, channels))
    level = level_of(boxes, strides_px)

    def by_level(values, dtype: str = "int32"):
        return ops.take(ops.convert_to_tensor(np.array(values, dtype)), level, axis=0)[:, :, None]

    stride = by_level(strides_px, "float32")
    bins = size * samples
    line = (ops.arange(bins, dtype="float32") + 0.5) / bins

    def places(low, high, limits):
        """Position before and after each sample, and the share of the one after: (B, R, bins) each."""
        place = (low[..., None] + line * (high - low)[..., None]) / stride - 0.5
        last = by_level(np.array(limits) - 1)
        place = ops.clip(place, 0.0, ops.cast(last, "float32"))
        before = ops.cast(ops.floor(place), "int32")
        return before, ops.minimum(before + 1, last), place - ops.cast(before, "float32")

    left, right, share_x = places(boxes[..., 0], boxes[..., 2], widths)
    top, bottom, share_y = places(boxes[..., 1], boxes[..., 3], heights)
    tile = ops.cast(ops.arange(ops.shape(boxes)[0]), "int32")[:, None, None] * sum(counts)
    base = tile + by_level(np.cumsum([0, *counts[:-1]]))
    width = by_level(widths)

    def corner(y, x, weight_y, weight_x):
        index = (base + y * width)[:, :, :, None] + x[:, :, None, :]
        weight = ops.cast((weight_y[:, :, :, None] * weight_x[:, :, None, :])[..., None], flat.dtype)
        value = ops.take(flat, index, axis=0) * weight
        shape = (-1, boxes.shape[1], size, samples, size, samples, channels)
        return ops.mean(ops.reshape(value, shape), axis=(3, 5))

    return (
        corner(top, left, 1 - share_y, 1 - share_x)
        + corner(top, right, 1 - share_y, share_x)
        + corner(bottom, left, share_y, 1 - share_x)
        + corner(bottom, right, share_y, share_x)
    )


@keras.saving.register_keras_serializable(package="mitozoo")
class RoiAlign(keras.layers.Layer):
    """`roi_align` as a layer, from a list of features and boxes (B, R, 4) to (B, R, size, size, C).

    Not KerasCV's _ROIAligner: it gathers from its flattened features without an axis, and so fails for more than one
    channel ("Input to reshape is a tensor with 16 values, but the requested shape has 128" for one box, two bins a side
    and eight channels); it also leaves out the half position by which the centre of position 0 lies inside the tile.
    """

    def __init__(self, size: int, strides_px: Sequence[int], **kwargs) -> None:
        """Args: size, bins a side; strides_px of the levels."""
        # Boxes come as they are: in half precision they are up to half a pixel off.
        super().__init__(**{"autocast": False} | kwargs)
        self.size, self.strides_px = size, tuple(strides_px)

    def call(self, features, boxes):
        """Cut out."""
        return ops.cast(roi_align(features, boxes, size=self.size, strides_px=self.strides_px), self.compute_dtype)

    def compute_output_shape(self, features_shape, boxes_shape):
        """Shape of the output."""
        return (*boxes_shape[:2], self.size, self.size, features_shape[0][-1])

    def get_config(self):
        """Settings for saving."""
        return {**super().get_config(), "size": self.size, "strides_px": self.strides_px}
