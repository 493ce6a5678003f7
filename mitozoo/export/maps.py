"""Masks, for models that give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mitozoo.base.errors import OutputError
from mitozoo.base.files import write_bytes
from mitozoo.export.pictures import encode

_VERBS = {"mask": "segment"}


def missing_map(model: str, name: str) -> OutputError:
    """Return the error for a model that does not give the map called `name` ("mask")."""
    return OutputError(
        f"{model or 'This model'} does not {_VERBS[name]}; --format {name} needs a model that does. "
        f"Leave out {name} or choose another --model."
    )


def write_map(path: Path, name: str, values: np.ndarray) -> None:
    """Write a map as PNG.

    Args: name "mask": values (H, W) bool (written 0 and 255) or uint8 labels as they are.
    Raises: OutputError where the file cannot be written; ValueError for another shape.
    """
    if values.ndim != 2:
        raise ValueError(f"A {name} has two axes, not the shape {values.shape}.")
    write_bytes(
        path, encode(values.astype(np.uint8) * 255 if values.dtype == bool else values.astype(np.uint8), ".png")
    )
