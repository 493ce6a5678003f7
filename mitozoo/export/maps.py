"""Masks and heatmaps, for models that give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mitozoo.base.errors import OutputError
from mitozoo.base.files import write_bytes
from mitozoo.export.pictures import encode

_VERBS = {"mask": "segment", "heatmap": "give a heatmap"}


def missing_map(model: str, name: str) -> OutputError:
    """Return the error for a model that does not give the map called `name` ("mask" or "heatmap")."""
    return OutputError(
        f"{model or 'This model'} does not {_VERBS[name]}; --format {name} needs a model that does. "
        f"Leave out {name} or choose another --model."
    )


def write_map(path: Path, name: str, values: np.ndarray) -> None:
    """Write a map as PNG.

    Args: name "mask": values (H, W) bool (written 0 and 255) or uint8 labels as they are; name "heatmap": values (H, W)
        in [0, 1], written in 16 bits (65535 is 1).
    Raises: OutputError where the file cannot be written; ValueError for another shape.
    """
    if values.ndim != 2:
        raise ValueError(f"A {name} has two axes, not the shape {values.shape}.")
    if name == "heatmap":
        grey = np.round(np.clip(np.nan_to_num(values.astype(np.float64)), 0, 1) * 65535).astype(np.uint16)
    else:
        grey = values.astype(np.uint8) * 255 if values.dtype == bool else values.astype(np.uint8)
    write_bytes(path, encode(grey, ".png"))
