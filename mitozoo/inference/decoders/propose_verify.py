"""Places that one network proposes and another verifies."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mitozoo.data.cells import cut_canvas
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.merging import merge_hits
from mitozoo.models.proposals import SIDE_BY_SIDE, Proposer, strongest_nearby
from mitozoo.models.verifiers import verifiers_of


class ProposeVerify:
    """Decoder of "propose-verify" models: layers "proposer" and "verifier", of several also "verifier2" and so on."""

    def __init__(
        self,
        model: keras.Model,
        *,
        heat_cut: float = 0.05,
        near_px: float = 128.0,
        near_most: int = 1,
        sure_heat: float = 0.25,
        cut: float = 0.05,
        merge_px: float = 30.0,
        temperature: float = 1.0,
        turns: int = 4,
        verifiers: int | None = None,
        first_cut: float = 0.1,
        edge_px: float = 8.0,
        batch_size: int = 24,
    ) -> None:
        """Prepare.

        Args:
            model: with outputs heat and logits.
            heat_cut: proposals under this are not looked at.
            near_px, near_most: of the proposals in the square that reaches near_px to each side of a place, so many
                of the highest are verified; the network proposes every nucleus, if only faintly.
            sure_heat: proposals from this on are verified however many there are.
            cut: candidates under this probability of a mitotic figure are dropped.
            merge_px: candidates nearer than this are one cell (7.5 µm: the plates of a telophase count once).
            temperature: logits are divided by it; fitted on validation so that scores are probabilities.
            turns: a proposal is verified in this many of the ways to turn and mirror it, 1, 2, 4 or 8.
            verifiers: so many of the model's are asked, the first ones; None for all.
            first_cut: proposals that get less than this probability at the first verifier's first sight are neither
                turned nor shown to the others, which saves most of the work; 0 for all. On held-out slides no cell
                under 0.1 at first sight had 0.5 in the mean of four.
            edge_px: places nearer than this to the edge of the image (2 µm) are left out: half of such a cell is not
                there, and continued by reflection a dark nucleus looks like a plate.
            batch_size: cells verified at a time.
        """
        if temperature <= 0:
            raise ValueError("temperature must be above 0.")
        if turns not in (1, 2, 4, 8):
            raise ValueError("turns must be 1, 2, 4 or 8.")
        self.verifiers = verifiers_of(model)[:verifiers]
        if verifiers is not None and not 1 <= verifiers <= len(verifiers_of(model)):
            raise ValueError(f"verifiers must be 1 to {len(verifiers_of(model))}, as many as the model has.")
        stride_px = model.input_shape[1] // model.output["heat"].shape[1]
        self.proposer = Proposer(model.get_layer("proposer"), stride_px, cut=heat_cut)
        self.cell_px = self.verifiers[0].input_shape[1]
        self.near_px, self.near_most, self.sure_heat = near_px, near_most, sure_heat
        self.cut, self.merge_px = cut, merge_px
        self.temperature, self.turns, self.edge_px, self.batch_size = temperature, turns, edge_px, batch_size
        self.first_cut = first_cut
        cells = tf.TensorSpec((None, self.cell_px, self.cell_px, 3), tf.uint8)
        self._looks = [
            tf.function(lambda batch, by=by: self.view(batch, 0, by), input_signature=[cells])
            for by in range(len(self.verifiers))
        ]

    @property
    def reach_px(self) -> float:
        """How far from a cell what is found there depends on the field: proposals that compete, and what they see."""
        return self.near_px + self.proposer.reach_px

    def __call__(self, field: np.ndarray) -> Candidates:
        """Find candidates in a field, uint8 (H, W, 3)."""
        places = self.chosen(self.places(field), self.near_most, self.sure_heat)
        if not len(places):
            return Candidates(np.zeros((0, 2)), np.zeros((0, self.verifiers[0].output_shape[1])))
        probabilities = self.verify(np.stack([cut_canvas(field, x, y, self.cell_px) for x, y, _ in places]))
        score = 1.0 - probabilities[:, 0]
        keep = score >= self.cut
        places, probabilities, score = places[keep], probabilities[keep], score[keep]
        first = [group[0] for group in merge_hits(places[:, :2], score, self.merge_px)]
        return Candidates(places[first, :2].reshape(-1, 2), probabilities[first].reshape(-1, probabilities.shape[1]))

    def places(self, field: np.ndarray) -> np.ndarray:
        """Proposals in a field uint8 (H, W, 3), but at its edge: float (n, 3) of x_px, y_px, heat, by falling heat."""
        found = self.proposer(field)
        limits = np.array([field.shape[1], field.shape[0]]) - 1
        return found[np.minimum(found[:, :2], limits - found[:, :2]).min(axis=1) >= self.edge_px]

    def chosen(self, places: np.ndarray, near_most: int, sure_heat: float) -> np.ndarray:
        """The rows of `places` that are verified: the highest of each surroundings, and all from `sure_heat` on."""
        strong = strongest_nearby(places[:, :2], self.near_px, near_most)
        return places[strong | (places[:, 2] >= sure_heat)]

    def verify(self, cells: np.ndarray) -> np.ndarray:
        """Class probabilities (n, classes) of cells uint8 (n, cell_px, cell_px, 3).

        Of all at first sight; of those that could be mitotic figures the mean over all turns and verifiers.
        """
        found = self._look(cells, 0)
        again = np.flatnonzero(1.0 - found[:, 0] >= self.first_cut)
        others = self.other_looks()
        if len(again) and others:
            total = found[again]
            for by in range(len(self.verifiers)):
                # All views at once: batches are then full.
                views = [turned(cells[again], view) for view, own in others if own == by]
                if views:
                    looks = self._look(np.concatenate(views), by).reshape(len(views), len(again), -1)
                    total = total + looks.sum(axis=0)
            found[again] = total / (1 + len(others))
        return found

    def other_looks(self) -> list[tuple[int, int]]:
        """View and verifier, by their numbers, of all looks at a cell after the first."""
        return [(view, by) for by in range(len(self.verifiers)) for view in range(self.turns)][1:]

    def _look(self, cells: np.ndarray, by: int) -> np.ndarray:
        """Class probabilities of cells as they are, by one verifier."""

        def look(start: int) -> np.ndarray:
            batch = cells[start : start + self.batch_size]
            # Few shapes for all batches, so that little is traced and little computed for nothing.
            side = min(self.batch_size, max(8, 1 << (len(batch) - 1).bit_length()))
            filled = np.concatenate([batch, np.zeros((side - len(batch), *batch.shape[1:]), np.uint8)])
            return self._looks[by](tf.constant(filled)).numpy()[: len(batch)]

        starts = range(0, len(cells), self.batch_size)
        if len(starts) == 1:
            return look(0).astype(np.float64)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            return np.concatenate(list(threads.map(look, starts))).astype(np.float64)

    def view(self, cells: tf.Tensor, view: int, by: int = 0) -> tf.Tensor:
        """Class probabilities (n, classes) of cells uint8 (n, cell_px, cell_px, 3) in one of the eight views."""
        batch = tf.cast(turned(cells, view), tf.float32) / 255.0
        return tf.nn.softmax(self.verifiers[by](batch, training=False) / self.temperature)


def turned(cells: Any, view: int) -> Any:
    """Cells (n, side, side, 3), array or tensor, in one of eight views.

    Bits of its number: 1 turns by half, 2 mirrors left and right, 4 swaps rows and columns.
    """
    if view & 1:
        cells = cells[:, ::-1, ::-1]
    if view & 2:
        cells = cells[:, :, ::-1]
    if view & 4:
        cells = tf.transpose(cells, (0, 2, 1, 3)) if tf.is_tensor(cells) else cells.swapaxes(1, 2)
    return cells
