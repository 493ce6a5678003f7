"""GeoJSON for QuPath: one file an image, a point an annotation, so that a pathologist can correct them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mitozoo.base.errors import OutputError
from mitozoo.base.files import inside, safe_name
from mitozoo.base.points import NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset
from mitozoo.data.formats._own_key import KEY, to_key
from mitozoo.data.formats.geojson_points import SUFFIX
from mitozoo.export.colours import COLOURS, NAMES
from mitozoo.export.documents import utf8, write_json
from mitozoo.export.labels.entries import Entry, relative

_NAMES = NAMES | {NON_MITOTIC: "Look-alike"}
_COLOURS = COLOURS | {NON_MITOTIC: (240, 228, 66)}
_OWN_CLASS = (120, 120, 120)
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "mitozoo labels")


def feature_collection(entry: Entry, file: Path, folder: Path) -> dict[str, Any]:
    """Return the labels of an image as a FeatureCollection.

    The same image and point give the same UUIDs in every run, so that a second import finds its objects again.
    Args: file that it will be; folder of all of them.
    """
    field = entry.field
    # An image that is not there yet is looked for where its labels lie.
    image = field.path if entry.exists else folder / entry.name
    about = {"image": relative(image, file.parent), **to_key(field, entry.size_px)}
    return {"type": "FeatureCollection", KEY: about, "features": [_feature(entry.name, cell) for cell in field.cells]}


def write(out: Path, dataset: Dataset, entries: Sequence[Entry], *, overwrite: bool = False) -> list[str]:
    """Write a file for every image but those that nobody has labelled, whose missing file says so.

    Returns: what the files do not carry.
    Raises: OutputError where a file exists, would be mixed with others in the folder, or cannot be written.
    """
    written = [entry for entry in entries if entry.field.labelled or entry.field.cells]
    files = _file_names(out, written)
    _refuse_others(out, files, overwrite)
    for entry, file in zip(written, files, strict=True):
        write_json(file, feature_collection(entry, file, out))
    lost = [name for name, value in (("licence", dataset.licence), ("source", dataset.source)) if value]
    # An unlabelled image is read back where it lies in the folder.
    away = sum(not (entry.exists and _within(entry.name)) for entry in entries) - sum(
        not (entry.exists and _within(entry.name)) for entry in written
    )
    return lost + ([f"{away} unlabelled images (they get no file)"] if away else [])


def _feature(name: str, cell: Cell) -> dict[str, Any]:
    identifier = uuid.uuid5(_NAMESPACE, utf8(f"{name}|{cell.x_px!r}|{cell.y_px!r}|{cell.label}").decode())
    return {
        "type": "Feature",
        "id": str(identifier),
        "geometry": {"type": "Point", "coordinates": [cell.x_px, cell.y_px]},
        "properties": {
            "objectType": "annotation",
            "classification": {
                "name": _NAMES.get(cell.label, cell.label),
                "color": list(_COLOURS.get(cell.label, _OWN_CLASS)),
            },
        },
    }


def _within(name: str) -> bool:
    return not (name.startswith("../") or Path(name).is_absolute())


def _file_names(out: Path, entries: Sequence[Entry]) -> list[Path]:
    """A file for each image: beside it where it lies in the folder, else by its name; numbered where two are alike."""
    taken: set[str] = set()
    files = []
    for entry in entries:
        stem = safe_name(entry.name if _within(entry.name) else entry.field.path.name)
        path, name, number = Path(stem), stem, 1
        while name.casefold() in taken:
            number += 1
            name = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()
        taken.add(name.casefold())
        files.append(inside(out, name + SUFFIX))
    return files


def _refuse_others(out: Path, files: Sequence[Path], overwrite: bool) -> None:
    there = sorted(out.rglob(f"*{SUFFIX}")) if out.is_dir() else []
    own = set(files)
    for file in there:
        if file not in own:
            raise OutputError(f"{file} is there already and would be read with the new files. Choose another --out.")
        if not overwrite:
            raise OutputError(f"{file} exists already. Choose another --out, or add --overwrite to replace it.")
