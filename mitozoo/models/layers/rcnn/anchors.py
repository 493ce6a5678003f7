"""Anchors: the boxes that a region proposal network starts from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import ops

#: Levels of the pyramid with anchors of 32, 64, 128 and 256 px, and pixels from one of their positions to the next.
LEVELS = (2, 3, 4, 5)
STRIDES_PX = tuple(2**level for level in LEVELS)


def anchors_of(
    tile_px: tuple[int, int], sizes_px: Sequence[float], ratios: Sequence[float], strides_px: Sequence[int]
) -> list[np.ndarray]:
    """Return the anchors of every level, made by KerasCV's AnchorGenerator.

    Args: tile_px, height and width; sizes_px, square root of an anchor's area, one a level; ratios of width to height;
    strides_px, one a level.
    Returns: float32 (rows * columns * ratios, 4) a level, ratios fastest, then columns; not cut at the tile's edge.
    """
    from keras_cv.layers import AnchorGenerator

    levels = [f"P{i}" for i in range(len(sizes_px))]
    generator = AnchorGenerator(
        "xyxy",
        sizes=dict(zip(levels, sizes_px, strict=True)),
        scales=[1.0],
        aspect_ratios=list(ratios),
        strides=dict(zip(levels, strides_px, strict=True)),
        # Of its own: under a policy of half precision places would be rounded to half a pixel.
        dtype="float32",
    )
    made = generator(image_shape=(*tile_px, 3))
    return [np.asarray(ops.convert_to_numpy(made[level]), np.float32) for level in levels]
