"""ImageNet weights of keras.applications for the encoders of our models: from a file, Keras' cache or its URL."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np

from mitozoo.base.errors import WeightsError

#: By the name of the layer that is the encoder: what builds its twin with Keras' own weights.
_APPLICATIONS = {"mobilenet": "MobileNet", "vgg16": "VGG16"}


def encoder_of(model: keras.Model) -> keras.Model | None:
    """Return the layer of a model, at any depth, that is an encoder of keras.applications; None where there is none."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.Model) and layer.name in _APPLICATIONS:
            return layer
    return None


def load_imagenet(model: keras.Model, source: str | Path = "imagenet") -> str:
    """Give a model's encoder its ImageNet weights.

    Args: model with an encoder; source, "imagenet" for Keras' cache or URL, or a file: `.npz` with arrays by
        "layer/variable" (or "layer_variable") in any float type, or Keras' own `.h5`.
    Returns: the encoder's name.
    Raises: WeightsError for a model without such an encoder, or weights that are missing, damaged or of another shape.
    """
    encoder = encoder_of(model)
    if encoder is None:
        raise WeightsError(f"{model.name} has no encoder that ImageNet weights exist for. Leave --imagenet out.")
    if str(source) == "imagenet":
        _from_keras(encoder)
    elif Path(source).suffix == ".npz":
        _from_arrays(encoder, Path(source))
    else:
        _from_h5(encoder, Path(source))
    return encoder.name


def _from_keras(encoder: keras.Model) -> None:
    build = getattr(keras.applications, _APPLICATIONS[encoder.name])
    try:
        twin = build(input_shape=encoder.input_shape[1:], include_top=False, weights="imagenet")
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception where the download fails
        raise WeightsError(
            f"The ImageNet weights of {encoder.name} are not in Keras' cache and cannot be fetched "
            f"({str(error)[:120]}). Give their file with --imagenet FILE."
        ) from error
    encoder.set_weights(twin.get_weights())


def _from_arrays(encoder: keras.Model, path: Path) -> None:
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key.replace("/", "_"): stored[key] for key in stored.files}
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as ImageNet weights: {error}.") from error
    values = []
    for layer in encoder.layers:
        for variable in layer.weights:
            key = f"{layer.name}_{variable.name}"
            if key not in arrays or arrays[key].shape != tuple(variable.shape):
                have = f"of shape {arrays[key].shape}" if key in arrays else "missing"
                raise WeightsError(
                    f"{path} does not fit {encoder.name}: {layer.name}/{variable.name} should have the shape "
                    f"{tuple(variable.shape)} and is {have}."
                )
            values.append(arrays[key].astype(np.float32))
    encoder.set_weights(values)


def _from_h5(encoder: keras.Model, path: Path) -> None:
    if not path.is_file():
        raise WeightsError(f"There are no ImageNet weights at {path}.")
    try:
        encoder.load_weights(str(path))
    except (OSError, ValueError, KeyError) as error:
        raise WeightsError(f"{path} cannot be read as weights of {encoder.name}: {error}.") from error
