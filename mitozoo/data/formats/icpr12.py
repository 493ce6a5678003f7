"""ICPR 2012 MITOS contest: every pixel of every mitotic figure.

Layout: `A00_01.bmp` with `A00_01.csv`: one line a mitotic figure, `x,y,x,y,…` of all its pixels; an odd last item is
a confidence. The point taken is the mean of the pixels. `A00_01.jpg` is a copy with the figures *painted*.
Licence: free for research. Source: Roux et al. 2013, J Pathol Inform 4:8.
Split: the contest trains on 35 and tests on 15 fields of the same five slides; split by slide to be honest. A (Aperio,
0.2456 µm per pixel), H (Hamamatsu, 0.2273) and M (multispectral, 0.185) show the same slides.
Traps: never read the painted `.jpg` as the image; an empty CSV says that there is no mitotic figure, a missing one that
the field is unlabelled; look-alikes are not labelled. `M` files are single bands, named apart from their CSV.
"""

from __future__ import annotations

import re
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import MITOTIC_FIGURE, Cell
from mitozoo.data.dataset import Dataset, Field, MaskSource
from mitozoo.data.labels import checked_cells, mitos_slide, number_rows, say_missing, size_of

TITLE = "ICPR 2012 fields (A00_01.bmp with A00_01.csv, one line of pixels x,y,x,y,… a mitotic figure)"
_SCANNERS = {"A": ("Aperio", 0.2456), "H": ("Hamamatsu", 0.2273), "M": ("multispectral", 0.185)}
_FIELD = re.compile(r"[AHM]\d\d_\d\d([a-d]_\d{4})?$")


def recognises(path: Path) -> bool:
    """Whether there is a CSV of this naming under the folder."""
    return path.is_dir() and any(_FIELD.match(table.stem) for table in path.rglob("*.csv"))


def read(path: Path) -> Dataset:
    """Read the folder; fields without their image are listed. Raises: LabelError for malformed or outside pixels."""
    files = [file for file in sorted(path.rglob("*")) if _FIELD.match(file.stem)]
    tables = {file.stem: file for file in files if file.suffix.lower() == ".csv"}
    images = {file.stem: file for file in files if file.suffix.lower() in (".bmp", ".tif", ".tiff", ".png")}
    painted = {file.stem: file for file in files if file.suffix.lower() in (".jpg", ".jpeg")}
    notes: list[str] = []
    fields = []
    for name in sorted(set(tables) | set(images)):
        table = tables.get(name)
        image = images[name] if name in images else tables[name].with_suffix(".bmp")
        slide, scanner = mitos_slide(name) or (name, "A")
        size = size_of(image) or (size_of(painted[name]) if name in painted else None)
        fields.append(
            Field(
                path=image,
                case=f"ICPR12/{slide}",
                cells=checked_cells(image, _cells(table), size, notes),
                um_per_px=_SCANNERS[scanner][1],
                complete=table is not None,
                labelled=table is not None,
                domain=_SCANNERS[scanner][0],
                mask=MaskSource(table, "pixels") if table else None,
            )
        )
    say_missing(sum(not field.path.is_file() for field in fields), len(fields), notes)
    unlabelled = sum(not field.labelled for field in fields)
    if unlabelled:
        notes.append(f"{unlabelled} fields have no CSV: unlabelled, not counted as negative.")
    return Dataset(
        name="ICPR 2012", fields=tuple(fields), licence="research only", source="Roux et al. 2013, J Pathol Inform 4:8",
        notes=tuple(notes),
    )  # fmt: skip


def _cells(table: Path | None) -> list[Cell]:
    cells = []
    for line, row in number_rows(table) if table else ():
        pixels = row[: len(row) // 2 * 2]
        if not pixels:
            raise LabelError(f"{table} line {line} has one number; x,y,x,y,… of the pixels were expected.")
        count = len(pixels) // 2
        cells.append(Cell(sum(pixels[::2]) / count, sum(pixels[1::2]) / count, MITOTIC_FIGURE))
    return cells
