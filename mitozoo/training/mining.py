"""Hard negatives: what a network proposes on tissue that is known not to be mitotic."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import keras
import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.data.cells import Cells, collect
from mitozoo.data.dataset import Dataset
from mitozoo.models.proposals import Proposer

#: Proposals that are looked at; far lower than where detections count, so that there are enough.
_CUT = 0.005
#: Proposals of a field of 4 Mpx, and of a patch, that become negatives at most.
PER_FIELD, PER_NEIGHBOUR = 160, 2


def hard_negatives(
    model: keras.Model,
    data: Sequence[Dataset],
    negatives: Sequence[Dataset],
    classes: Sequence[str],
    *,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> Cells:
    """Mine what a model's layer "proposer" proposes, in fields without mitotic figures and beside labelled ones.

    Half of a field's cells are its highest proposals, half are drawn from the others.

    Returns: cells of the class non_mitotic, their origins "hard field" and "hard neighbour".
    Raises: DataError for a model without a proposer.
    """
    try:
        network = model.get_layer("proposer")
    except ValueError:
        raise DataError(f"{model.name} proposes no places, so nothing can be mined with it.") from None
    window_px = model.input_shape[1]
    stride_px = window_px // model.output["heat"].shape[1]
    places = Proposer(network, stride_px, cut=_CUT)
    cells = collect(
        data, negatives, classes, seed=seed + 1, per_field=PER_FIELD, per_neighbour=PER_NEIGHBOUR, places=places,
        progress=progress, labelled=False,
    )  # fmt: skip
    return dataclasses.replace(cells, origins=np.array([f"hard {origin}" for origin in cells.origins], dtype="U"))
