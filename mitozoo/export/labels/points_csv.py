"""One CSV: a row a cell, and one row with empty x_px, y_px and label for an image without any."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.data.dataset import Dataset
from mitozoo.data.formats.points_csv import CIRCLE_SIGN, COLUMNS
from mitozoo.export.documents import write_document
from mitozoo.export.labels.entries import Entry


def write(out: Path, dataset: Dataset, entries: Sequence[Entry], *, overwrite: bool = False) -> list[str]:
    """Write one table. Returns: what it does not carry.

    Raises: LabelError for an image whose name a table cannot hold; OutputError where it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        writer.writerows(_rows(entry))
    write_document(out, text.getvalue())
    return [name for name, value in (("licence", dataset.licence), ("source", dataset.source)) if value]


def _rows(entry: Entry) -> Iterable[list[str]]:
    field = entry.field
    if entry.name != entry.name.strip():
        raise LabelError(f"{field.path}: its name begins or ends with a space, which tables lose. Rename the image.")
    about = [
        field.case,
        "" if field.um_per_px is None else repr(float(field.um_per_px)),
        field.domain,
        _yes_no(field.labelled),
        _yes_no(field.complete),
        f" {CIRCLE_SIGN} ".join(" ".join(repr(float(value)) for value in circle) for circle in field.excluded),
        *map(str, entry.size_px or ("", "")),
    ]
    for cell in field.cells:
        yield [entry.name, repr(float(cell.x_px)), repr(float(cell.y_px)), cell.label, *about]
    if not field.cells:
        yield [entry.name, "", "", "", *about]


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
