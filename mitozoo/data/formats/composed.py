"""Fields that `mitozoo data compose` made: real mitotic figures placed into real tissue, with pixel masks.

Layout: `cells.csv` (`image,x,y,label,case,origin,source,radius,strong`) and `composed.json` beside `images/` and
`masks/` with PNGs at 0.25 µm per pixel. `label` is a class; `origin` and `source` say which patch or field a cell is
from, `case` of which slide; `radius` in pixels; `strong` 0 where the chromatin could not be told: its mask is a disc.
Case: that of the tissue. The cells are of other slides: both were of one part if `--split` was given.
Traps: only as good as what was composed. Fields whose tissue nobody has looked at are not complete: a mitotic figure
of the tissue itself may be inside. An image without a file in `masks/` has centres only.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from mitozoo.base.errors import LabelError
from mitozoo.base.points import CLASSES, Cell
from mitozoo.data.dataset import Dataset, Field, MaskSource
from mitozoo.data.labels import checked_cells, header_of, number, size_of, table_rows

TITLE = "fields of `mitozoo data compose` (cells.csv and composed.json beside images/ and masks/)"
_COLUMNS = ("image", "x", "y", "label", "case", "origin", "source", "radius", "strong")


def recognises(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return (path / "composed.json").is_file() and header_of(path / "cells.csv") >= set(_COLUMNS)


def read(path: Path) -> Dataset:
    """Read the folder. Raises: LabelError for a malformed row or record, or an image that is missing."""
    record = _record(path / "composed.json")
    table = path / "cells.csv"
    cells: dict[str, list[Cell]] = defaultdict(list)
    for line, row in table_rows(table, _COLUMNS):
        where = f"{table} line {line}"
        if row["label"] not in CLASSES:
            raise LabelError(f"{where}: {row['label']!r} is no class. Write one of {', '.join(CLASSES)}.")
        cells[row["image"]].append(Cell(number(row["x"], where), number(row["y"], where), row["label"]))
    unknown = sorted(set(cells) - {entry["image"] for entry in record["images"]})
    if unknown:
        raise LabelError(f"{table} names {unknown[0]}, which composed.json does not. Remove its rows.")
    notes: list[str] = []
    fields = tuple(_field(path, entry, cells[entry["image"]], record["um_per_px"], notes) for entry in record["images"])
    notes.append("Composed: mitotic figures and as many ordinary nuclei were placed into other tissue.")
    return Dataset(name=path.resolve().name, fields=fields, source=str(path), notes=tuple(notes))


def _record(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
        entries = [
            (str(entry["image"]), str(entry["case"]), str(entry["domain"]), bool(entry["complete"]), entry["excluded"])
            for entry in content["images"]
        ]
        if not entries or not 0 < float(content["um_per_px"]):
            raise ValueError("it names no image or no spacing")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path} is no record of composed fields: {error}. Compose them again.") from None
    return dict(content)


def _field(path: Path, entry: dict[str, Any], cells: list[Cell], um_per_px: float, notes: list[str]) -> Field:
    image, mask = path / "images" / entry["image"], path / "masks" / entry["image"]
    size = size_of(image)
    if size is None:
        raise LabelError(f"{path}/composed.json names {image}, which does not exist. Compose the fields again.")
    return Field(
        path=image,
        case=entry["case"],
        cells=checked_cells(image, cells, size, notes),
        um_per_px=float(um_per_px),
        complete=bool(entry["complete"]),
        excluded=tuple((float(x), float(y), float(radius)) for x, y, radius in entry["excluded"]),
        domain=entry["domain"],
        mask=MaskSource(mask, "image") if mask.is_file() else None,
    )
