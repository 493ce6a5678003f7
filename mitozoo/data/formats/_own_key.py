"""What label files of mitozoo say of an image beside its points: under the key `mitozoo` of a json, or in columns.

No label format of the field has a place for case, spacing, domain, for images nobody has looked at and for places where
nothing is counted. Other programs skip the key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitozoo.base.errors import LabelError
from mitozoo.base.points import Cell
from mitozoo.base.units import PLAUSIBLE_UM_PER_PX
from mitozoo.data.dataset import Field
from mitozoo.data.images import image_header
from mitozoo.data.labels import checked_cells, is_inside
from mitozoo.data.spacing import um_per_px_of

KEY = "mitozoo"
#: No coordinate is this large, and whole numbers up to it are exact as floats.
_FAR = 2.0**53


@dataclass(frozen=True)
class Stated:
    """What a label file says of an image; None and empty where it says nothing.

    Attributes: case, um_per_px, domain, complete, labelled, excluded as in `Field`; size_px, width and height.
    """

    case: str = ""
    um_per_px: float | None = None
    domain: str = ""
    complete: bool | None = None
    labelled: bool | None = None
    excluded: tuple[tuple[float, float, float], ...] = ()
    size_px: tuple[int, int] | None = None


def to_key(field: Field, size_px: tuple[int, int] | None = None) -> dict[str, Any]:
    """Return what stands under `KEY`: always case, labelled and complete; the rest where it is known."""
    said: dict[str, Any] = {"case": field.case, "labelled": field.labelled, "complete": field.complete}
    if field.um_per_px is not None:
        said["um_per_px"] = field.um_per_px
    if field.domain:
        said["domain"] = field.domain
    if field.excluded:
        said["excluded"] = [list(circle) for circle in field.excluded]
    if size_px:
        said["width_px"], said["height_px"] = size_px
    return said


def from_key(said: Any, where: str) -> Stated:
    """Read what stands under `KEY`. Args: where, beginning of messages. Raises: LabelError for nonsense."""
    if not isinstance(said, dict):
        raise LabelError(f"{where}: {KEY!r} is {said!r}, not a group of names and values. Correct or remove it.")
    size = [said.get(name) for name in ("width_px", "height_px")]
    circles = said.get("excluded") or []
    good = {
        "case": isinstance(said.get("case", ""), str),
        "domain": isinstance(said.get("domain", ""), str),
        "um_per_px": said.get("um_per_px") is None or is_number(said["um_per_px"]),
        "labelled": isinstance(said.get("labelled", True), bool),
        "complete": isinstance(said.get("complete", True), bool),
        "excluded": isinstance(circles, list) and all(isinstance(c, list) and _is_circle(c) for c in circles),
        "width_px, height_px": size == [None, None] or all(isinstance(v, int) and v > 0 for v in size),
    }
    for name, fine in good.items():
        if not fine:
            raise LabelError(f"{where}: {name} under {KEY!r} makes no sense. Correct or remove it.")
    return Stated(
        case=said.get("case", ""),
        um_per_px=plausible(said.get("um_per_px"), where),
        domain=said.get("domain", ""),
        complete=said.get("complete"),
        labelled=said.get("labelled"),
        excluded=tuple((float(x), float(y), float(r)) for x, y, r in circles),
        size_px=(size[0], size[1]) if size[0] and size[1] else None,
    )


def is_number(value: Any) -> bool:
    """Whether a value of a json is a finite number that can be a coordinate or length."""
    return isinstance(value, int | float) and not isinstance(value, bool) and -_FAR < value < _FAR


def _is_circle(values: Sequence[Any]) -> bool:
    return len(values) == 3 and all(map(is_number, values)) and values[2] >= 0


def plausible(um_per_px: float | None, where: str) -> float | None:
    """Return a spacing. Raises: LabelError if it is that of no microscope."""
    low, high = PLAUSIBLE_UM_PER_PX
    if um_per_px is not None and not low <= um_per_px <= high:
        raise LabelError(f"{where}: {um_per_px:g} µm per pixel is not plausible ({low:g} to {high:g}). Correct it.")
    return None if um_per_px is None else float(um_per_px)


def find_image(folder: Path, name: str) -> Path:
    """Where the image is: beside the label file, or in `images/`; beside it where it does not exist."""
    return next((place for place in (folder / name, folder / "images" / name) if place.is_file()), folder / name)


def stated_field(image: Path, cells: Sequence[Cell], stated: Stated, *, default_case: str, notes: list[str]) -> Field:
    """Build a field from what a label file says and, for an image that exists, its header.

    An image that the file does not call unlabelled is labelled, and a labelled one complete unless the file says no.
    Raises: LabelError for a point outside, x and y exchanged, or an image of another size; InputError for a damaged
        image.
    """
    size, spacing = stated.size_px, stated.um_per_px
    if image.is_file():
        header = image_header(image)
        if size not in (None, (header.width, header.height)):
            raise LabelError(
                f"{image} has {header.width} x {header.height} px, but its labels are for {_times(size)} px: "
                "they would not fit. Give the image that was labelled."
            )
        size = (header.width, header.height)
        spacing = um_per_px_of(header) if spacing is None else spacing
    _refuse_exchanged(image, cells, size)
    labelled = stated.labelled is not False
    return Field(
        path=image,
        case=stated.case or default_case,
        cells=checked_cells(image, cells, size, notes),
        um_per_px=spacing,
        complete=labelled if stated.complete is None else stated.complete,
        labelled=labelled,
        excluded=stated.excluded,
        domain=stated.domain,
    )


def _times(size: tuple[int, int] | None) -> str:
    return " x ".join(map(str, size or ()))


def _refuse_exchanged(image: Path, cells: Sequence[Cell], size: tuple[int, int] | None) -> None:
    if size is None or all(is_inside(cell.x_px, cell.y_px, size) for cell in cells):
        return
    if all(is_inside(cell.y_px, cell.x_px, size) for cell in cells):
        raise LabelError(
            f"{image}: its points lie inside the image ({_times(size)} px) only with x and y exchanged. "
            "Exchange the two in the label file."
        )
