"""What the loop learns from: lessons, one a stage, whether their samples are windows of cells or tiles of fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

from mitozoo.training.recipe import Stage


@dataclass(frozen=True)
class Lesson:
    """One stage's model and samples.

    Attributes: model that is fitted, which shares its weights with the whole; losses and loss_weights by output, as
    `compile` takes them; steps of an epoch; epoch, from its number to its batches as `fit` takes them, the same for the
    same number; validation, batches whose losses are recorded, or None.
    """

    model: keras.Model
    losses: Any
    loss_weights: Any
    steps: int
    epoch: Callable[[int], tf.data.Dataset]
    validation: tf.data.Dataset | None = None


class Lessons(Protocol):
    """All that a training learns from."""

    def begin(self, folder: Path) -> None:
        """Get ready, inside the strategy's scope; `folder` is the run's."""

    def lesson(self, model: keras.Model, stage: Stage, number: int) -> Lesson:
        """The lesson of a stage; called in the order of the stages that have epochs, for finished ones `pass_by`."""

    def pass_by(self, model: keras.Model, stage: Stage, number: int) -> None:
        """Do what a finished stage leaves to later ones, such as mining."""

    def show(self, model: keras.Model, stage: Stage) -> None:
        """Write pictures of a finished stage into the TensorBoard summary that is open."""

    def end(self) -> None:
        """Remove what was kept in the folder for resuming."""
