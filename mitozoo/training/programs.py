"""What a stage trains: part of the model, losses, and the windows it learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops

from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.data.pipeline import WindowSettings
from mitozoo.models.registry import ModelSpec
from mitozoo.training.losses import cross_entropy, heat_loss, heat_truth, localization_loss
from mitozoo.training.recipe import Recipe, Stage


@dataclass(frozen=True)
class Program:
    """What a stage fits.

    Attributes: model; losses and loss_weights by output; windows, how they are cut; pick, from the targets of a batch
    to those of the model's outputs and their sample weights; learns_from, class numbers that it sees, or None for all.
    """

    model: keras.Model
    losses: Any
    loss_weights: Any
    windows: WindowSettings
    pick: Callable[[dict], tuple[Any, Any]]
    learns_from: tuple[int, ...] | None = None


class FunctionLoss(keras.losses.Loss):
    """A pure loss function as Keras wants it."""

    def __init__(self, function, name: str) -> None:
        super().__init__(name=name, reduction="sum_over_batch_size", dtype="float32")
        self.function = function

    def call(self, y_true, y_pred):
        """One value a sample."""
        return self.function(y_true, y_pred)


def _class_loss(smoothing: float = 0.0) -> keras.losses.Loss:
    return FunctionLoss(partial(cross_entropy, smoothing=smoothing), "cross_entropy")


def _place_loss() -> keras.losses.Loss:
    return FunctionLoss(localization_loss, "localization")


def program(model: keras.Model, spec: ModelSpec, recipe: Recipe, stage: Stage) -> Program:
    """Return what `stage` trains.

    The classifier of a spatial transformer sees centred cells, cut as the sampler cuts them at the true transform; all
    else sees whole windows with the cell at a random offset.
    """
    windows = WindowSettings(window_px=spec.input_px, **recipe.augment)
    if spec.task == "propose-verify":
        return _propose_or_verify(model, spec, recipe, stage, windows)
    if stage.part == "classifier":
        part = model.get_layer("classifier")
        pool = spec.input_px // 2 // part.input_shape[1]
        centred = replace(windows, window_px=spec.input_px // 2, max_offset_px=0.0, pool=pool)
        return Program(part, _class_loss(), None, centred, lambda targets: (targets["logits"], None))
    located = tuple(spec.classes.index(name) for name in recipe.located) or tuple(range(len(spec.classes)))
    if stage.part == "localizer":
        part = model.get_layer("localizer")
        return Program(part, _place_loss(), None, windows, lambda targets: (targets["theta"], None), located)
    if spec.task != "locate-classify":
        loss = {"logits": _class_loss(recipe.smoothing)}
        return Program(model, loss, None, windows, lambda targets: ({"logits": targets["logits"]}, None))
    table = np.isin(np.arange(len(spec.classes)), located).astype("float32")

    def pick(targets: dict) -> tuple[dict, dict]:
        weight = ops.take(ops.convert_to_tensor(table), targets["logits"])
        return targets, {"theta": weight, "logits": ops.ones_like(weight)}

    losses, weights = {"logits": _class_loss(), "theta": _place_loss()}, {"theta": 1.0, "logits": recipe.kappa}
    return Program(model, losses, weights, windows, pick)


#: Pixels by which a proposal misses the cell; the verifier learns with the cell as far off.
_PROPOSAL_ERROR_PX = 5.0


def _propose_or_verify(
    model: keras.Model, spec: ModelSpec, recipe: Recipe, stage: Stage, windows: WindowSettings
) -> Program:
    """Stages of a model that proposes places and verifies them: the proposer, one verifier, or all in the whole."""
    if stage.part == "proposer":
        side = spec.outputs["heat"][0]
        assert side is not None
        mitotic = np.isin(np.arange(len(spec.classes)), [i for i, c in enumerate(spec.classes) if c in MITOTIC_CLASSES])
        table, half = mitotic.astype("float32"), windows.window_px / 2

        def heat(targets: dict) -> tuple[Any, None]:
            place = half - 0.5 + targets["theta"][:, :, 2] * half
            is_mitotic = ops.take(ops.convert_to_tensor(table), targets["logits"])
            stride_px = windows.window_px // side
            return heat_truth(place[:, 0], place[:, 1], is_mitotic, side=side, stride_px=stride_px), None

        return Program(model.get_layer("proposer"), FunctionLoss(heat_loss, "heat"), None, windows, heat)
    centred = replace(windows, max_offset_px=_PROPOSAL_ERROR_PX)
    loss = _class_loss(recipe.smoothing)
    if stage.part != "whole":
        part = model.get_layer(stage.part)
        cut = replace(centred, window_px=part.input_shape[1])
        return Program(part, loss, None, cut, lambda targets: (targets["logits"], None))
    return Program(model, {"logits": loss}, None, centred, lambda t: ({"logits": t["logits"]}, None))
