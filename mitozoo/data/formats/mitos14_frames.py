"""Frames of MITOS-ATYPIA-14 with one table of points.

Layout: `labels.csv` (`image,x,y,label`, pixels, label `mitosis` or `nonmitosis`) beside the frames `A03_00Ad.png` …
A row with empty x, y and label says that the image was looked at and holds nothing.
Licence: CC BY 4.0. Source: Roux et al. 2014, MITOS-ATYPIA-14; labels of SlideRunner's MITOS2014 database.
Split: by slide, the `03` of `A03_00Ad`; Aperio (A) and Hamamatsu (H) frames show the same slides.
Traps: an image without a row is unlabelled, not free of mitotic figures.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.formats.mitos_atypia14 import SCANNERS
from mitozoo.data.images import list_images
from mitozoo.data.labels import checked_cells, class_of, header_of, mitos_slide, number, own_name, size_of, table_rows

TITLE = "fields with one table of points (labels.csv with image,x,y,label)"
_COLUMNS = ("image", "x", "y", "label")


def recognises(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return header_of(path / "labels.csv") >= set(_COLUMNS)


def read(path: Path) -> Dataset:
    """Read the folder. Raises: LabelError for a row without its image, a malformed row or a point outside."""
    table = path / "labels.csv"
    cells: dict[str, list[Cell]] = defaultdict(list)
    for line, row in table_rows(table, _COLUMNS):
        where = f"{table} line {line}"
        if not (path / row["image"]).is_file():
            raise LabelError(f"{where}: {path / row['image']} does not exist. Remove the row or add the file.")
        known = cells[row["image"]]
        if row["x"] or row["y"] or row["label"]:
            label = class_of(row["label"]) or own_name(row["label"])
            known.append(Cell(number(row["x"], where), number(row["y"], where), label))
    notes: list[str] = []
    fields = []
    for name, image in list_images([path]):
        slide, scanner = mitos_slide(image.name) or (image.stem, "")
        spacing = SCANNERS.get(scanner, ("", None))
        fields.append(
            Field(
                path=image,
                case=f"MITOS14/{slide}" if scanner else slide,
                cells=checked_cells(image, cells[name], size_of(image), notes) if name in cells else (),
                um_per_px=spacing[1],
                complete=name in cells,
                labelled=name in cells,
                domain=spacing[0],
            )
        )
    unlabelled = sum(not field.labelled for field in fields)
    if unlabelled:
        notes.append(f"{unlabelled} images have no row in labels.csv: unlabelled, not counted as negative.")
    return Dataset(
        name="MITOS-ATYPIA-14 frames", fields=tuple(fields), licence="CC BY 4.0", source="Roux et al. 2014",
        notes=tuple(notes),
    )  # fmt: skip
