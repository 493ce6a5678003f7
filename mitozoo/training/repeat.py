"""Repeating a run from its run.json alone: the same recipe on the same data, or a refusal that says what changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import DataError, RecipeError
from mitozoo.data.canvases import Canvases
from mitozoo.data.dataset import Dataset
from mitozoo.training.recipe import Recipe, Stage

RUN_FILE = "run.json"
#: Rows of an array that are read at a time to be hashed.
_PIECE = 256
#: Options whose values are paths.
PATHS = ("data", "negatives", "leave_out")
#: What the lines of a data set's state are called in a message.
_SAID = {
    "images": "number of images",
    "cases": "number of cases",
    "cells": "number of labelled cells",
    "files": "names or sizes of its images",
    "labels": "labels",
}


def request(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a training as run.json keeps them: paths as given, and absolute under "absolute"."""
    plain = {name: _plain(value) for name, value in options.items()}
    absolute = {name: [str(Path(path).resolve()) for path in plain.get(name) or []] for name in PATHS}
    if sources := _several(plain.get("imagenet")):
        absolute["imagenet"] = [str(Path(path).resolve()) if Path(path).is_file() else path for path in sources]
    return {**plain, "absolute": absolute}


def _several(value: str | Sequence[str] | None) -> list[str]:
    """Where a record of an earlier version has one, or None."""
    return [value] if isinstance(value, str) else list(value or ())


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def read_record(folder: Path) -> dict[str, Any]:
    """The run.json of a training. Raises: RecipeError where it is missing, damaged, or does not hold what is needed."""
    path = Path(folder) / RUN_FILE
    if not path.is_file():
        raise RecipeError(f"{folder} has no {RUN_FILE}. Give the folder of a run of 'mitozoo train'.")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = {"request", "recipe", "data_state", "cells_sha256"} <= record.keys()
    except (ValueError, AttributeError):
        raise RecipeError(f"{path} is damaged, so the run cannot be repeated.") from None
    if not whole:
        raise RecipeError(
            f"{path} does not hold all that a repetition needs: it is of one fold, or of an earlier version. "
            "Give the folder of the whole run, or train with its options."
        )
    return dict(record)


def options_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The options that a run was started with; its paths where they were, or as they were given if they moved."""
    stored = dict(record["request"])
    absolute = stored.pop("absolute", {})
    for name in PATHS:
        pairs = zip(absolute.get(name) or stored.get(name) or [], stored.get(name) or [], strict=True)
        stored[name] = tuple(Path(there) if Path(there).exists() else Path(given) for there, given in pairs)
    if "imagenet" in stored:
        given = _several(stored["imagenet"])
        pairs = zip(_several(absolute.get("imagenet")) or given, given, strict=True)
        stored["imagenet"] = [there if Path(there).exists() else here for there, here in pairs]
    return {name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()}


def check_options(folder: Path, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse options that say something else than the run that is repeated. Raises: RecipeError."""
    for name, value in given.items():
        before = stored.get(name)
        if name in PATHS:
            value, before = ([Path(path).resolve() for path in paths or ()] for paths in (value, before))
        if value != before:
            shown = "MODEL" if name == "model" else f"--{name.replace('_', '-')}"
            raise RecipeError(f"--from-run repeats {folder} as it was, and {shown} says otherwise. Leave it out.")


def recipe_of(record: Mapping[str, Any]) -> Recipe:
    """The recipe of a run. Raises: RecipeError where this version does not know one of its settings."""
    try:
        plain = dict(record["recipe"])
        stages = tuple(Stage(**_with_tuples(stage)) for stage in plain.pop("stages"))
        lists = _with_tuples({name: plain.pop(name, ()) for name in ("located", "without", "frozen")})
        groups = {name: _with_tuples(plain.pop(name, {})) for name in ("settings", "augment", "tiles")}
        return Recipe(stages=stages, **lists, **groups, **plain)
    except (TypeError, KeyError) as error:
        raise RecipeError(f"The run's recipe is not one of this version: {error}. Repeat it with its own.") from None


def _with_tuples(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with the tuples that JSON made lists of."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}


def data_state(data: Sequence[Dataset], negatives: Sequence[Dataset]) -> list[dict[str, Any]]:
    """What tells whether data sets are still the same: counts, and hashes of files and labels; no image is read."""
    found = []
    for role, sets in (("data", data), ("negatives", negatives)):
        for item in sets:
            files, labels = hashlib.sha256(), hashlib.sha256()
            for field in sorted(item.fields, key=lambda field: (field.path.name, field.case, str(field.path))):
                size = field.path.stat().st_size if field.path.is_file() else -1
                files.update(repr((field.path.name, size)).encode())
                known = (field.path.name, field.case, field.um_per_px, field.complete, field.labelled, field.domain)
                labels.update(repr((known, field.cells, field.excluded)).encode())
            found.append(
                {
                    "name": item.name,
                    "role": role,
                    "images": len(item.fields),
                    "cases": len(item.cases),
                    "cells": sum(len(field.cells) for field in item.fields),
                    "files": files.hexdigest(),
                    "labels": labels.hexdigest(),
                }
            )
    return found


def check_data(folder: Path, record: Mapping[str, Any], state: Sequence[Mapping[str, Any]]) -> None:
    """Refuse other data than a run's. Raises: DataError naming the data set and what differs."""
    before = record["data_state"]
    names, now = ([f"{item['role']} {item['name']}" for item in items] for items in (before, state))
    if names != now:
        raise DataError(f"{folder} learnt from {', '.join(names)}; now there is {', '.join(now)}. {_MEND}")
    for old, new in zip(before, state, strict=True):
        changed = [key for key in _SAID if old[key] != new[key]]
        if changed:
            key = changed[0]
            counts = f": {old[key]} then, {new[key]} now" if isinstance(old[key], int) else ""
            raise DataError(f"{new['name']} has changed since {folder}, in the {_SAID[key]}{counts}. {_MEND}")


_MEND = "Bring the data back as they were, or train without --from-run."


def check_cells(folder: Path, record: Mapping[str, Any], sha256: str) -> None:
    """Refuse other pixels than a run's. Raises: DataError."""
    if record["cells_sha256"] != sha256:
        raise DataError(
            f"The images have the names, sizes and labels of {folder}, but other pixels, or this version of mitozoo "
            f"cuts other cells. {_MEND}"
        )


def check_initial(folder: Path, record: Mapping[str, Any], initial: Sequence[np.ndarray] | None) -> None:
    """Refuse other weights to start from than a run's. Raises: DataError."""
    if record.get("initial_sha256", "") != ("" if initial is None else arrays_sha256(initial)):
        raise DataError(f"The weights of --imagenet are not those that {folder} started from. {_MEND}")


def arrays_sha256(arrays: Sequence[np.ndarray | Canvases]) -> str:
    """SHA-256 of arrays, of their types and shapes too; read in pieces, so that none is copied whole."""
    hashed = hashlib.sha256()
    for given in arrays:
        array = given if given.shape else np.reshape(given, 1)
        hashed.update(repr((array.dtype.str, array.shape)).encode())
        for start in range(0, len(array), _PIECE):
            hashed.update(np.ascontiguousarray(array[start : start + _PIECE]).tobytes())
    return hashed.hexdigest()
