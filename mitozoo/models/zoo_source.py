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


def weights_of(path: Path) -> list[Path]:
    """The weights files that a path stands for: the file, a run's, or those of all folds of a cross-validation.

    Raises: WeightsError for a folder without weights, or a cross-validation of which a fold is missing.
    """
    if not path.is_dir():
        return [path]
    if (path / _WEIGHTS).is_file():
        return [path / _WEIGHTS]
    folds = sorted(path.glob("fold_*"), key=lambda fold: (len(fold.name), fold.name))
    missing = [fold.name for fold in folds if not (fold / _WEIGHTS).is_file()]
    if missing:
        raise WeightsError(f"{path / missing[0]} has no {_WEIGHTS} yet. Let the cross-validation finish (--resume).")
    if not folds:
        raise WeightsError(f"{path} holds neither {_WEIGHTS} nor folds. Give the folder of a training run.")
    return [fold / _WEIGHTS for fold in folds]


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
