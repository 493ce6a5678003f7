"""What a training starts from, where not from chance: ImageNet, an entry of the zoo, or the weights of another run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from mitozoo.base.errors import WeightsError
from mitozoo.models import zoo
from mitozoo.models.imagenet import load_imagenet
from mitozoo.models.zoo_source import ZOO, load_source
from mitozoo.training.loop import build_model
from mitozoo.training.recipe import Recipe


def fresh_weights(recipe: Recipe, imagenet: Sequence[str] = (), init: str | None = None) -> list[np.ndarray] | None:
    """Fresh weights of a recipe's model with what is known already, the same for the same seed.

    Args: imagenet, files, or "imagenet" for Keras' cache or download, for the encoders; init, "zoo:NAME", a
        `.weights.h5` file or the folder of a run, whose weights the model takes as far as they fit (after ImageNet's).
    Returns: arrays as `Model.get_weights` gives them; None where there is nothing to start from.
    Raises: WeightsError as `load_imagenet` and `zoo.load`, and where no layer fits.
    """
    if not imagenet and init is None:
        return None
    keras.utils.set_random_seed(recipe.seed)
    model = build_model(recipe)
    if imagenet:
        load_imagenet(model, *imagenet)
    if init is not None:
        take_over(model, _source(recipe, init), init)
    return model.get_weights()


def _source(recipe: Recipe, init: str) -> keras.Model:
    path = Path(init)
    if init.startswith(ZOO) or path.is_dir() or (path.parent / zoo.RUN_NAME).is_file():
        return load_source(init).model
    return zoo.load(recipe.model, weights=path).model


def take_over(model: keras.Model, source: keras.Model, name: str) -> int:
    """Give a model the weights of another one, layer by layer: those with the same place, name and shape.

    Returns: how many arrays were taken. Raises: WeightsError if there is none.
    """
    known: dict[str, np.ndarray] = {}
    for path, array in zip(_paths(source), source.get_weights(), strict=True):
        known[path] = array
    values, taken = [], 0
    for path, now in zip(_paths(model), model.get_weights(), strict=True):
        found = known.get(path)
        fits = found is not None and found.shape == now.shape
        values.append(found if fits else now)
        taken += fits
    if not taken:
        raise WeightsError(f"No layer of {name} fits {model.name}. Start from weights of the same architecture.")
    model.set_weights(values)
    return taken


def _paths(model: keras.Model) -> list[str]:
    """Where each weight of a model is: names of the models and layers around it, and its own, in order of `weights`."""
    found: dict[int, str] = {}

    def walk(layer: keras.layers.Layer, path: str) -> None:
        if isinstance(layer, keras.Model):
            for inner in layer.layers:
                walk(inner, f"{path}{inner.name}/")
        for weight in layer.weights:
            # A layer that several models share is where it was first met.
            found.setdefault(id(weight), path + "/".join(weight.path.split("/")[-2:]))

    walk(model, "")
    return [found[id(weight)] for weight in model.weights]
