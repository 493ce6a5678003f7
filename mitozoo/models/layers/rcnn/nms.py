"""From what the networks say of many boxes to the few that are kept: proposals and detections.

Both stand on KerasCV's NonMaxSuppression. Its ROIGenerator is not used: it makes that layer anew at every call with the
policy of the moment, and under "mixed_float16" fails ("Input 'y' of 'Greater' Op has type float32 that does not match
type float16").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from mitozoo.models.layers.rcnn.anchors import STRIDES_PX, anchors_of
from mitozoo.models.layers.rcnn.boxes import clipped, stepped


def _suppression(iou: float, score: float, most: int) -> Any:
    from keras_cv.layers import NonMaxSuppression

    return NonMaxSuppression(
        "xyxy",
        from_logits=False,
        iou_threshold=iou,
        confidence_threshold=score,
        max_detections=most,
        dtype="float32",
    )


def _rows(values, index):
    """Rows of values (B, N, C) at index (B, K)."""
    return ops.take_along_axis(values, index[..., None], axis=1)


@keras.saving.register_keras_serializable(package="mitozoo")
class Proposals(keras.layers.Layer):
    """The regions that the region proposal network thinks most of.

    Inputs: lists of logits (B, A) and steps (B, A, 4), one a level. Outputs: boxes (B, most, 4) inside the tile and
    scores (B, most) in (0, 1), highest first; where there are fewer, boxes and scores of -1. No gradient.
    """

    def __init__(
        self,
        tile_px: int,
        sizes_px: Sequence[float],
        ratios: Sequence[float],
        *,
        most: int = 300,
        most_level: int = 1000,
        iou: float = 0.7,
        sampled: int = 78,
        **kwargs,
    ) -> None:
        """Prepare.

        Args: tile_px, side; sizes_px and ratios of the anchors; most regions of a tile; most_level, boxes of a level
        that are looked at; iou from which of two boxes the lesser goes; sampled, how many of them the heads learn from.
        """
        super().__init__(**{"autocast": False, "dtype": "float32"} | kwargs)
        self.tile_px, self.sizes_px, self.ratios = tile_px, tuple(sizes_px), tuple(ratios)
        self.most, self.most_level, self.iou, self.sampled = most, most_level, iou, sampled
        self.anchors = anchors_of((tile_px, tile_px), self.sizes_px, self.ratios, STRIDES_PX)
        self._keep = [_suppression(iou, 0.0, min(most, len(anchors))) for anchors in self.anchors]

    def call(self, logits, steps):
        """Propose."""
        levels = [self._level(*level) for level in zip(self.anchors, self._keep, logits, steps, strict=True)]
        boxes, scores = (ops.concatenate(parts, axis=1) for parts in zip(*levels, strict=True))
        scores, index = ops.top_k(scores, min(self.most, scores.shape[1]))
        return ops.stop_gradient(_rows(boxes, index)), ops.stop_gradient(scores)

    def _level(self, anchors: np.ndarray, keep: Any, logits, steps):
        logits, index = ops.top_k(logits, min(self.most_level, len(anchors)))
        anchors = ops.take(ops.convert_to_tensor(anchors), index, axis=0)
        boxes = clipped(stepped(anchors, _rows(steps, index)), self.tile_px, self.tile_px)
        kept = keep(boxes, ops.sigmoid(logits)[..., None])
        return kept["boxes"], kept["confidence"]

    def compute_output_shape(self, logits_shape, steps_shape):
        """Shapes of the outputs."""
        most = min(self.most, sum(min(self.most, len(anchors)) for anchors in self.anchors))
        return (logits_shape[0][0], most, 4), (logits_shape[0][0], most)

    def get_config(self):
        """Settings for saving."""
        names = ("tile_px", "sizes_px", "ratios", "most", "most_level", "iou", "sampled")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(package="mitozoo")
class Detections(keras.layers.Layer):
    """The regions that the box head calls mitotic figures.

    Inputs: regions (B, R, 4) and their scores (B, R), logits (B, R, 2) and steps (B, R, 4) of the box head. Outputs:
    boxes (B, most, 4) inside the tile and probabilities (B, most), highest first, filled up with -1.
    """

    def __init__(self, tile_px: int, *, most: int = 32, iou: float = 0.3, score: float = 0.01, **kwargs) -> None:
        """Args: tile_px, side; most detections; iou from which the lesser goes; score, least probability."""
        super().__init__(**{"autocast": False, "dtype": "float32"} | kwargs)
        self.tile_px, self.most, self.iou, self.score = tile_px, most, iou, score
        self._keep = _suppression(iou, score, most)

    def call(self, regions, region_scores, logits, steps):
        """Detect."""
        boxes = clipped(stepped(regions, steps), self.tile_px, self.tile_px)
        probability = ops.softmax(logits, axis=-1)[..., 1]
        probability = ops.where(region_scores > 0.0, probability, 0.0)
        kept = self._keep(boxes, probability[..., None])
        return kept["boxes"], kept["confidence"]

    def compute_output_shape(self, regions_shape, *_):
        """Shapes of the outputs."""
        return (regions_shape[0], self.most, 4), (regions_shape[0], self.most)

    def get_config(self):
        """Settings for saving."""
        names = ("tile_px", "most", "iou", "score")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
