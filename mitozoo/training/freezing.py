"""Layers that a training leaves as they are."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from mitozoo.base.errors import UnknownNameError


def freeze(model: keras.Model, names: Sequence[str]) -> None:
    """Let all layers of a model learn but the named ones, with what is in them; names may be of any depth.

    Frozen normalisations keep their statistics too. Raises: UnknownNameError for a name that no layer has.
    """
    layers = list(model._flatten_layers())
    known = {layer.name for layer in layers} - {model.name}
    for name in names:
        if name not in known:
            raise UnknownNameError(f"layer of {model.name}", name, known)
    for layer in layers:
        layer.trainable = True
    for layer in layers:
        if layer.name in names:
            layer.trainable = False
