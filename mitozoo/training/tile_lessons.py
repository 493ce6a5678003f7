"""Lessons from tiles of fields."""

from __future__ import annotations

from pathlib import Path

import keras
import tensorflow as tf

from mitozoo.data.field_tiles import TileSettings, test_tiles, training_tiles
from mitozoo.data.training_fields import TrainingFields
from mitozoo.models import registry
from mitozoo.training.lessons import Lesson
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.tile_programs import tile_program

#: Held-out tiles whose losses are recorded at most, so that an epoch stays short.
MOST_VALIDATION_TILES = 64


class TileLessons:
    """Tiles of fields, as `Lessons`."""

    def __init__(self, recipe: Recipe, fields: TrainingFields, validation: TrainingFields | None = None) -> None:
        """Args: recipe; fields to learn from; validation, whose losses are recorded (never used to choose)."""
        self.recipe, self.fields, self.validation = recipe, fields, validation
        self.spec = registry.spec(recipe.model)
        self.settings = TileSettings(**recipe.tiles)

    def begin(self, folder: Path) -> None:
        """Nothing to prepare: the fields are in memory."""

    def pass_by(self, model: keras.Model, stage: Stage, number: int) -> None:
        """Nothing is left to later stages."""

    def lesson(self, model: keras.Model, stage: Stage, number: int) -> Lesson:
        """Tiles of a stage."""
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

        held = None
        if self.validation is not None:
            plain = test_tiles(self.validation, self.settings, batch_size=recipe.batch_size, seed=recipe.seed)
            held = plain.take(-(-MOST_VALIDATION_TILES // recipe.batch_size)).map(plan.pick).cache()
        return Lesson(
            model=plan.model,
            losses=plan.losses,
            loss_weights=plan.loss_weights,
            steps=-(-tiles // recipe.batch_size),
            epoch=epoch,
            validation=held,
        )

    def show(self, model: keras.Model, stage: Stage) -> None:
        """Nothing yet."""

    def end(self) -> None:
        """Nothing was kept."""
