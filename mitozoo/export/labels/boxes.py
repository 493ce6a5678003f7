"""Boxes around points, 50 x 50 px as in MIDOG, in a json with images, categories and annotations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset
from mitozoo.data.formats._own_key import KEY, to_key
from mitozoo.data.formats.midog import CORNERS, centre
from mitozoo.export.documents import write_json
from mitozoo.export.labels.entries import Entry

BOX_PX = 50.0
#: MIDOG's two categories; atypical figures and a data set's own classes follow.
CATEGORIES = {MITOTIC_FIGURE: "mitotic figure", NON_MITOTIC: "hard negative", ATYPICAL: "atypical mitotic figure"}
#: `tumor_type` is for a domain that names a tumour, not for a scanner.
_TUMOUR = re.compile(r"\b(cancer|tumou?r|\w+oma)\b", re.IGNORECASE)


def document(dataset: Dataset, entries: Sequence[Entry], bbox: str) -> dict[str, Any]:
    """Return the labels as a json of boxes whose centres are the points.

    Boxes are not cut at the image's edge, so that the centre stays. Where a centre cannot be told exactly by a box of
    doubles (small fractions), the annotation has the point as well.
    Args: bbox, `midog.CORNERS` or `midog.SIZES`.
    """
    own = sorted({cell.label for entry in entries for cell in entry.field.cells} - CATEGORIES.keys())
    names = CATEGORIES | {label: label for label in own}
    numbers = {label: number for number, label in enumerate(names, start=1)}
    annotations: list[dict[str, Any]] = []
    for image_id, entry in enumerate(entries, start=1):
        for cell in entry.field.cells:
            known = {"id": len(annotations) + 1, "image_id": image_id, "category_id": numbers[cell.label]}
            annotations.append(known | _box(cell, bbox))
    about = {"bbox": bbox} | ({"source": dataset.source} if dataset.source else {})
    return {
        "info": {"description": f"Labels of {dataset.name}, written by mitozoo data convert", KEY: about},
        "licenses": [{"id": 1, "name": dataset.licence}] if dataset.licence else [],
        "images": [_image(image_id, entry) for image_id, entry in enumerate(entries, start=1)],
        "categories": [{"id": numbers[label], "name": name} for label, name in names.items()],
        "annotations": annotations,
    }


def write_boxes(out: Path, dataset: Dataset, entries: Sequence[Entry], bbox: str) -> list[str]:
    """Write `document`. Returns: what it does not carry, nothing. Raises: OutputError where it cannot be written."""
    write_json(out, document(dataset, entries, bbox))
    return []


def _box(cell: Cell, bbox: str) -> dict[str, Any]:
    left, top = cell.x_px - BOX_PX / 2, cell.y_px - BOX_PX / 2
    if bbox == CORNERS:
        corners = (left, top, cell.x_px + BOX_PX / 2, cell.y_px + BOX_PX / 2)
        said: dict[str, Any] = {"bbox": list(corners)}
    else:
        corners = (left, top, left + BOX_PX, top + BOX_PX)
        said = {"bbox": [left, top, BOX_PX, BOX_PX], "area": BOX_PX * BOX_PX, "iscrowd": 0}
    exact = {} if centre(corners) == (cell.x_px, cell.y_px) else {KEY: {"point": [cell.x_px, cell.y_px]}}
    return said | exact


def _image(image_id: int, entry: Entry) -> dict[str, Any]:
    said: dict[str, Any] = {"id": image_id, "file_name": entry.name}
    if entry.size_px:
        said["width"], said["height"] = entry.size_px
    if _TUMOUR.search(entry.field.domain):
        said["tumor_type"] = entry.field.domain
    return said | {KEY: to_key(entry.field)}
