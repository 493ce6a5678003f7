"""A run: one training on all cases, or one a fold, with everything that is needed to believe and repeat it."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from mitozoo.base.errors import DataError, OutputError, RecipeError
from mitozoo.base.files import make_folder, whole_file, write_text
from mitozoo.data.cells import Cells
from mitozoo.training import checkpoint
from mitozoo.training.folds import assign_folds, split
from mitozoo.training.loop import WEIGHTS, Progress, predict_windows, train
from mitozoo.training.plots import plot_history
from mitozoo.training.recipe import Recipe
from mitozoo.training.repeat import RUN_FILE, arrays_sha256

PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Outcome:
    """Held-out predictions of a run, pooled over its folds.

    Attributes: labels (n,), probabilities (n, classes), cases, origins (n,); error_px (n,) of the located cells, or
    None for a model that does not locate; folds (n,) which fold the cell was held out in.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    cases: np.ndarray
    origins: np.ndarray
    folds: np.ndarray
    error_px: np.ndarray | None


def run_training(
    recipe: Recipe,
    cells: Cells,
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
        recipe; cells of all cases; out: folder, new unless `resume`.
        folds: 2 or more for cross-validation; each fold's model goes to `out/fold_k`.
        validation: without folds, the share of cases whose losses are recorded but not learnt from; one case at least.
        parts: of a split, in place of both: cases by part; those of "train" are learnt from, all others held out.
        about: what else `run.json` shall say (command, data sets).
        tell: called with the fold and its progress after every epoch; step: with the percent of the epoch.
        initial: weights to start from.
        remine: from a model in training, and what to mine, to hard negatives of all cases; those of held-out cases are
            not learnt from.
    Returns: held-out predictions; None where nothing was held out.
    Raises: OutputError if `out` holds a run and `resume` is not set; RecipeError if it was another run; DataError.
    """
    plain = recipe.as_dict()
    fold_of = _split_of(cells, parts, folds) if parts else _folds_of(cells, folds, validation, recipe.seed)
    known: dict[str, Any] = {"recipe": plain, "cells": digest(cells), "fold_of": fold_of, "folds": folds}
    if initial is not None:
        known["initial"] = arrays_sha256(initial)
    mark = checkpoint.fingerprint(known)
    claim(out, mark, resume)
    start, before = time.time(), _hours_before(out)
    record = {
        "model": recipe.model,
        "settings": dict(recipe.settings),
        "recipe": plain,
        "classes": list(cells.classes),
        "cells": {name: int((cells.labels == i).sum()) for i, name in enumerate(cells.classes)},
        "folds": folds,
        "fold_of": fold_of,
        "validation": validation,
        "precision": recipe.precision,
        "seed": recipe.seed,
        "cells_sha256": cells_sha256(cells),
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
        learn, held = split(cells.cases, fold_of, fold) if fold_of else (np.ones(len(cells), bool), np.zeros(0, bool))
        test = cells.take(held) if held.any() else None
        more = {"initial": initial, "remine": _of_cases(remine, np.unique(cells.cases[learn]))}
        learnt = cells if test is None else cells.take(learn)
        outcome = _one(recipe, learnt, test, folder, fold, mark, gpus, told, step, more)
        outcomes.append(outcome)
    pooled = pool([o for o in outcomes if o is not None])
    write("complete")
    return pooled


def _folds_of(cells: Cells, folds: int, validation: float, seed: int) -> dict[str, int]:
    """Fold by case: of a cross-validation, or with the cases of fold 0 held out; empty where all are learnt from."""
    if folds or not validation > 0:
        return assign_folds(cells.cases, cells.labels, folds, seed=seed) if folds else {}
    cases = len(np.unique(cells.cases))
    if cases < 2:
        raise DataError("One slide cannot be learnt from and held out. Give more with --data, or --validation 0.")
    return assign_folds(cells.cases, cells.labels, min(max(2, round(1 / validation)), cases), seed=seed)


def _split_of(cells: Cells, parts: Mapping[str, Sequence[str]], folds: int) -> dict[str, int]:
    """The cases of a split, those that are not of its part "train" as the held-out fold 0."""
    if folds:
        raise RecipeError("A split says which cases are held out, and so do --folds: give one of the two.")
    part_of = {case: name for name, cases in parts.items() for case in cases}
    cases = [str(case) for case in np.unique(cells.cases)]
    if missing := [case for case in cases if case not in part_of]:
        raise DataError(f"The split does not name case {missing[0]!r} (and {len(missing) - 1} others). Split anew.")
    found = {case: int(part_of[case] == "train") for case in cases}
    if len(set(found.values())) < 2:
        raise DataError('The split needs cases of these data in its part "train", and others to hold out. Split anew.')
    return found


def _of_cases(
    remine: Callable[[keras.Model, str], Cells] | None, cases: np.ndarray
) -> Callable[[keras.Model, str], Cells] | None:
    """What is mined, without what is of other cases."""
    if remine is None:
        return None

    def mined(model: keras.Model, what: str) -> Cells:
        found = remine(model, what)
        return found.take(np.isin(found.cases, cases))

    return mined


def _one(
    recipe: Recipe,
    cells: Cells,
    test: Cells | None,
    folder: Path,
    fold: int,
    mark: str,
    gpus: int,
    tell: Callable[[int, Progress], None],
    step: Callable[[int], None],
    more: dict[str, Any],
) -> Outcome | None:
    """Train one model, unless it is finished, and predict what was held out."""
    done = folder / WEIGHTS
    stored = folder / PREDICTIONS
    if not (done.exists() and (stored.exists() or test is None)):
        model = train(
            recipe, cells, test, folder, mark=mark, gpus=gpus, step=step, tell=lambda p: tell(fold, p), **more
        )
        _plot(folder)
        if not (folder / RUN_FILE).exists():
            about = {"model": recipe.model, "settings": dict(recipe.settings), "fold": fold, "mark": mark}
            _write_record(folder, about)
        if test is not None:
            found = predict_windows(model, test, recipe, seed=recipe.seed + 1)
            save_outcome(stored, test, found)
        (folder / checkpoint.NAME).unlink(missing_ok=True)
    return load_outcome(stored, fold) if test is not None else None


def save_outcome(path: Path, test: Cells, found: dict[str, np.ndarray]) -> None:
    """Write what a model found in held-out cells (`predict_windows`) beside their labels."""
    with whole_file(path) as temporary:
        np.savez(
            temporary,
            labels=test.labels,
            cases=test.cases.astype("U"),
            origins=test.origins.astype("U"),
            **found,
        )


def load_outcome(path: Path, fold: int) -> Outcome:
    """Read the held-out predictions of one fold."""
    with np.load(path, allow_pickle=False) as stored:
        error = None
        if "theta" in stored.files:
            half_window_px = 64.0
            apart = (stored["theta"] - stored["theta_true"])[:, :, 2] * half_window_px
            error = np.hypot(apart[:, 0], apart[:, 1])
        labels = stored["labels"]
        return Outcome(
            labels, stored["probabilities"], stored["cases"], stored["origins"], np.full(len(labels), fold), error
        )


def pool(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Put the folds' held-out predictions together."""
    if not outcomes:
        return None
    parts = {
        field.name: [getattr(outcome, field.name) for outcome in outcomes] for field in dataclasses.fields(Outcome)
    }
    return Outcome(**{key: None if value[0] is None else np.concatenate(value) for key, value in parts.items()})


def digest(cells: Cells) -> str:
    """A short hash of the cells, so that a run is not resumed on other data."""
    import hashlib

    hashed = hashlib.sha256(cells.labels.tobytes())
    hashed.update(cells.canvases[:: max(1, len(cells) // 64), ::16, ::16].tobytes())
    hashed.update("\n".join(map(str, cells.cases)).encode())
    return hashed.hexdigest()[:16]


def cells_sha256(cells: Cells) -> str:
    """SHA-256 of all that is learnt from."""
    return arrays_sha256([cells.canvases, cells.labels, cells.cases.astype("U"), np.array(cells.classes)])


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
