"""AMIDA13 and TUPAC16: fields of breast cancer with points as row, column.

Layout: `01/01.tif` (case / field) with `01/01.csv`, lines `row,column` in pixels, in the same folder or in another tree
under the one given (`mitoses_ground_truth/01/01.csv`). About 0.25 µm per pixel.
Licence: free for research after registration. Source: Veta et al. 2015, Med Image Anal 20:237 (AMIDA13, cases 01-23);
Veta et al. 2019, Med Image Anal 54:111 (TUPAC16, cases 24-73).
Split: by case, the folder's name.
Traps: **row comes first**, so y before x; files that were saved as x,y are noticed where a field is not square and
turned round. An empty CSV says that there is no mitotic figure, a missing one that the field is unlabelled.
"""

from __future__ import annotations

import re
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import MITOTIC_FIGURE, Cell
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import IMAGE_SUFFIXES
from mitozoo.data.labels import checked_cells, is_inside, number_rows, say_missing, size_of

TITLE = "AMIDA13 / TUPAC16 fields (01/01.tif with 01/01.csv, row,column)"
_Key = tuple[str, str]


def recognises(path: Path) -> bool:
    """Whether there is a CSV `01/01.csv` under the folder."""
    return path.is_dir() and any(_is_field(table) for table in path.rglob("*.csv"))


def read(path: Path) -> Dataset:
    """Read the folder; fields without their image are listed. Raises: LabelError for malformed or outside points."""
    files = [file for file in sorted(path.rglob("*")) if _is_field(file)]
    tables = {_key(file): file for file in files if file.suffix.lower() == ".csv"}
    images = {_key(file): file for file in files if file.suffix.lower() in IMAGE_SUFFIXES}
    sizes = {key: size_of(images[key]) if key in images else None for key in tables.keys() | images.keys()}
    points = {key: _points(table) for key, table in tables.items()}
    notes: list[str] = []
    if _saved_as_xy(points, sizes):
        points = {key: [(y, x) for x, y in pairs] for key, pairs in points.items()}
        notes.append("The points fit their images only as x,y, not as row,column: they were read as x,y.")
    fields = []
    for key in sorted(sizes):
        image = images[key] if key in images else tables[key].with_suffix(".tif")
        cells = [Cell(x, y, MITOTIC_FIGURE) for x, y in points.get(key, ())]
        fields.append(
            Field(
                path=image,
                case=f"TUPAC16/{key[0]}",
                cells=checked_cells(image, cells, sizes[key], notes),
                um_per_px=UM_PER_PX_40X,
                complete=key in tables,
                labelled=key in tables,
                domain="AMIDA13" if int(key[0]) <= 23 else "TUPAC16",
            )
        )
    say_missing(sum(not field.path.is_file() for field in fields), len(fields), notes)
    unlabelled = sum(not field.labelled for field in fields)
    if unlabelled:
        notes.append(f"{unlabelled} fields have no CSV: unlabelled, not counted as negative.")
    return Dataset(
        name="TUPAC16", fields=tuple(fields), licence="research only, after registration",
        source="Veta et al. 2015, Med Image Anal 20:237; Veta et al. 2019, Med Image Anal 54:111", notes=tuple(notes),
    )  # fmt: skip


def _is_field(file: Path) -> bool:
    return bool(re.fullmatch(r"\d\d", file.stem) and re.fullmatch(r"\d\d", file.parent.name))


def _key(file: Path) -> _Key:
    return file.parent.name, file.stem


def _points(table: Path) -> list[tuple[float, float]]:
    """Points as x, y from lines of row, column."""
    points = []
    for line, row in number_rows(table):
        if len(row) not in (2, 3):
            raise LabelError(f"{table} line {line} has {len(row)} numbers, not row,column. Correct the line.")
        points.append((row[1], row[0]))
    return points


def _saved_as_xy(points: dict[_Key, list[tuple[float, float]]], sizes: dict[_Key, tuple[int, int] | None]) -> bool:
    """Whether some point lies outside its image as read, and all lie inside with x and y exchanged."""
    known = [(x, y, size) for key, pairs in points.items() for x, y in pairs if (size := sizes[key])]
    outside = any(not is_inside(x, y, size) for x, y, size in known)
    return outside and all(is_inside(y, x, size) for x, y, size in known)
