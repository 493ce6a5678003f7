"""Which anchors and regions a training step learns from, and what they should say.

KerasCV's _ROISampler and _RpnLabelEncoder are not used: they draw from Keras' global seed, so that no run can be
repeated or resumed, and they take rows of -1 that fill up the truths for background to learn from (seen: of one truth
and one row of -1, with weights of 1 for all four of the regions that came out).
"""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from mitozoo.models.layers.rcnn.boxes import iou, steps_to
from mitozoo.models.layers.rcnn.matching import NEGATIVE, POSITIVE, matcher, with_best


def balanced_sample(labels, chances, *, total: int, most_positive: int):
    """Draw positives, at most so many, and fill up with negatives.

    Args: labels int (B, N), see `matching`; chances (B, N) in [0, 1), random; total to draw, at most N; most_positive.
    Returns: index int (B, total), positives first; positive and drawn, bool (B, total): what is not drawn, because
    there are too few, comes last.
    """
    chance, positive = ops.top_k(ops.where(labels == POSITIVE, chances, -1.0), most_positive)
    is_positive = chance >= 0.0
    chance, negative = ops.top_k(ops.where(labels == NEGATIVE, chances, -1.0), total)
    left = total - ops.sum(ops.cast(is_positive, "int32"), axis=1, keepdims=True)
    is_negative = ops.logical_and(chance >= 0.0, ops.arange(total)[None] < left)
    rank = ops.concatenate([2 * ops.cast(is_positive, "int32"), ops.cast(is_negative, "int32")], axis=1)
    rank, order = ops.top_k(rank, total)
    index = ops.take_along_axis(ops.concatenate([positive, negative], axis=1), order, axis=1)
    return index, rank == 2, rank > 0


class _Sampling(keras.layers.Layer):
    """What both kinds of sampling share: settings, matcher and seed."""

    def __init__(self, total: int, positive_share: float, limits: tuple[float, float], seed: int, **kwargs) -> None:
        super().__init__(**{"autocast": False, "dtype": "float32"} | kwargs)
        self.total, self.positive_share = total, positive_share
        self.matcher = matcher(*limits)
        #: The training loop sets its state at every epoch.
        self.seed_generator = keras.random.SeedGenerator(seed)

    def _draw(self, labels):
        total = min(self.total, labels.shape[1])
        chances = keras.random.uniform(ops.shape(labels), seed=self.seed_generator)
        return balanced_sample(labels, chances, total=total, most_positive=self.most_positive(total))

    def most_positive(self, total: int) -> int:
        """Most positives of a sample."""
        return max(int(total * self.positive_share), 1)


class RpnTargets(_Sampling):
    """The anchors that the region proposal network learns from.

    Positive are those that overlap a truth by 0.7, and the best of every truth; negative are those under 0.3.
    Input: truths (B, M, 4), rows of -1 where there is none. Outputs: index int (B, total) among the anchors of all
    levels; positive and drawn, float (B, total); steps (B, total, 4) to the truth, for positives.
    """

    def __init__(self, anchors: np.ndarray, *, total: int = 256, positive_share: float = 0.5, seed: int = 0, **kwargs):
        """Args: anchors (A, 4) of all levels; total of a tile; positive_share at most; seed."""
        super().__init__(total, positive_share, (0.3, 0.7), seed, **kwargs)
        self.anchors = anchors

    def call(self, truths):
        """Draw."""
        anchors = ops.convert_to_tensor(self.anchors)
        overlaps = iou(anchors, truths)
        matched, labels = self.matcher(overlaps)
        index, positive, drawn = self._draw(with_best(overlaps, labels))
        matched = ops.take_along_axis(matched, index, axis=1)
        truth = ops.take_along_axis(truths, matched[..., None], axis=1)
        steps = ops.where(positive[..., None], steps_to(ops.take(anchors, index, axis=0), truth), 0.0)
        return index, ops.cast(positive, "float32"), ops.cast(drawn, "float32"), steps


class RoiTargets(_Sampling):
    """The regions that the heads learn from, with what they should say.

    Positive are those that overlap a truth by 0.5, one to three negatives; the truths are regions too.
    Inputs: regions (B, R, 4) and their scores (B, R), negative where there is none; truths (B, M, 4), rows of -1 where
    there is none; masks (B, M, 28, 28) of the truths' boxes, 0 or 1, -1 where it is not known.
    Outputs: regions (B, total, 4), positives first; positive and drawn, float (B, total); steps (B, total, 4) to the
    truth, for positives; masks (B, `most_positive(total)`, 28, 28) of the first regions, -1 where they are not known.
    """

    def __init__(self, *, total: int = 78, positive_share: float = 0.25, seed: int = 0, **kwargs) -> None:
        """Args: total of a tile; positive_share at most; seed."""
        super().__init__(total, positive_share, (0.5, 0.5), seed, **kwargs)

    def call(self, regions, scores, truths, masks):
        """Draw."""
        regions = ops.concatenate([regions, truths], axis=1)
        exists = ops.concatenate([scores > 0.0, truths[..., 2] > truths[..., 0]], axis=1)
        matched, labels = self.matcher(iou(regions, truths))
        index, positive, drawn = self._draw(ops.where(exists, labels, -1))
        regions = ops.take_along_axis(regions, index[..., None], axis=1)
        matched = ops.take_along_axis(matched, index, axis=1)
        truth = ops.take_along_axis(truths, matched[..., None], axis=1)
        steps = ops.where(positive[..., None], steps_to(regions, truth), 0.0)
        first = self.most_positive(index.shape[1])
        seen = region_masks(regions[:, :first], truth[:, :first], matched[:, :first], masks)
        seen = ops.where(positive[:, :first, None, None], seen, -1.0)
        results = (regions, ops.cast(positive, "float32"), ops.cast(drawn, "float32"), steps, seen)
        return tuple(ops.stop_gradient(result) for result in results)


def region_masks(regions, truths, matched, masks):
    """Masks of truths as their regions see them, by the nearest pixel.

    Args: regions and their truths (B, P, 4); matched int (B, P), numbers of the truths; masks (B, M, S, S) of the boxes
    of all truths.
    Returns: float (B, P, S, S), 0 outside the truth's box.
    """
    side = masks.shape[-1]
    line = (ops.arange(side, dtype="float32") + 0.5) / side

    def places(low: int):
        """Number of the mask's row or column under each of the region's, and whether it is inside; (B, P, S)."""
        start, stop = regions[..., low, None], regions[..., low + 2, None]
        from_, to = truths[..., low, None], truths[..., low + 2, None]
        place = (start + line * (stop - start) - from_) / ops.maximum(to - from_, 1e-3) * side
        inside = ops.logical_and(place >= 0.0, place < side)
        return ops.cast(ops.floor(ops.clip(place, 0.0, side - 1.0)), "int32"), inside

    (column, inside_x), (row, inside_y) = places(0), places(1)
    count = masks.shape[1]
    base = ops.arange(ops.shape(masks)[0], dtype="int32")[:, None] * count + ops.cast(matched, "int32")
    index = (base[..., None] * side + row)[..., None] * side + column[:, :, None, :]
    found = ops.take(ops.reshape(ops.cast(masks, "float32"), (-1,)), index, axis=0)
    return ops.where(ops.logical_and(inside_y[..., None], inside_x[:, :, None, :]), found, 0.0)
