"""What a stage trains: part of the model, losses, and the windows it learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import keras

from mitozoo.data.pipeline import WindowSettings
from mitozoo.models.registry import ModelSpec
from mitozoo.training.losses import cross_entropy, localization_loss
from mitozoo.training.recipe import Recipe, Stage


@dataclass(frozen=True)
class Program:
    """A model to fit, its losses by output, their weights, and its windows; `pick` chooses its targets."""

    model: keras.Model
    losses: Any
    loss_weights: Any
    windows: WindowSettings
    pick: Callable[[dict], Any]


class _Loss(keras.losses.Loss):
    """A pure loss function as Keras wants it."""

    def __init__(self, function, name: str) -> None:
        super().__init__(name=name, reduction="sum_over_batch_size", dtype="float32")
        self.function = function

    def call(self, y_true, y_pred):
        return self.function(y_true, y_pred)


def _class_loss() -> keras.losses.Loss:
    return _Loss(cross_entropy, "cross_entropy")


def _place_loss() -> keras.losses.Loss:
    return _Loss(localization_loss, "localization")


def program(model: keras.Model, spec: ModelSpec, recipe: Recipe, stage: Stage) -> Program:
    """Return what `stage` trains.

    The classifier of a spatial transformer sees centred cells, cut as the sampler cuts them at the true transform; all
    else sees whole windows with the cell at a random offset.
    """
    windows = WindowSettings(window_px=spec.input_px, **recipe.augment)
    if stage.part == "classifier":
        part = model.get_layer("classifier")
        pool = spec.input_px // 2 // part.input_shape[1]
        centred = replace(windows, window_px=spec.input_px // 2, max_offset_px=0.0, pool=pool)
        return Program(part, _class_loss(), None, centred, lambda targets: targets["logits"])
    if stage.part == "localizer":
        return Program(model.get_layer("localizer"), _place_loss(), None, windows, lambda targets: targets["theta"])
    losses, weights = {"logits": _class_loss()}, {"logits": 1.0}
    if spec.task == "locate-classify":
        losses["theta"], weights = _place_loss(), {"theta": 1.0, "logits": recipe.kappa}
    return Program(model, losses, weights, windows, lambda targets: {name: targets[name] for name in losses})
