"""MITOS-ATYPIA-14: frames at 40x with two CSV files each.

Layout: `A03_00Aa.tiff`, and anywhere under the same folder `A03_00Aa_mitosis.csv` and `A03_00Aa_not_mitosis.csv` with
lines `x,y,confidence` (pixels; confidence 0 to 1). The archives put them into `A03/frames/x40/` and `A03/mitosis/`.
Licence: free for research after registration. Source: Roux et al. 2014, mitos-atypia-14.grand-challenge.org.
Split: the contest's test slides have no public labels. Split by slide: A03 and H03 are one slide on two scanners.
Traps: an empty CSV says that there is no such cell; a missing `_mitosis.csv` that the frame is unlabelled. Frames at
20x and 10x share their names' beginning but have no labels.
"""

from __future__ import annotations

import re
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import IMAGE_SUFFIXES
from mitozoo.data.labels import checked_cells, mitos_slide, number_rows, say_missing, size_of

TITLE = "MITOS-ATYPIA-14 frames (A03_00Aa.tiff with A03_00Aa_mitosis.csv and A03_00Aa_not_mitosis.csv)"
#: Scanner and µm per pixel at 40x by the first letter of a name.
SCANNERS = {"A": ("Aperio", 0.2455), "H": ("Hamamatsu", 0.2274)}
_FRAME = re.compile(r"[AH]\d\d_\d\d[A-D][a-d]$")
_TABLE = re.compile(r"([AH]\d\d_\d\d[A-D][a-d])_(not_)?mitosis$")


def recognises(path: Path) -> bool:
    """Whether there is a `…_mitosis.csv` of this naming under the folder."""
    return path.is_dir() and any(_TABLE.match(table.stem) for table in path.rglob("*mitosis.csv"))


def read(path: Path) -> Dataset:
    """Read the folder; frames whose image is missing are listed. Raises: LabelError for malformed or outside points."""
    images = {file.stem: file for file in sorted(path.rglob("*")) if _is_frame(file)}
    tables = {table.stem: table for table in sorted(path.rglob("*mitosis.csv")) if _TABLE.match(table.stem)}
    frames = sorted(set(images) | {name.split("_mitosis")[0].split("_not")[0] for name in tables})
    notes: list[str] = []
    fields = []
    for frame in frames:
        table = tables.get(f"{frame}_mitosis")
        folder = next(file.parent for name, file in tables.items() | images.items() if name.startswith(frame))
        image = images.get(frame, folder / f"{frame}.tiff")
        cells = _cells(table, MITOTIC_FIGURE) + _cells(tables.get(f"{frame}_not_mitosis"), NON_MITOTIC)
        slide, scanner = mitos_slide(frame) or (frame, "")
        fields.append(
            Field(
                path=image,
                case=f"MITOS14/{slide}",
                cells=checked_cells(image, cells, size_of(image), notes),
                um_per_px=SCANNERS[scanner][1],
                complete=table is not None,
                labelled=table is not None,
                domain=SCANNERS[scanner][0],
            )
        )
    say_missing(sum(not field.path.is_file() for field in fields), len(fields), notes)
    unlabelled = sum(not field.labelled for field in fields)
    if unlabelled:
        notes.append(f"{unlabelled} frames have no _mitosis.csv: unlabelled, not counted as negative.")
    return Dataset(
        name="MITOS-ATYPIA-14", fields=tuple(fields), licence="research only, after registration",
        source="Roux et al. 2014, mitos-atypia-14.grand-challenge.org", notes=tuple(notes),
    )  # fmt: skip


def _is_frame(file: Path) -> bool:
    if file.suffix.lower() not in IMAGE_SUFFIXES or not _FRAME.match(file.stem):
        return False
    return not {"x10", "x20"} & set(file.parts)


def _cells(table: Path | None, label: str) -> list[Cell]:
    cells = []
    for line, row in number_rows(table) if table else ():
        if len(row) not in (2, 3):
            raise LabelError(f"{table} line {line} has {len(row)} numbers, not x,y,confidence. Correct the line.")
        cells.append(Cell(row[0], row[1], label))
    return cells
