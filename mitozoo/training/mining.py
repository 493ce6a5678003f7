"""Hard negatives: what a network proposes on tissue that is known not to be mitotic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from mitozoo.base.errors import DataError
from mitozoo.data.cells import Cells, Places, collect, cut_canvas
from mitozoo.data.dataset import Dataset
from mitozoo.models.proposals import Proposer

#: Proposals that are looked at; far lower than where detections count, so that there are enough.
_CUT = 0.005
#: Proposals of a field of 4 Mpx, and of a patch, that become negatives at most.
PER_FIELD, PER_NEIGHBOUR = 160, 2

#: Chance of a mitotic figure from which a proposal counts as a detection to learn from: above what smoothed labels
#: leave to every cell.
_VERIFIED_CUT = 0.1
_BATCH = 64


class Verified:
    """Proposals that a verifier gives a chance, by falling chance."""

    def __init__(self, places: Places, verifier: keras.Model, *, cut: float = _VERIFIED_CUT) -> None:
        """Prepare. Args: places, what proposes; verifier from cells (B, p, p, 3) in [0, 1] to logits, class 0 first."""
        self.places, self.side, self.cut = places, verifier.input_shape[1], cut
        # Not `predict`, which sets up anew for each of thousands of images.
        cells = tf.TensorSpec((None, self.side, self.side, 3), tf.uint8)
        self._logits = tf.function(
            lambda batch: verifier(tf.cast(batch, tf.float32) / 255.0, training=False), input_signature=[cells]
        )

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Places in an image uint8 (H, W, 3): float (n, 3) of x_px, y_px, chance of a mitotic figure."""
        found = self.places(pixels)
        if not len(found):
            return found
        cells = np.stack([cut_canvas(pixels, x, y, self.side) for x, y, _ in found])
        batches = [self._logits(cells[start : start + _BATCH]).numpy() for start in range(0, len(cells), _BATCH)]
        logits = np.concatenate(batches).astype(np.float64)
        other = np.exp(logits - logits.max(axis=1, keepdims=True))
        chance = 1.0 - other[:, 0] / other.sum(axis=1)
        kept = np.flatnonzero(chance >= self.cut)
        kept = kept[np.argsort(-chance[kept], kind="stable")]
        return np.column_stack([found[kept, :2], chance[kept]])


def hard_negatives(
    model: keras.Model,
    data: Sequence[Dataset],
    negatives: Sequence[Dataset],
    classes: Sequence[str],
    *,
    seed: int,
    what: str = "proposals",
    progress: Callable[[int, int], None] | None = None,
) -> Cells:
    """Mine what a model finds in fields without mitotic figures and beside labelled ones.

    Half of a field's cells are the highest found, half are drawn from the others. What is "proposals" are those of the
    layer "proposer"; "detections" are proposals that the layer "verifier" gives at least a small chance, in fields that
    somebody has labelled.

    Returns: cells of the class non_mitotic, their origins "hard field" and "hard neighbour", of detections "harder …".
    Raises: DataError for a model without a proposer.
    """
    try:
        network = model.get_layer("proposer")
    except ValueError:
        raise DataError(f"{model.name} proposes no places, so nothing can be mined with it.") from None
    window_px = model.input_shape[1]
    stride_px = window_px // model.output["heat"].shape[1]
    places: Places = Proposer(network, stride_px, cut=_CUT)
    if what == "detections":
        places = Verified(places, model.get_layer("verifier"))
        # Where nobody has looked, the hardest may well be mitotic figures.
        negatives = [dataclasses.replace(n, fields=tuple(f for f in n.fields if f.labelled)) for n in negatives]
    how = "harder" if what == "detections" else "hard"
    cells = collect(
        data, negatives, classes, seed=seed + 1, per_field=PER_FIELD, per_neighbour=PER_NEIGHBOUR, places=places,
        progress=progress, labelled=False,
    )  # fmt: skip
    return dataclasses.replace(cells, origins=np.array([f"{how} {origin}" for origin in cells.origins], dtype="U"))
