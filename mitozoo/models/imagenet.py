"""ImageNet weights of keras.applications for the encoders of our models: from a file, Keras' cache or its URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from mitozoo.base.errors import WeightsError
from mitozoo.models.layers.encoder import ENCODERS

#: Width of MobileNet's first convolution at alpha 1.
_MOBILENET_FIRST = 32


def encoders_of(model: keras.Model) -> list[keras.Model]:
    """The layers of a model, at any depth, that are encoders of keras.applications, in the order of the model."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += [layer] if layer.name in ENCODERS else encoders_of(layer)
    return found


def encoder_of(model: keras.Model) -> keras.Model | None:
    """Return the first encoder of a model; None where there is none."""
    return next(iter(encoders_of(model)), None)


def load_imagenet(model: keras.Model, *sources: str | Path) -> str:
    """Give a model's encoders their ImageNet weights; of several kinds of encoders those that a file fits.

    An encoder may end before its last block: what it lacks of the weights is left out.

    Args: model with an encoder; sources, each "imagenet" for Keras' cache or URL, or a file: `.npz` with arrays by
        "layer/variable" (or "layer_variable") in any float type, or Keras' own `.h5`. None is "imagenet".
    Returns: the names of the encoders that got weights, each once, such as "vgg16" or "vgg16, resnet101".
    Raises: WeightsError for a model without such an encoder, or weights that are missing, damaged or of another shape;
        the model is as it was then.
    """
    encoders = encoders_of(model)
    if not encoders:
        raise WeightsError(f"{model.name} has no encoder that ImageNet weights exist for. Leave --imagenet out.")
    chosen: dict[int, list[np.ndarray]] = {}
    for source in sources or ("imagenet",):
        if str(source) == "imagenet":
            fetched = {encoder.name: _fetched(encoder) for encoder in encoders}
            values: Sequence[list[np.ndarray] | None] = [
                _values(encoder, fetched[encoder.name], f"Keras' {encoder.name}") for encoder in encoders
            ]
        else:
            values = _from_file(encoders, Path(source))
        chosen |= {i: value for i, value in enumerate(values) if value is not None}
    for i, value in chosen.items():
        encoders[i].set_weights(value)
    return ", ".join(dict.fromkeys(encoders[i].name for i in sorted(chosen)))


def _from_file(encoders: list[keras.Model], path: Path) -> list[list[np.ndarray] | None]:
    """Values for each encoder, None for those that the file does not fit; the first's complaint if it fits none."""
    arrays = _of_npz(path) if path.suffix == ".npz" else _of_h5(path, encoders)
    values: list[list[np.ndarray] | None] = []
    complaints = []
    for encoder in encoders:
        try:
            values.append(_values(encoder, arrays, str(path)))
        except WeightsError as error:
            values.append(None)
            complaints.append(error)
    if len(complaints) == len(encoders):
        raise complaints[0]
    return values


def _values(encoder: keras.Model, arrays: Mapping[str, np.ndarray], source: str) -> list[np.ndarray]:
    """An encoder's weights, in its order, out of arrays by "layer_variable"."""
    values = []
    for layer in encoder.layers:
        for variable in layer.weights:
            key = f"{layer.name}_{variable.name}"
            if key not in arrays or arrays[key].shape != tuple(variable.shape):
                have = f"of shape {arrays[key].shape}" if key in arrays else "missing"
                raise WeightsError(
                    f"{source} does not fit {encoder.name}: {layer.name}/{variable.name} should have the shape "
                    f"{tuple(variable.shape)} and is {have}."
                )
            values.append(arrays[key].astype(np.float32))
    return values


def _by_name(encoder: keras.Model) -> dict[str, np.ndarray]:
    return {
        f"{layer.name}_{variable.name}": keras.ops.convert_to_numpy(variable)
        for layer in encoder.layers
        for variable in layer.weights
    }


def _settings(encoder: keras.Model) -> dict[str, float]:
    """What `keras.applications` must be told to build the same encoder, whole."""
    if encoder.name != "mobilenet":
        return {}
    return {"alpha": encoder.get_layer("conv1").filters / _MOBILENET_FIRST}


def _fetched(encoder: keras.Model) -> dict[str, np.ndarray]:
    build = getattr(keras.applications, ENCODERS[encoder.name])
    try:
        shape = (None, None, 3)
        whole = build(input_shape=shape, include_top=False, weights="imagenet", **_settings(encoder))
    except Exception as error:  # noqa: BLE001 - Keras raises a bare Exception where the download fails
        raise WeightsError(
            f"The ImageNet weights of {encoder.name} are not in Keras' cache and cannot be fetched "
            f"({str(error)[:120]}). Give their file with --imagenet FILE."
        ) from error
    return _by_name(whole)


def _of_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {key.replace("/", "_"): stored[key] for key in stored.files}
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as ImageNet weights: {error}.") from error


def _of_h5(path: Path, encoders: list[keras.Model]) -> dict[str, np.ndarray]:
    """Arrays of Keras' own file, which is that of one whole encoder without its top."""
    if not path.is_file():
        raise WeightsError(f"There are no ImageNet weights at {path}.")
    complaint: Exception | None = None
    for name, settings in {encoder.name: _settings(encoder) for encoder in encoders}.items():
        build = getattr(keras.applications, ENCODERS[name])
        whole = build(input_shape=(None, None, 3), include_top=False, weights=None, **settings)
        try:
            whole.load_weights(str(path))
        except (OSError, ValueError, KeyError) as error:
            complaint = complaint or error
        else:
            return _by_name(whole)
    raise WeightsError(f"{path} cannot be read as weights of {encoders[0].name}: {complaint}.") from complaint
