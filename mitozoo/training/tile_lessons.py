"""Lessons from tiles of fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from mitozoo.data.field_tiles import TileSettings, test_tiles, training_tiles
from mitozoo.data.training_fields import TrainingFields
from mitozoo.models import registry
from mitozoo.training.lessons import Lesson
from mitozoo.training.miner import Miner
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.tile_pictures import write_tiles
from mitozoo.training.tile_programs import tile_program

#: Held-out tiles whose losses are recorded at most, so that an epoch stays short.
MOST_VALIDATION_TILES = 64


#: From a model in training and fields to places (k, 2) of each field that it takes for mitotic figures, wrongly.
Remine = Callable[[keras.Model, TrainingFields], list[np.ndarray]]


class TileLessons:
    """Tiles of fields, as `Lessons`."""

    def __init__(
        self,
        recipe: Recipe,
        fields: TrainingFields,
        validation: TrainingFields | None = None,
        remine: Remine | None = None,
    ) -> None:
        """Prepare.

        Args: recipe; fields to learn from; validation, whose losses are recorded (never used to choose); remine, what
        finds hard negatives before a stage that mines: negative tiles are centred on them first, in later stages too.
        """
        self.recipe, self.fields, self.validation, self.remine = recipe, fields, validation, remine
        self.spec = registry.spec(recipe.model)
        self.settings = TileSettings(**recipe.tiles)

    def begin(self, folder: Path) -> None:
        """Get ready to mine; the fields are in memory."""
        remine = self.remine
        found = None if remine is None else lambda model, what: remine(model, self.fields)
        self._mine: Miner = Miner(folder, self.recipe, found)

    def pass_by(self, model: keras.Model, stage: Stage, number: int) -> None:
        """Mine what a stage mines."""
        if (found := self._mine(model, stage, number)) is not None:
            self.fields = self.fields.with_hard(found)

    def lesson(self, model: keras.Model, stage: Stage, number: int) -> Lesson:
        """Tiles of a stage."""
        self.pass_by(model, stage, number)
        plan = tile_program(model, self.spec, self.recipe, stage)
        recipe = self.recipe
        tiles = stage.draws

        def epoch(done: int) -> tf.data.Dataset:
            return training_tiles(
                self.fields,
                self.settings,
                batch_size=recipe.batch_size,
                tiles=tiles,
                seed=recipe.seed,
                stage=number,
                epoch=done,
            ).map(plan.pick)

        plain = self._held_out()
        return Lesson(
            model=plan.model,
            losses=plan.losses,
            loss_weights=plan.loss_weights,
            steps=-(-tiles // recipe.batch_size),
            epoch=epoch,
            validation=None if plain is None else plain.map(plan.pick).cache(),
        )

    def _held_out(self) -> tf.data.Dataset | None:
        """The first held-out tiles, plain."""
        if self.validation is None:
            return None
        batch = self.recipe.batch_size
        tiles = test_tiles(self.validation, self.settings, batch_size=batch, seed=self.recipe.seed)
        return tiles.take(-(-MOST_VALIDATION_TILES // batch))

    def show(self, model: keras.Model, stage: Stage) -> None:
        """Write held-out tiles, with outlines of what is labelled and of what is found."""
        if (plain := self._held_out()) is not None:
            write_tiles(stage.name, model, plain)

    def end(self) -> None:
        """Remove the weights that were kept for mining."""
        self._mine.clear()
