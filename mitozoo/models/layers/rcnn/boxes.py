"""Boxes against boxes: overlap, and the steps from one to another."""

from __future__ import annotations

import math

from keras import ops

#: By which steps are divided, so that they are about as large as 1: centre x, y and log of width, height.
STEP_SCALE = (0.1, 0.1, 0.2, 0.2)
#: No step makes a box more than so many times as large.
_LARGEST_LOG = math.log(1000 / 16)
#: Sides are taken to be at least this, so that a box without an area has finite steps.
_LEAST_PX = 1e-3


def iou(boxes, truths):
    """Intersection over union of every box with every truth.

    Args: boxes (B, N, 4) or (N, 4); truths (B, M, 4), rows of -1 where there is none.
    Returns: float32 (B, N, M) in [0, 1], and -1 for truths that are none.
    """
    if len(boxes.shape) == 2:
        boxes = boxes[None]
    x1, y1, x2, y2 = (boxes[..., i, None] for i in range(4))
    u1, v1, u2, v2 = (truths[:, None, :, i] for i in range(4))
    wide = ops.maximum(ops.minimum(x2, u2) - ops.maximum(x1, u1), 0.0)
    high = ops.maximum(ops.minimum(y2, v2) - ops.maximum(y1, v1), 0.0)
    both = wide * high
    union = (x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - both
    return ops.where(u2 > u1, both / ops.maximum(union, 1e-6), -1.0)


def _centre_and_size(boxes):
    size = ops.maximum(boxes[..., 2:] - boxes[..., :2], _LEAST_PX)
    return (boxes[..., :2] + boxes[..., 2:]) / 2, size


def steps_to(boxes, truths):
    """Steps from boxes to truths, both (..., 4).

    Returns: (..., 4): centre x, y in sides of the box and log of the ratio of widths, heights, over `STEP_SCALE`.
    Source: Girshick et al. 2014, arXiv:1311.2524, appendix C, Eq. 6 to 9.
    """
    centre, size = _centre_and_size(boxes)
    true_centre, true_size = _centre_and_size(truths)
    steps = ops.concatenate([(true_centre - centre) / size, ops.log(true_size / size)], axis=-1)
    return steps / ops.convert_to_tensor(STEP_SCALE, "float32")


def stepped(boxes, steps):
    """Boxes (..., 4) after steps (..., 4): what `steps_to` undoes."""
    centre, size = _centre_and_size(boxes)
    steps = ops.cast(steps, "float32") * ops.convert_to_tensor(STEP_SCALE, "float32")
    centre = centre + steps[..., :2] * size
    half = size * ops.exp(ops.minimum(steps[..., 2:], _LARGEST_LOG)) / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def clipped(boxes, height_px: int, width_px: int):
    """Boxes (..., 4) with what lies outside the tile cut off."""
    limits = ops.convert_to_tensor([width_px, height_px, width_px, height_px], "float32")
    return ops.minimum(ops.maximum(boxes, 0.0), limits)
