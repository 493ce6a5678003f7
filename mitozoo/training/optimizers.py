"""The optimizer of a stage, as its recipe says."""

from __future__ import annotations

import keras

from mitozoo.training.recipe import Recipe, Stage


def optimizer_of(recipe: Recipe, stage: Stage, steps: int) -> keras.optimizers.Optimizer:
    """Return a fresh optimizer.

    Args: recipe; stage, whose learning rate and decay it has; steps of an epoch.
    """
    lr = stage.lr
    if stage.decay == "cosine":
        lr = keras.optimizers.schedules.CosineDecay(stage.lr, steps * stage.epochs)
    elif stage.decay == "steps":
        bounds = [every * steps for every in range(stage.step_epochs, stage.epochs, stage.step_epochs)]
        values = [stage.lr * 0.1**k for k in range(len(bounds) + 1)]
        lr = keras.optimizers.schedules.PiecewiseConstantDecay(bounds, values) if bounds else stage.lr
    common = {"weight_decay": recipe.weight_decay or None, "global_clipnorm": recipe.clip_norm or None}
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(lr, momentum=recipe.momentum, **common)
    return keras.optimizers.Adam(lr, **common)
