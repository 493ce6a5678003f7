"""A run: one training on all cases, or one a fold, with everything that is needed to believe and repeat it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mitozoo.base.errors import DataError, OutputError, RecipeError
from mitozoo.base.files import make_folder, write_text
from mitozoo.data.cells import Cells
from mitozoo.training import checkpoint
from mitozoo.training.folds import assign_folds, split
from mitozoo.training.loop import WEIGHTS, Progress, train
from mitozoo.training.material import CellMaterial, Material
from mitozoo.training.outcome import PREDICTIONS, Outcome, load_outcome, pool
from mitozoo.training.plots import plot_history
from mitozoo.training.recipe import Recipe
from mitozoo.training.repeat import RUN_FILE, arrays_sha256


def run_training(
    recipe: Recipe,
    cells: Cells | Material,
    out: Path,
    *,
    folds: int = 0,
    validation: float = 0.0,
    parts: Mapping[str, Sequence[str]] | None = None,
    resume: bool = False,
    about: dict[str, Any] | None = None,
    gpus: int = 0,
    tell: Callable[[int, Progress], None] = lambda fold, progress: None,
    step: Callable[[int], None] = lambda percent: None,
    initial: Sequence[np.ndarray] | None = None,
    remine: Callable[[keras.Model, str], Cells] | None = None,
) -> Outcome | None:
    """Train once (`folds` 0) or once a fold, into `out`.

    Args:
        recipe; cells of all cases, or other material to learn from; out: folder, new unless `resume`.
        folds: 2 or more for cross-validation; each fold's model goes to `out/fold_k`.
        validation: without folds, the share of cases whose losses are recorded but not learnt from; one case at least.
        parts: of a split, in place of both: cases by part; those of "train" are learnt from, all others held out.
        about: what else `run.json` shall say (command, data sets).
        tell: called with the fold and its progress after every epoch; step: with the percent of the epoch.
        initial: weights to start from.
        remine: from a model in training, and what to mine, to hard negatives of all cases; those of held-out cases are
            not learnt from.
    Returns: held-out predictions of cells; None where nothing was held out, or it was no cells.
    Raises: OutputError if `out` holds a run and `resume` is not set; RecipeError if it was another run; DataError.
    """
    material: Material = CellMaterial(cells, remine) if isinstance(cells, Cells) else cells
    plain, cases = recipe.as_dict(), material.cases
    fold_of = _split_of(cases, parts, folds) if parts else _folds_of(material, folds, validation, recipe.seed)
    known: dict[str, Any] = {"recipe": plain, "cells": material.digest(), "fold_of": fold_of, "folds": folds}
    if initial is not None:
        known["initial"] = arrays_sha256(initial)
    mark = checkpoint.fingerprint(known)
    claim(out, mark, resume)
    start, before = time.time(), _hours_before(out)
    record = {
        "model": recipe.model,
        "settings": dict(recipe.settings),
        "recipe": plain,
        **material.record(),
        "folds": folds,
        "fold_of": fold_of,
        "validation": validation,
        "precision": recipe.precision,
        "seed": recipe.seed,
        "cells_sha256": material.sha256(),
        "initial_sha256": known.get("initial", ""),
        "mark": mark,
        **(about or {}),
    }

    def write(status: str) -> None:
        hours = before + (time.time() - start) / 3600
        _write_record(out, {**record, "status": status, "hours": round(hours, 3)})

    def told(fold: int, progress: Progress) -> None:
        write("running")
        tell(fold, progress)

    write("running")
    outcomes = []
    for fold in range(folds) if folds else [0]:
        folder = out / f"fold_{fold}" if folds else out
        learn, held = split(cases, fold_of, fold) if fold_of else (np.ones(len(cases), bool), np.zeros(0, bool))
        test = material.take(held) if held.any() else None
        learnt = material if test is None else material.take(learn)
        outcomes.append(_one(recipe, learnt, test, folder, fold, mark, gpus, told, step, initial))
    pooled = pool([o for o in outcomes if o is not None])
    write("complete")
    return pooled


def _folds_of(material: Material, folds: int, validation: float, seed: int) -> dict[str, int]:
    """Fold by case: of a cross-validation, or with the cases of fold 0 held out; empty where all are learnt from."""
    if folds or not validation > 0:
        return assign_folds(material.cases, material.labels, folds, seed=seed) if folds else {}
    cases = len(np.unique(material.cases))
    if cases < 2:
        raise DataError("One slide cannot be learnt from and held out. Give more with --data, or --validation 0.")
    return assign_folds(material.cases, material.labels, min(max(2, round(1 / validation)), cases), seed=seed)


def _split_of(cases: np.ndarray, parts: Mapping[str, Sequence[str]], folds: int) -> dict[str, int]:
    """The cases of a split, those that are not of its part "train" as the held-out fold 0."""
    if folds:
        raise RecipeError("A split says which cases are held out, and so do --folds: give one of the two.")
    part_of = {case: name for name, names in parts.items() for case in names}
    named = [str(case) for case in np.unique(cases)]
    if missing := [case for case in named if case not in part_of]:
        raise DataError(f"The split does not name case {missing[0]!r} (and {len(missing) - 1} others). Split anew.")
    found = {case: int(part_of[case] == "train") for case in named}
    if len(set(found.values())) < 2:
        raise DataError('The split needs cases of these data in its part "train", and others to hold out. Split anew.')
    return found


def _one(
    recipe: Recipe,
    material: Material,
    test: Material | None,
    folder: Path,
    fold: int,
    mark: str,
    gpus: int,
    tell: Callable[[int, Progress], None],
    step: Callable[[int], None],
    initial: Sequence[np.ndarray] | None,
) -> Outcome | None:
    """Train one model, unless it is finished, and predict what was held out."""
    done = folder / WEIGHTS
    stored = folder / PREDICTIONS
    predicts = test is not None and test.predicts
    if not (done.exists() and (stored.exists() or not predicts)):
        lessons = material.lessons(recipe, test)
        model = train(
            recipe, lessons, folder, mark=mark, gpus=gpus, step=step, tell=lambda p: tell(fold, p), initial=initial
        )
        _plot(folder)
        if not (folder / RUN_FILE).exists():
            about = {"model": recipe.model, "settings": dict(recipe.settings), "fold": fold, "mark": mark}
            _write_record(folder, about)
        if predicts and test is not None:
            test.predict(model, recipe, stored)
        (folder / checkpoint.NAME).unlink(missing_ok=True)
    return load_outcome(stored, fold) if predicts else None


def check_out(out: Path, resume: bool) -> None:
    """Make sure, before any work, that a run can be written into a folder. Raises: OutputError as `claim`."""
    path = out / RUN_FILE
    if out.exists() and not out.is_dir():
        make_folder(out)
    if not path.exists():
        if out.is_dir() and any(out.iterdir()):
            raise OutputError(f"{out} is not empty and holds no run. Choose another --out.")
        return
    if not resume:
        raise OutputError(f"{out} holds a run already. Add --resume to go on with it, or choose another --out.")


def claim(out: Path, mark: str, resume: bool) -> None:
    """Take the folder for this run, or make sure that it is this run's.

    Raises: OutputError if it holds another run, or this one and `resume` is not set; RecipeError if the run with this
    name had another `mark`.
    """
    check_out(out, resume)
    path = out / RUN_FILE
    if not path.exists():
        make_folder(out)
        return
    try:
        marked = json.loads(path.read_text(encoding="utf-8")).get("mark")
    except (ValueError, AttributeError):
        raise OutputError(f"{path} is damaged, so the run cannot go on. Choose another --out.") from None
    if marked != mark:
        raise RecipeError(
            f"{out} was started with another recipe or other data. "
            "Resume with the same options, or choose another --out."
        )


def _hours_before(out: Path) -> float:
    try:
        return float(json.loads((out / RUN_FILE).read_text(encoding="utf-8")).get("hours", 0.0))
    except (OSError, ValueError):
        return 0.0


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    write_text(folder / RUN_FILE, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _plot(folder: Path) -> None:
    """Draw history.csv."""
    import csv

    with (folder / "history.csv").open(encoding="utf-8", newline="") as stream:
        rows = [
            {key: value if key == "stage" else float(value) for key, value in row.items() if value}
            for row in csv.DictReader(stream)
        ]
    plot_history(rows, folder / "loss.png")
