"""Places that one network proposes and another verifies."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from mitozoo.data.cells import cut_canvas
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.merging import merge_hits
from mitozoo.models.proposals import Proposer


class ProposeVerify:
    """Decoder of "propose-verify" models: layers "proposer" and "verifier"."""

    def __init__(
        self,
        model: keras.Model,
        *,
        heat_cut: float = 0.05,
        per_mm2: float = 600.0,
        cut: float = 0.05,
        merge_px: float = 30.0,
        temperature: float = 1.0,
        turns: int = 4,
        edge_px: float = 8.0,
        batch_size: int = 64,
    ) -> None:
        """Prepare.

        Args:
            model: with outputs heat and logits.
            heat_cut: proposals under this are not looked at.
            per_mm2: so many of a field's highest proposals are verified at most, and never fewer than 16.
            cut: candidates under this probability of a mitotic figure are dropped.
            merge_px: candidates nearer than this are one cell (7.5 µm: the plates of a telophase count once).
            temperature: logits are divided by it; fitted on validation so that scores are probabilities.
            turns: every proposal is verified in this many of the ways to turn and mirror it, 1, 2, 4 or 8.
            edge_px: places nearer than this to the edge of the image (2 µm) are left out: half of such a cell is not
                there, and continued by reflection a dark nucleus looks like a plate.
            batch_size: cells verified at a time.
        """
        if temperature <= 0:
            raise ValueError("temperature must be above 0.")
        if turns not in (1, 2, 4, 8):
            raise ValueError("turns must be 1, 2, 4 or 8.")
        stride_px = model.input_shape[1] // model.output["heat"].shape[1]
        self.proposer = Proposer(model.get_layer("proposer"), stride_px, cut=heat_cut)
        self.verifier = model.get_layer("verifier")
        self.cell_px = self.verifier.input_shape[1]
        self.per_mm2, self.cut, self.merge_px = per_mm2, cut, merge_px
        self.temperature, self.turns, self.edge_px, self.batch_size = temperature, turns, edge_px, batch_size
        self._verify = tf.function(self._probabilities, reduce_retracing=True)

    def __call__(self, field: np.ndarray) -> Candidates:
        """Find candidates in a field, uint8 (H, W, 3)."""
        places = self.proposer(field)
        limits = np.array([field.shape[1], field.shape[0]]) - 1
        places = places[np.minimum(places[:, :2], limits - places[:, :2]).min(axis=1) >= self.edge_px]
        mm2 = field.shape[0] * field.shape[1] * _MM2_OF_PX
        places = places[: max(_LEAST, round(self.per_mm2 * mm2))]
        if not len(places):
            return Candidates(np.zeros((0, 2)), np.zeros((0, self.verifier.output_shape[1])))
        probabilities = self.verify(np.stack([cut_canvas(field, x, y, self.cell_px) for x, y, _ in places]))
        score = 1.0 - probabilities[:, 0]
        keep = score >= self.cut
        places, probabilities, score = places[keep], probabilities[keep], score[keep]
        first = [group[0] for group in merge_hits(places[:, :2], score, self.merge_px)]
        return Candidates(places[first, :2].reshape(-1, 2), probabilities[first].reshape(-1, probabilities.shape[1]))

    def verify(self, cells: np.ndarray) -> np.ndarray:
        """Class probabilities (n, classes) of cells uint8 (n, cell_px, cell_px, 3)."""
        out = []
        for start in range(0, len(cells), self.batch_size):
            batch = cells[start : start + self.batch_size]
            # One shape for all batches, so that nothing is traced again.
            filled = np.concatenate([batch, np.zeros((self.batch_size - len(batch), *batch.shape[1:]), np.uint8)])
            out.append(self._verify(tf.constant(filled)).numpy()[: len(batch)])
        return np.concatenate(out).astype(np.float64)

    def _probabilities(self, cells: tf.Tensor) -> tf.Tensor:
        batch = tf.cast(cells, tf.float32) / 255.0
        views = [batch, batch[:, ::-1, ::-1], batch[:, :, ::-1], batch[:, ::-1]]
        views += [tf.transpose(view, (0, 2, 1, 3)) for view in views]
        found = [tf.nn.softmax(self.verifier(view, training=False) / self.temperature) for view in views[: self.turns]]
        return tf.add_n(found) / len(found)


#: Area of a pixel at the model's 0.25 µm, in mm².
_MM2_OF_PX = (0.25e-3) ** 2
_LEAST = 16
