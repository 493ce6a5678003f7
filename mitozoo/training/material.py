"""What a run learns from: cells here, fields in `mitozoo.training.field_material`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np

from mitozoo.data.cells import Cells
from mitozoo.training.cell_lessons import CellLessons
from mitozoo.training.lessons import Lessons
from mitozoo.training.loop import predict_windows
from mitozoo.training.outcome import save_outcome
from mitozoo.training.recipe import Recipe
from mitozoo.training.repeat import arrays_sha256


class Material(Protocol):
    """What a run learns from, whole or some of its cases.

    Attributes: cases (n,) of its items; labels (n,), by which the folds are balanced; predicts, whether held-out items
    are predicted at the end of the training.
    """

    cases: np.ndarray
    labels: np.ndarray
    predicts: bool

    def take(self, mask: np.ndarray) -> Material:
        """Some of the items."""

    def lessons(self, recipe: Recipe, held_out: Material | None) -> Lessons:
        """What a model learns, with what is held out to record its losses."""

    def predict(self, model: keras.Model, recipe: Recipe, path: Path) -> None:
        """Write what a model finds in these items."""

    def record(self) -> dict[str, Any]:
        """What `run.json` says of the items."""

    def digest(self) -> str:
        """A short hash, so that a run is not resumed on other data."""

    def sha256(self) -> str:
        """SHA-256 of all that is learnt from."""


class CellMaterial:
    """Cells to learn from, as `Material`."""

    predicts = True

    def __init__(self, cells: Cells, remine: Callable[[keras.Model, str], Cells] | None = None) -> None:
        """Args: cells; remine as in `run_training`."""
        self.cells, self.remine = cells, remine
        self.cases, self.labels = cells.cases, cells.labels

    def take(self, mask: np.ndarray) -> CellMaterial:
        """Some of the cells; only their cases are mined from then on."""
        return CellMaterial(self.cells.take(mask), _of_cases(self.remine, np.unique(self.cases[mask])))

    def lessons(self, recipe: Recipe, held_out: Material | None) -> CellLessons:
        """Windows of the cells."""
        validation = held_out.cells if isinstance(held_out, CellMaterial) else None
        return CellLessons(recipe, self.cells, validation, self.remine)

    def predict(self, model: keras.Model, recipe: Recipe, path: Path) -> None:
        """Write the outputs of every cell's window beside its label."""
        save_outcome(path, self.cells, predict_windows(model, self.cells, recipe, seed=recipe.seed + 1))

    def record(self) -> dict[str, Any]:
        """Classes, and how many cells there are of each."""
        counts = {name: int((self.labels == i).sum()) for i, name in enumerate(self.cells.classes)}
        return {"classes": list(self.cells.classes), "cells": counts}

    def digest(self) -> str:
        """Hash of labels, cases and some of the pixels."""
        return digest(self.cells)

    def sha256(self) -> str:
        """Hash of everything."""
        return cells_sha256(self.cells)


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
