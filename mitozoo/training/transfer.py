"""How few labels does new tissue need? Trainings on growing shares of its cases, from a source and from nothing.

The cases are divided into folds; every fold is held out once, so that each mitotic figure is tested once at every
share. In each fold the shares are nested: a larger one holds the cases of the smaller. Source: the question of Kamil,
Implementing Transfer Learning for Mitotic Cell Detection (Texas A&M University), which the thesis leaves open.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mitozoo.base.errors import DataError, RecipeError
from mitozoo.base.files import write_text
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.data.cells import Cells
from mitozoo.training import checkpoint
from mitozoo.training.cell_lessons import CellLessons
from mitozoo.training.folds import assign_folds, split
from mitozoo.training.loop import predict_windows, train
from mitozoo.training.material import digest
from mitozoo.training.outcome import PREDICTIONS, Outcome, load_outcome, save_outcome
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.repeat import arrays_sha256
from mitozoo.training.run import RUN_FILE, claim

#: What a training starts from.
SOURCE, IMAGENET, SCRATCH = "source", "imagenet", "scratch"
STARTS = (SOURCE, IMAGENET, SCRATCH)
#: Windows of an epoch; so few that the learning rate falls smoothly in a short training.
_EPOCH_WINDOWS = 4096
#: Parts that tell where a cell is, not of which class.
_LOCATING = ("localizer", "proposer")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What is varied.

    Attributes: fractions of the target's cases, in (0, 1]; repeats, folds that are held out in turn; starts, of
    `STARTS`; windows of the last stage, which every training has; the stages before it, which a training from the
    source leaves out, see as many for each as the recipe's epochs are to its last stage's.
    Raises: RecipeError for a study that makes no sense.
    """

    fractions: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
    repeats: int = 3
    starts: tuple[str, ...] = (SOURCE, SCRATCH)
    windows: int = 10_000
    seed: int = 0

    def __post_init__(self) -> None:
        """Check."""
        if not self.fractions or not all(0 < share <= 1 for share in self.fractions):
            raise RecipeError(f"--fractions are shares above 0 and up to 1, got {_listed(self.fractions) or 'none'}.")
        if self.repeats < 2:
            raise RecipeError(f"--repeats must be 2 or more: one part is held out in turn, got {self.repeats}.")
        strange = [name for name in self.starts if name not in STARTS]
        if strange or not self.starts:
            raise RecipeError(f"--starts takes {', '.join(STARTS)}, got {', '.join(strange) or 'nothing'}.")
        if self.windows < 1:
            raise RecipeError(f"--windows must be 1 or more, got {self.windows}.")


@dataclass(frozen=True)
class Trial:
    """One training: start; repeat, the fold that is held out; fractions that give these cases; cases to learn from."""

    start: str
    repeat: int
    fractions: tuple[float, ...]
    cases: tuple[str, ...]

    @property
    def name(self) -> str:
        """Folder of the trial, below the study's."""
        return f"{self.start}/{len(self.cases):03d}-cases/repeat-{self.repeat}"


@dataclass(frozen=True)
class Finished:
    """A trial, the mitotic figures that it learnt from, and its held-out predictions; no cases: the source as it is."""

    trial: Trial
    figures: int
    outcome: Outcome


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def mitotic(cells: Cells) -> np.ndarray:
    """Which cells (n,) are mitotic figures of any kind."""
    return np.isin(cells.labels, [i for i, name in enumerate(cells.classes) if name in MITOTIC_CLASSES])


def nested_cases(cells: Cells, fraction_list: Sequence[float], seed: int) -> dict[tuple[str, ...], tuple[float, ...]]:
    """The cases at each share: nested, at least one; shares that give the same number are one entry.

    Cases with a mitotic figure come first, in an order drawn with the seed: one without teaches nothing on its own.

    Returns: fractions by cases, smallest first. Raises: DataError if no case has a mitotic figure.
    """
    names = np.unique(cells.cases)
    having = np.unique(cells.cases[mitotic(cells)])
    if not len(having):
        raise DataError("No case to learn from has a labelled mitotic figure. Give other data.")
    order = names[np.random.default_rng(seed).permutation(len(names))]
    order = [str(name) for name in order[np.argsort(~np.isin(order, having), kind="stable")]]
    found: dict[tuple[str, ...], tuple[float, ...]] = {}
    for share in sorted(set(fraction_list)):
        cases = tuple(order[: max(1, math.ceil(share * len(order) - 1e-9))])
        found[cases] = (*found.get(cases, ()), share)
    return found


def trials(cells: Cells, study: Study) -> list[Trial]:
    """All trainings of a study. Raises: DataError if there are fewer cases than repeats."""
    found = []
    for repeat in range(study.repeats):
        learn, _ = _divided(cells, study, repeat)
        for cases, shares in nested_cases(cells.take(learn), study.fractions, study.seed + repeat).items():
            found += [Trial(start, repeat, shares, cases) for start in study.starts]
    return sorted(found, key=lambda trial: (len(trial.cases), trial.repeat, trial.start))


def _last_stages(recipe: Recipe) -> list[Stage]:
    """The last stage that tells classes, or of a model whose parts learn these alone, the last one of each part."""
    found: list[Stage] = []
    for stage in reversed(recipe.stages):
        if stage.epochs and stage.part not in (*_LOCATING, *(later.part for later in found)):
            found.insert(0, stage)
            if stage.part == "whole":
                break
    return found


def short_recipe(recipe: Recipe, start: str, windows: int, seed: int) -> Recipe:
    """A recipe for few cells: epochs of evenly drawn cells, `windows` in the last stage; from a source that one alone.

    The stages before it see as many windows for each of its own as the recipe's epochs are to its last stage's. Of a
    model with several verifiers it is the last stage of each; a stage after these, which tells no class, is left out.
    """
    last = _last_stages(recipe)
    stages = last if start == SOURCE else recipe.stages[: recipe.stages.index(last[-1]) + 1]
    rotate = 1 + bool(recipe.augment.get("rotate", True))

    def shortened(stage: Stage) -> Stage:
        own = windows * stage.epochs / last[-1].epochs
        epochs = max(1, round(own / _EPOCH_WINDOWS)) if stage.epochs else 0
        draws = max(1, round(own / max(epochs, 1) / rotate))
        return dataclasses.replace(stage, epochs=epochs, draws=draws)

    return dataclasses.replace(recipe, stages=tuple(map(shortened, stages)), seed=seed)


def run_study(
    recipe: Recipe,
    cells: Cells,
    source: keras.Model | None,
    study: Study,
    out: Path,
    *,
    imagenet: Sequence[np.ndarray] | None = None,
    resume: bool = False,
    about: dict[str, Any] | None = None,
    tell: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> list[Finished]:
    """Train at every share from every start, into `out`; what is finished is not trained again.

    Args: recipe of the model; cells of the target; source, a model with trained weights, None where no trial starts
        from one; imagenet, weights of the model with its encoder from ImageNet, where trials start from them; about,
        what else `run.json` shall say; tell, called with done, total and what was last done.
    Returns: the trials with their held-out predictions, the untrained source first.
    Raises: OutputError, RecipeError as `run_training`; DataError for too few cases.
    """
    if SOURCE in study.starts and source is None:
        raise RecipeError("A study from a source needs one: give --from.")
    if IMAGENET in study.starts and imagenet is None:
        raise RecipeError("A study from ImageNet needs its weights: give --imagenet.")
    # Every trial has graphs of its own; TensorFlow warns that this is slow if done for every batch.
    tf.get_logger().setLevel("ERROR")
    listed = trials(cells, study)
    plain = recipe.as_dict()
    initial = {SOURCE: source.get_weights() if source is not None else None, IMAGENET: imagenet, SCRATCH: None}
    known = {"recipe": plain, "study": dataclasses.asdict(study), "cells": digest(cells)}
    known["source"] = [arrays_sha256(initial[start] or ()) for start in study.starts]
    mark = checkpoint.fingerprint(known)
    claim(out, mark, resume)
    record = {"model": recipe.model, "recipe": plain, "study": known["study"], "mark": mark, **(about or {})}
    write_text(out / RUN_FILE, json.dumps({**record, "status": "running"}, indent=1) + "\n")
    finished = list(_untrained(recipe, cells, source, study)) if SOURCE in study.starts and source is not None else []
    for done, trial in enumerate(listed):
        tell(done, len(listed), trial.name)
        finished.append(_run(recipe, cells, trial, study, initial[trial.start], out / trial.name, mark))
    tell(len(listed), len(listed), "")
    write_text(out / RUN_FILE, json.dumps({**record, "status": "complete"}, indent=1) + "\n")
    return finished


def _divided(cells: Cells, study: Study, repeat: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks (n,) of the cells to learn from and of those that a repeat holds out."""
    fold_of = assign_folds(cells.cases, cells.labels, study.repeats, seed=study.seed)
    return split(cells.cases, fold_of, repeat)


def _held(cells: Cells, study: Study, repeat: int) -> Cells:
    return cells.take(_divided(cells, study, repeat)[1])


def _untrained(recipe: Recipe, cells: Cells, source: keras.Model, study: Study) -> Iterator[Finished]:
    """What the source finds without a label of the target."""
    for repeat in range(study.repeats):
        test = _held(cells, study, repeat)
        found = predict_windows(source, test, recipe, seed=study.seed + 1)
        outcome = _outcome(test, found, repeat)
        yield Finished(Trial(SOURCE, repeat, (0.0,), ()), 0, outcome)


def _outcome(test: Cells, found: dict[str, np.ndarray], repeat: int) -> Outcome:
    folds = np.full(len(test), repeat)
    return Outcome(test.labels, found["probabilities"], test.cases, test.origins, folds, None)


def _run(
    recipe: Recipe,
    cells: Cells,
    trial: Trial,
    study: Study,
    initial: Sequence[np.ndarray] | None,
    folder: Path,
    mark: str,
) -> Finished:
    """Train one trial, unless it is finished, and predict what was held out."""
    learn = cells.take(np.isin(cells.cases, trial.cases))
    figures = int(mitotic(learn).sum())
    stored = folder / PREDICTIONS
    if not stored.exists():
        test = _held(cells, study, trial.repeat)
        both = set(trial.cases) & set(map(str, test.cases))
        if both:
            raise DataError(f"Case {min(both)!r} would be learnt from and tested on.")
        chosen = short_recipe(recipe, trial.start, study.windows, study.seed + trial.repeat)
        own = checkpoint.fingerprint([mark, trial.name])
        model = train(chosen, CellLessons(chosen, learn), folder, mark=own, initial=initial)
        save_outcome(stored, test, predict_windows(model, test, chosen, seed=study.seed + 1))
        (folder / checkpoint.NAME).unlink(missing_ok=True)
        keras.utils.clear_session(free_memory=True)
    return Finished(trial, figures, load_outcome(stored, trial.repeat))
