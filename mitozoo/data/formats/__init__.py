"""Public and private label formats, one file each, found by their files.

A module has `TITLE` (the layout in a few words), `recognises(path) -> bool` and `read(path) -> Dataset`.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.data.dataset import Dataset
from mitozoo.data.listing import nearest_sibling

#: Names of all formats, sorted.
FORMATS = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def recognise(path: str | Path) -> str:
    """Return the format of a folder or label file.

    Raises: DataError if the path does not exist, if no format fits (listing what was looked for) or if several do.
    """
    path = _existing(path)
    fitting = [name for name in FORMATS if _module(name).recognises(path)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise DataError(f"{path} could be {' or '.join(fitting)}. Say which with --data-format.")
    looked_for = "".join(f"\n  {name}: {_module(name).TITLE}" for name in FORMATS)
    raise DataError(f"{path} is in no known label format. Looked for:{looked_for}")


def read(path: str | Path, format: str | None = None) -> Dataset:
    """Read a labelled data set.

    Args: path, folder or label file; format, one of `FORMATS`, or None to recognise it.
    Raises: DataError as `recognise`, or if it holds no image; UnknownNameError for an unknown format; LabelError for
        labels that are malformed or do not fit their images.
    """
    path = _existing(path)
    if format is not None and format not in FORMATS:
        raise UnknownNameError("data format", format, FORMATS)
    name = format or recognise(path)
    dataset: Dataset = _module(name).read(path)
    if not dataset.fields:
        raise DataError(f"{path} holds no image of the format {name} ({_module(name).TITLE}).")
    return dataset


def _existing(path: str | Path) -> Path:
    path = Path(path)
    if not path.exists():
        raise DataError(f"No such file or folder: {path}. {nearest_sibling(path)}".rstrip())
    return path


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"mitozoo.data.formats.{name}")
