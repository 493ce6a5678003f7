"""Which anchors and regions are mitotic figures: by their overlap with the truths."""

from __future__ import annotations

from typing import Any

from keras import ops

POSITIVE, IGNORED, NEGATIVE = 1, -1, 0


def matcher(negative_iou: float, positive_iou: float) -> Any:
    """Return KerasCV's BoxMatcher: `POSITIVE` from positive_iou on, `NEGATIVE` under negative_iou, else `IGNORED`.

    Its `force_match_for_each_col` stays off: it takes rows of -1 that fill up the truths for truths, and makes the
    first anchor of every tile positive (seen: overlaps of 0.1, 0.5, 0.2 and 0 with the one truth, and one row of -1,
    gave 1, 1, -1, -1). See `with_best`.
    """
    from keras_cv.layers import BoxMatcher

    thresholds = [negative_iou, positive_iou]
    return BoxMatcher(thresholds=thresholds, match_values=[NEGATIVE, IGNORED, POSITIVE], dtype="float32")


def with_best(overlaps, labels):
    """Make those boxes positive too that overlap a truth more than any other does, however little.

    Args: overlaps (B, N, M), -1 for truths that are none; labels int (B, N).  Returns: labels (B, N).
    """
    best = ops.max(overlaps, axis=1, keepdims=True)
    forced = ops.any(ops.logical_and(overlaps >= best, best > 0.0), axis=-1)
    return ops.where(forced, POSITIVE, labels)
