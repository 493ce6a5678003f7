"""Boxes and masks of single cells in overlapping tiles."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from mitozoo.data.field_tiles import grid_starts, grid_step
from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.merging import merge_hits


class Detect:
    """Decoder of "detect" models: outputs boxes, scores and masks of a tile."""

    def __init__(
        self,
        model: keras.Model,
        *,
        tile_px: int | None = None,
        overlap: float = 0.5,
        cut: float = 0.05,
        merge_px: float = 30.0,
        normaliser: str = "",
        rim_px: float = 8.0,
        batch_size: int = 4,
    ) -> None:
        """Prepare.

        Args:
            model: from tiles (B, tile_px, tile_px, 3) in [0, 1].
            tile_px: side of a tile; None is the model's, 512 for one that takes any.
            overlap: share of a tile that its neighbour has too.
            cut: detections under this probability are dropped.
            merge_px: detections nearer than this are one cell (7.5 µm: the plates of a telophase count once).
            rim_px: a box that comes nearer than this to an edge inside the field is left to the neighbour.
            normaliser: state of the stain normaliser that the model learnt with; empty for none. Every field is then
                measured and normalised by itself.
            batch_size: tiles at a time.
        Raises: ValueError for another side than the model's, or an overlap outside [0, 1).
        """
        side_px = model.input_shape[1]
        tile_px = tile_px or side_px or 512
        if side_px is not None and side_px != tile_px:
            raise ValueError(f"tile_px must be that of the model, {side_px}, got {tile_px}.")
        if not 0 <= overlap < 1:
            raise ValueError(f"overlap must be at least 0 and less than 1, got {overlap}.")
        self.model = model
        self.tile_px, self.overlap, self.step_px = tile_px, overlap, grid_step(tile_px, overlap)
        self.cut, self.merge_px, self.rim_px, self.batch_size = cut, merge_px, rim_px, batch_size
        self.normaliser = StainNormaliser.from_json(normaliser) if normaliser else None
        tiles = tf.TensorSpec((None, tile_px, tile_px, 3), tf.uint8)
        self._look = tf.function(self.look, input_signature=[tiles])

    def look(self, tiles: tf.Tensor) -> dict[str, tf.Tensor]:
        """Outputs of the model on tiles uint8 (n, tile_px, tile_px, 3)."""
        return self.model(tf.cast(tiles, tf.float32) / 255.0, training=False)

    def __call__(self, field: np.ndarray) -> Candidates:
        """Find candidates in a field, uint8 (H, W, 3)."""
        field = field if self.normaliser is None else self.normaliser(field)
        height, width = field.shape[:2]
        pad = [(0, max(self.tile_px - height, 0)), (0, max(self.tile_px - width, 0)), (0, 0)]
        padded = np.pad(field, pad, mode="symmetric")
        xy, scores = self._detections(padded)
        inside = (xy > -0.5).all(axis=1) & (xy < [width - 0.5, height - 0.5]).all(axis=1)
        xy, scores = np.clip(xy[inside], 0, [width - 1, height - 1]), scores[inside]
        first = [group[0] for group in merge_hits(xy, scores, self.merge_px)]
        scores = scores[first]
        return Candidates(xy[first].reshape(-1, 2), np.stack([1.0 - scores, scores], axis=1).reshape(-1, 2))

    def _detections(self, field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Centres (n, 2) and scores (n,) of what all tiles of a field see whole."""
        height, width = field.shape[:2]
        rows, columns = (grid_starts(length, self.tile_px, self.overlap) for length in (height, width))
        corners = [(x, y) for y in rows for x in columns]
        xy, scores = [np.zeros((0, 2))], [np.zeros(0)]
        for begin in range(0, len(corners), self.batch_size):
            part = corners[begin : begin + self.batch_size]
            tiles = np.stack([field[y : y + self.tile_px, x : x + self.tile_px] for x, y in part])
            found = {key: value.numpy() for key, value in self._look(tf.constant(tiles)).items()}
            for i, corner in enumerate(part):
                boxes, masks = found["boxes"][i].astype(np.float64), found["masks"][i]
                keep = found["scores"][i] >= self.cut
                keep &= self._whole(boxes, np.array(corner), np.array([width, height]))
                xy.append(centres(boxes[keep], masks[keep]) + corner)
                scores.append(found["scores"][i][keep].astype(np.float64))
        return np.concatenate(xy), np.concatenate(scores)

    def _whole(self, boxes: np.ndarray, corner: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Whether boxes (n, 4) stay clear of those edges of a tile that lie inside the field."""
        low = np.where(corner > 0, self.rim_px, -np.inf)
        high = np.where(corner + self.tile_px < size, self.tile_px - self.rim_px, np.inf)
        return (boxes[:, :2] >= low).all(axis=1) & (boxes[:, 2:] <= high).all(axis=1)


def centres(boxes: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Where cells lie: the centroid of their mask, or the middle of the box where the mask is empty.

    Args: boxes (n, 4) x1, y1, x2, y2, edges at integers; masks (n, h, w), probabilities over the boxes.
    Returns: (n, 2) x, y, pixel centres at integers.
    """
    inside = (masks >= 0.5).astype(np.float64)
    area = inside.sum(axis=(1, 2))
    rows, columns = masks.shape[1:]
    x = (inside.sum(axis=1) * (np.arange(columns) + 0.5)).sum(axis=1) / np.maximum(area, 1) / columns
    y = (inside.sum(axis=2) * (np.arange(rows) + 0.5)).sum(axis=1) / np.maximum(area, 1) / rows
    share = np.where((area > 0)[:, None], np.stack([x, y], axis=1), 0.5)
    return boxes[:, :2] + share * (boxes[:, 2:] - boxes[:, :2]) - 0.5
