"""Trained weights to start from, named as on the command line: a zoo entry, a run's folder or a weights file."""

from __future__ import annotations

import json
from pathlib import Path

from mitozoo.base.errors import WeightsError
from mitozoo.models import zoo
from mitozoo.models.zoo import LoadedModel

#: What names an entry of the zoo begins with.
ZOO = "zoo:"
_WEIGHTS = "model.weights.h5"


def load_source(name: str) -> LoadedModel:
    """Load a model from "zoo:NAME", from a run's folder, or from a weights file with its run.json beside it.

    Raises: WeightsError for a place without weights, or whose run.json does not name the model; what `zoo.load` raises.
    """
    if name.startswith(ZOO):
        return zoo.load(name[len(ZOO) :])
    path = Path(name)
    weights = path / _WEIGHTS if path.is_dir() else path
    if not weights.is_file():
        known = ", ".join(ZOO + entry for entry in zoo.entries())
        raise WeightsError(f"There are no weights at {weights}. Give a run's folder, a .weights.h5 file, or {known}.")
    record = weights.parent / zoo.RUN_NAME
    try:
        model = json.loads(record.read_text(encoding="utf-8"))["model"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(
            f"{record} does not say which model {weights.name} is of ({error}). Give the folder of a training run."
        ) from error
    return zoo.load(str(model), weights)
