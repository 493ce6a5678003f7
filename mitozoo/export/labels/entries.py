"""What all writers of labels need: every image under the name by which its label file finds it, checked and sized."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.labels import class_of, own_name, size_of
from mitozoo.data.listing import IMAGE_SUFFIXES

_Size = tuple[int, int]


@dataclass(frozen=True)
class Entry:
    """One image to be written.

    Attributes: name, where the image is from the folder of the label file, with `/`, or, for an image that does not
    exist, from the folder that was read; field; size_px, width and height, or None where nobody states it; exists.
    """

    name: str
    field: Field
    size_px: _Size | None
    exists: bool


def stated_sizes(path: Path, name: str) -> dict[Path, _Size]:
    """The sizes that a label file of the format `name` states, by image path; empty for formats that state none."""
    module = importlib.import_module(f"mitozoo.data.formats.{name}")
    return module.stated_sizes(path) if hasattr(module, "stated_sizes") else {}


def entries_of(dataset: Dataset, folder: Path, root: Path, sizes: Mapping[Path, _Size]) -> list[Entry]:
    """Return the images of a data set, in its order.

    Args: folder that the label file, or the files, will lie in; root, folder that was read; sizes in pixels by path.
    Raises: LabelError for an image that is there twice, a number that is not finite, or a class without a name.
    """
    entries: dict[str, Entry] = {}
    for field in dataset.fields:
        _check(field)
        exists = field.path.is_file()
        name = relative(field.path, folder if exists else root)
        if name in entries:
            raise LabelError(f"{field.path} is listed twice in {dataset.name}. Remove one of the two.")
        has_header = exists and field.path.suffix.lower() in (*IMAGE_SUFFIXES, ".svs")
        size = size_of(field.path) if has_header else None
        entries[name] = Entry(name, field, size or sizes.get(field.path), exists)
    return list(entries.values())


def relative(path: Path, folder: Path) -> str:
    """The way from a folder to a file, with `/`; the whole path where they lie on different drives."""
    inner, outer = os.path.abspath(path), os.path.abspath(folder)
    if not Path(inner).is_relative_to(outer):
        # `..` leads out of what a link points at, not out of the link.
        inner = os.path.join(os.path.realpath(os.path.dirname(inner)), os.path.basename(inner))
        outer = os.path.realpath(outer)
    try:
        return Path(os.path.relpath(inner, outer)).as_posix()
    except ValueError:
        return Path(inner).as_posix()


def _check(field: Field) -> None:
    for cell in field.cells:
        if not (math.isfinite(cell.x_px) and math.isfinite(cell.y_px)):
            raise LabelError(f"{field.path}: a {cell.label} lies at x {cell.x_px}, y {cell.y_px}. Correct its label.")
        if not cell.label or (class_of(cell.label) or own_name(cell.label)) != cell.label:
            raise LabelError(
                f"{field.path}: the class {cell.label!r} would not be read back as it is. Name it with letters, digits "
                "and spaces in the label file."
            )
    if not all(math.isfinite(value) for circle in field.excluded for value in circle):
        raise LabelError(f"{field.path}: an excluded place is not finite. Correct it.")
