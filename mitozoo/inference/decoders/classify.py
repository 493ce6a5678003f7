"""Windows that only say what they hold: a classifier as a detector.

The network is trained with the cell anywhere in the middle half of the window, so around a mitotic figure the
probability is a plateau; the figure lies at its centre. The map is averaged over the plateau's size, and its peaks are
the candidates.
"""

from __future__ import annotations

import math

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage

from mitozoo.inference.decoders import Candidates
from mitozoo.inference.merging import merge_hits


class Classify:
    """Decoder of "classify" models whose layer "trunk" runs over fields of any size."""

    def __init__(
        self,
        model: keras.Model,
        *,
        trunk_stride_px: int = 32,
        phases: int = 2,
        plateau_px: int = 64,
        cut: float = 0.05,
        merge_px: float = 30.0,
        batch_size: int = 1024,
    ) -> None:
        """Prepare.

        Args:
            model: with the layers trunk and head.
            trunk_stride_px: pixels between two positions of the trunk's features.
            phases: the field is also run shifted by fractions of that stride; the map's step is trunk_stride_px over
                phases.
            plateau_px: width of the plateau around a mitotic figure.
            cut: peaks under this are dropped.  merge_px: peaks nearer than this are one.
            batch_size: windows at a time, in square blocks of the field: bounds memory.
        """
        self.trunk, self.head = model.get_layer("trunk"), model.get_layer("head")
        self.window_px = model.input_shape[1]
        self.stride_px, self.phases = trunk_stride_px, phases
        self.step_px = trunk_stride_px // phases
        self.plateau_px, self.cut, self.merge_px = plateau_px, cut, merge_px
        self.block = max(1, math.isqrt(batch_size))
        self._run = tf.function(self.block_probabilities, reduce_retracing=True)

    @property
    def reach_px(self) -> float:
        """How far from a cell what is found there depends on the field: its window, and three times half a plateau.

        The mean over a plateau, the highest of those within one, and the centre of one.
        """
        return self.window_px / 2 + 1.5 * self.plateau_px + self.step_px

    def __call__(self, field: np.ndarray) -> Candidates:
        """Find candidates in a field, uint8 (H, W, 3)."""
        table = self.probability_map(field)
        width = 2 * (self.plateau_px // self.step_px // 2) + 1
        smooth = ndimage.uniform_filter(table, size=(width, width, 1), mode="nearest")
        score = 1.0 - smooth[..., 0]
        # The plateau's rim is left out of the score, or every score would be too low.
        core = ndimage.uniform_filter(table, size=(max(width - 2, 1), max(width - 2, 1), 1), mode="nearest")
        peaks = (score == ndimage.maximum_filter(score, size=width)) & (score >= self.cut)
        rows, columns = np.nonzero(peaks)
        xy = np.array([self._centroid(table, y, x, width) for y, x in zip(rows, columns, strict=True)]).reshape(-1, 2)
        groups = merge_hits(xy, score[rows, columns], self.merge_px)
        first = [group[0] for group in groups]
        limits = [field.shape[1] - 1, field.shape[0] - 1]
        return Candidates(
            np.clip(xy[first].reshape(-1, 2), 0, limits), core[rows, columns][first].reshape(-1, table.shape[2])
        )

    def _centroid(self, table: np.ndarray, row: int, column: int, width: int) -> np.ndarray:
        """Centre of mass of the mitotic probability around a peak, in pixels of the field."""
        half = width // 2
        rows = slice(max(row - half, 0), row + half + 1)
        columns = slice(max(column - half, 0), column + half + 1)
        # In float64 and from the peak itself, so that equal plateaus have equal places, whatever the rounding.
        mass = (1.0 - table[rows, columns, 0]).astype(np.float64)
        offset_y, offset_x = np.mgrid[rows, columns][:, : mass.shape[0], : mass.shape[1]] - [[[row]], [[column]]]
        if not mass.any():
            mass = np.ones_like(mass)
        offset = np.array([(mass * offset_x).sum(), (mass * offset_y).sum()]) / mass.sum()
        return (offset + [column, row]) * self.step_px - 0.5

    def probability_map(self, field: np.ndarray) -> np.ndarray:
        """Class probabilities (h, w, classes) of the windows centred at multiples of `step_px` (less half a pixel)."""
        height, width = field.shape[:2]
        down, across = -(-height // self.step_px) + 1, -(-width // self.step_px) + 1
        rim = self.window_px // 2
        need = [(n - 1) * self.step_px + self.window_px + self.stride_px for n in (down, across)]
        pad = [(rim, max(need[0] - rim - height, 0)), (rim, max(need[1] - rim - width, 0)), (0, 0)]
        padded = np.pad(field, pad, mode="symmetric")
        table: np.ndarray | None = None
        for y in range(self.phases):
            for x in range(self.phases):
                part = self._phase(
                    padded[y * self.step_px :, x * self.step_px :], -(-down // self.phases), -(-across // self.phases)
                )
                if table is None:
                    table = np.zeros(
                        (part.shape[0] * self.phases, part.shape[1] * self.phases, part.shape[2]), np.float32
                    )
                table[y :: self.phases, x :: self.phases] = part
        assert table is not None
        return table[:down, :across]

    def _phase(self, image: np.ndarray, down: int, across: int) -> np.ndarray:
        """Probabilities of the windows at multiples of the trunk's stride, block by block."""
        rows = []
        for top in range(0, down, self.block):
            parts = []
            for left in range(0, across, self.block):
                n_down, n_across = min(self.block, down - top), min(self.block, across - left)
                y, x = top * self.stride_px, left * self.stride_px
                extent = [(n - 1) * self.stride_px + self.window_px for n in (n_down, n_across)]
                parts.append(self._run(tf.constant(image[y : y + extent[0], x : x + extent[1]])).numpy())
            rows.append(np.concatenate(parts, axis=1))
        return np.concatenate(rows, axis=0)

    def block_probabilities(self, block: tf.Tensor) -> tf.Tensor:
        """Probabilities (h, w, classes) of all windows, at the trunk's stride, of a block uint8 (H, W, 3)."""
        features = self.trunk(tf.cast(block[None], tf.float32) / 255.0, training=False)
        side, channels = self.head.input_shape[1], self.head.input_shape[3]
        patches = tf.image.extract_patches(features, [1, side, side, 1], [1, 1, 1, 1], [1, 1, 1, 1], "VALID")
        shape = tf.shape(patches)
        logits = self.head(tf.reshape(patches, (-1, side, side, channels)), training=False)
        return tf.reshape(tf.nn.softmax(logits), (shape[1], shape[2], -1))
