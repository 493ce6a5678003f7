"""Read Keras `.weights.h5` files with care: HDF5 only, of the right architecture, finite. Nothing is ever unpickled."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitozoo.base.errors import MitozooError, WeightsError
from mitozoo.models import registry
from mitozoo.models.zoo_manifest import WEIGHTS_SUFFIX

if TYPE_CHECKING:
    import keras

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: What Keras stores beside a model's weights: the optimizer's state and the random generators' seeds.
_NOT_WEIGHTS = frozenset({"optimizer", "seed_generator"})
_HINT = f"Give a Keras {WEIGHTS_SUFFIX} file, as 'mitozoo train' writes them."


def _kind(head: bytes) -> str:
    if not head:
        return "it is empty"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return "it is a Python pickle, which could run any program"
    if head.startswith(b"PK\x03\x04"):
        return "it is a zip archive (a .keras or .pt file)"
    return "it is not HDF5"


def shapes(path: Path) -> Counter[tuple[int, ...]]:
    """Count the shapes of the weights in a `.weights.h5` file, without the optimizer's state and random seeds.

    Raises: WeightsError where the file is missing, truncated, or anything else than Keras weights.
    """
    import h5py

    if not path.is_file():
        raise WeightsError(f"There are no weights at {path}. {_HINT}")
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError as error:
        raise WeightsError(f"Cannot read the weights {path}: {error.strerror}. {_HINT}") from error
    if head != _HDF5_SIGNATURE:
        raise WeightsError(f"{path} does not hold weights: {_kind(head)}. {_HINT}")
    found: Counter[tuple[int, ...]] = Counter()

    def note(name: str, item: Any) -> None:
        parts = name.split("/")
        if isinstance(item, h5py.Dataset) and "vars" in parts and _NOT_WEIGHTS.isdisjoint(parts):
            found[tuple(item.shape)] += 1

    try:
        with h5py.File(path, "r") as file:
            whole_model = "model_weights" in file or "layer_names" in file.attrs
            file.visititems(note)
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        raise WeightsError(f"The weights {path} are truncated or damaged. Fetch or train them again.") from error
    if whole_model:
        raise WeightsError(
            f"{path} is of the old Keras format. Save it again with model.save_weights('…{WEIGHTS_SUFFIX}')."
        )
    if not found:
        raise WeightsError(f"{path} is HDF5 without Keras weights in it. {_HINT}")
    if not path.name.endswith(WEIGHTS_SUFFIX):
        raise WeightsError(f"Keras loads weights by their name only: rename {path} to end with {WEIGHTS_SUFFIX}.")
    return found


def parameters(found: Counter[tuple[int, ...]]) -> int:
    """Return how many numbers are in weights of these shapes."""
    return sum(math.prod(shape) * count for shape, count in found.items())


def _look_like(found: Counter[tuple[int, ...]]) -> str:
    """Name the architecture whose parameter count these weights have."""
    wanted = parameters(found)
    for name in registry.names():
        try:
            if registry.spec(name).params == wanted:
                return f"They look like those of {name!r}"
        except (MitozooError, ImportError):
            continue
    return f"They hold {wanted:,} parameters, which no architecture of mitozoo has by default"


def load_into(model: keras.Model, path: Path, name: str) -> None:
    """Load `path` into `model`, an architecture called `name`.

    The shapes are compared first: Keras itself takes a file that has more layers than the model without a word.
    Raises: WeightsError for a file that is not whole Keras weights, is of another architecture, or holds NaN.
    """
    import keras
    import numpy as np

    found = shapes(path)
    expected = Counter(tuple(weight.shape) for weight in model.weights)
    if found != expected:
        raise WeightsError(
            f"The weights {path} are not of {name!r}, which has {parameters(expected):,} parameters. "
            f"{_look_like(found)}. Name the model that they were trained for."
        )
    try:
        model.load_weights(str(path))
    except (OSError, RuntimeError, KeyError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise WeightsError(
            f"The weights {path} are not of {name!r} as it is built now ({first}). "
            "Give the settings that they were trained with, in a run.json beside them, or train again."
        ) from error
    for weight in model.weights:
        if not np.isfinite(keras.ops.convert_to_numpy(weight)).all():
            raise WeightsError(
                f"The weights {path} hold NaN or infinity (in {weight.path}): their training failed. "
                "Take an earlier checkpoint, or train again with a lower learning rate."
            )
