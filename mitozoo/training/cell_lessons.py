"""Lessons from windows around cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mitozoo.base.errors import DataError
from mitozoo.data.augment import stain_statistics
from mitozoo.data.cells import Cells
from mitozoo.data.pipeline import WindowSettings, test_windows, training_windows
from mitozoo.models import registry
from mitozoo.training.lessons import Lesson
from mitozoo.training.miner import Miner
from mitozoo.training.programs import Program, program
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.tracking import write_examples


class CellLessons:
    """Windows of cells, as `Lessons`."""

    def __init__(
        self,
        recipe: Recipe,
        cells: Cells,
        validation: Cells | None = None,
        remine: Callable[[keras.Model, str], Cells] | None = None,
    ) -> None:
        """Prepare.

        Args: recipe; cells to learn from; validation, whose losses are recorded at every epoch (never used to choose);
        remine, called before a stage that mines, with the model as it is and what the stage mines: its cells are learnt
        from as well, in later stages too.
        Raises: DataError if none is left of the cells.
        """
        self.recipe, self.validation, self.remine = recipe, validation, remine
        self.spec = registry.spec(recipe.model)
        known = _left(cells, recipe.without)
        if len(cells) and not len(known):
            raise DataError(f"No cell is left without those of {', '.join(recipe.without)}. Leave out less.")
        self._known = known

    def begin(self, folder: Path) -> None:
        """Get ready to mine, and measure the stains."""
        self._mine = Miner(folder, self.recipe, self.remine)
        self._known = _with_stains(self._known, self.recipe)

    def pass_by(self, model: keras.Model, stage: Stage, number: int) -> None:
        """Mine what a stage mines."""
        if found := self._mine(model, stage, number):
            self._known = self._known.joined(_with_stains(_left(found, self.recipe.without), self.recipe))

    def lesson(self, model: keras.Model, stage: Stage, number: int) -> Lesson:
        """Windows of the classes that a stage learns from."""
        self.pass_by(model, stage, number)
        plan, cells, recipe = program(model, self.spec, self.recipe, stage), self._known, self.recipe
        rows = _rows_of(plan, cells.labels)
        if not len(rows):
            wanted = ", ".join(cells.classes[i] for i in plan.learns_from or ())
            raise DataError(
                f"Stage {stage.name!r} has no cell to learn from ({wanted}). "
                "Give more slides with --data, or fewer --folds."
            )
        counts = np.unique(cells.labels[rows], return_counts=True)[1]
        once = len(counts) * counts.min() if stage.balanced else counts.sum()

        def epoch(done: int) -> tf.data.Dataset:
            return training_windows(
                cells,
                plan.windows,
                batch_size=recipe.batch_size,
                seed=recipe.seed,
                stage=number,
                epoch=done,
                rows=rows,
                balanced=stage.balanced,
                draws=stage.draws,
            ).map(lambda windows, targets: _with_targets(plan, windows, targets))

        return Lesson(
            model=plan.model,
            losses=plan.losses,
            loss_weights=plan.loss_weights,
            steps=-(-int(stage.draws or once) * (1 + plan.windows.rotate) // recipe.batch_size),
            epoch=epoch,
            validation=self._held_out(plan),
        )

    def _held_out(self, plan: Program) -> tf.data.Dataset | None:
        if self.validation is None or not len(kept := _rows_of(plan, self.validation.labels)):
            return None
        plain = test_windows(self.validation.take(kept), plan.windows, batch_size=256, seed=self.recipe.seed)
        return plain.map(lambda windows, targets: _with_targets(plan, windows, targets)).cache()

    def show(self, model: keras.Model, stage: Stage) -> None:
        """Write held-out windows: hits, misses and false alarms."""
        write_examples(stage.name, model, self.recipe, self.validation)

    def end(self) -> None:
        """Remove the weights that were kept for mining."""
        self._mine.clear()


def _with_targets(plan: Program, windows: tf.Tensor, targets: dict[str, tf.Tensor]) -> tuple:
    picked, weights = plan.pick(targets)
    return (windows, picked) if weights is None else (windows, picked, weights)


def _rows_of(plan: Program, labels: np.ndarray) -> np.ndarray:
    """Rows of the classes that a stage learns from."""
    wanted = plan.learns_from
    return np.arange(len(labels)) if wanted is None else np.flatnonzero(np.isin(labels, wanted))


def _with_stains(cells: Cells, recipe: Recipe) -> Cells:
    """The cells with the statistics of their stains, where windows take those of others: once, not in every epoch."""
    restains = WindowSettings(**recipe.augment).restains
    return replace(cells, stains=stain_statistics(cells.canvases)) if restains else cells


def _left(cells: Cells, without: Sequence[str]) -> Cells:
    """The cells but those of the origins that are left out, mined ones too."""
    plain = np.array([str(origin).removeprefix("hard ").removeprefix("harder ") for origin in cells.origins])
    return cells.take(np.flatnonzero(~np.isin(plain, without))) if without else cells
