"""Places of fields that are not to be learnt from: what could be a mitotic figure where nobody has looked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.labels import number, table_rows

#: Columns that are read; others, such as those of `detections.csv`, may be there.
COLUMNS = ("image", "x_px", "y_px")
#: About a place so much is left out, in the field's pixels: a mitotic figure at 40x.
RADIUS_PX = 30.0


def leave_out(sets: Sequence[Dataset], tables: Sequence[Path]) -> list[Dataset]:
    """Exclude the places that tables name from the fields of data sets.

    Args: sets; tables, CSV files with the columns image, x_px and y_px, such as `detections.csv` of a search of the
    same folder: an image is the end of the path of a field.
    Returns: the sets, their fields with circles of `RADIUS_PX` more in `excluded`.
    Raises: LabelError for a table that cannot be read, or an image that is of no field or of several.
    """
    places: dict[Path, list[tuple[float, float, float]]] = {}
    paths = sorted({field.path for item in sets for field in item.fields})
    for table in tables:
        for line, row in table_rows(table, COLUMNS):
            where = f"{table} line {line}"
            x, y = number(row["x_px"], where), number(row["y_px"], where)
            places.setdefault(_path_of(row["image"], paths, where), []).append((x, y, RADIUS_PX))
    return [dataclasses.replace(item, fields=tuple(_without(field, places) for field in item.fields)) for item in sets]


def _without(field: Field, places: dict[Path, list[tuple[float, float, float]]]) -> Field:
    return dataclasses.replace(field, excluded=(*field.excluded, *places.get(field.path, ())))


def _path_of(image: str, paths: Sequence[Path], where: str) -> Path:
    """The field's path that ends as an image's name in a table does."""
    parts = Path(image).parts
    found = [path for path in paths if parts and path.parts[-len(parts) :] == parts]
    if len(found) != 1:
        what = "no field of --negatives" if not found else f"{len(found)} fields of --negatives"
        raise LabelError(f"{where}: {image!r} is the name of {what}. Give the end of its path, so that it is one.")
    return found[0]
