"""Files for a second look in QuPath: what a run found, and what it doubted, as annotations that can be corrected."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitozoo.base.errors import DataError, LabelError, OutputError
from mitozoo.base.files import inside, make_folder, safe_name
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.data.dataset import Field
from mitozoo.data.formats._own_key import KEY, to_key
from mitozoo.data.formats.geojson_points import SUFFIX
from mitozoo.data.labels import number, read_text, size_of, table_rows
from mitozoo.data.listing import list_images, nearest_sibling
from mitozoo.export.colours import COLOURS, LOOK_AGAIN, LOOK_AGAIN_COLOUR, NAMES
from mitozoo.export.documents import utf8, write_document, write_json
from mitozoo.export.formats import RUN_FILE
from mitozoo.export.labels.entries import relative
from mitozoo.export.summary import ASSUMED
from mitozoo.inference.result import OK

#: Record of what was written, by which the corrections are told.
RECORD, READ_ME = "review.json", "README.txt"
DETECTIONS, DOUBTFUL, SUMMARY = "detections.csv", "doubtful.csv", "summary.csv"
#: Label of a cell that somebody has to look at, as a class of QuPath's is read.
UNSURE = "look_again"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "mitozoo review")
_COLUMNS = ("image", "x_px", "y_px", "score", "label", "atypical_score")
_NAMED = 5
_WORDS = """What to do with the files in this folder, in QuPath (0.4 or later):

1. Open an image and drag its file (the image's name with .geojson) onto it. Each cell is a point annotation:
   "Mitotic figure" (red), "Atypical mitotic figure" (blue), or "Look again" (amber): the model was not sure.
2. Look at each of them.
   - Not a mitotic figure: delete it, or give it the class "Look-alike". Both teach the model that it is none.
   - "Look again" that is a mitotic figure: give it the class "Mitotic figure" or "Atypical mitotic figure".
   - Mitotic figure of the other kind: give it the other class. Right: leave it.
   To find the classes in the list: Annotations tab, the three dots, Populate from existing objects.
3. Look at the rest of the image. Mark each mitotic figure that was missed with the points tool, and give it a class.
4. File, Export objects as GeoJSON: all objects, as FeatureCollection, not compressed. Save it in this folder under the
   same name, in place of the file that was dragged, also where nothing had to be changed and where nothing is left: a
   file that was not saved again counts as not looked at.

Leave review.json as it is. Then read the files back:

    mitozoo review --read THIS_FOLDER --images FOLDER_OF_THE_IMAGES --out labels.json
"""


@dataclass(frozen=True)
class Review:
    """What was written.

    Attributes: out; images, names; detections and doubtful, numbers of cells; failed, names of images that had not
    been searched; unsearched, names of images that were given but were not part of the run.
    """

    out: Path
    images: tuple[str, ...]
    detections: int
    doubtful: int
    failed: tuple[str, ...]
    unsearched: tuple[str, ...]


@dataclass(frozen=True)
class _Marked:
    x_px: float
    y_px: float
    score: float
    label: str
    atypical_score: float | None


def write_review(paths: Sequence[str | Path], found: str | Path, out: str | Path, *, overwrite: bool = False) -> Review:
    """Write a GeoJSON for every image that was searched, `README.txt` and `review.json`.

    Args: paths, images and folders as the search was given them; found, folder that `mitozoo predict` wrote; out, the
        folder for the files; overwrite files that are there.
    Raises: DataError where `found` is no finished run, or an image of it is not among `paths` or has changed its size;
        LabelError for a damaged table; InputError; OutputError where `out` is taken or cannot be written.
    """
    found, out = Path(found), Path(out)
    run = _run(found)
    images = dict(list_images([Path(path) for path in paths]))
    rows = [row for _, row in table_rows(_table(found, SUMMARY), ("image", "width_px", "height_px", "status"))]
    searched = [row for row in rows if row["status"] == OK]
    _check_images(found, searched, images)
    counted, doubted = _cells(_table(found, DETECTIONS)), _cells(_table(found, DOUBTFUL))
    files = _files(out, [row["image"] for row in searched])
    _refuse_taken(out, list(files.values()), overwrite)
    make_folder(out)
    # Its presence tells whole files, which these are not before the end.
    (out / RECORD).unlink(missing_ok=True)
    listed = []
    for row in searched:
        name = row["image"]
        marked = counted.get(name, []) + [
            _Marked(item.x_px, item.y_px, item.score, UNSURE, item.atypical_score) for item in doubted.get(name, [])
        ]
        listed.append(_write_image(row, images[name], files[name], out, marked))
    write_document(out / READ_ME, _WORDS)
    about = {key: run[key] for key in ("model", "weights_sha256", "threshold", "look_again", "tta") if key in run}
    write_json(out / RECORD, {"review": 1, "run": about, "images": listed}, indent=1)
    return Review(
        out=out,
        images=tuple(row["image"] for row in searched),
        detections=sum(map(len, counted.values())),
        doubtful=sum(map(len, doubted.values())),
        failed=tuple(row["image"] for row in rows if row["status"] != OK),
        unsearched=tuple(sorted(set(images) - {row["image"] for row in rows})),
    )


def _run(found: Path) -> Mapping[str, Any]:
    if not found.is_dir():
        raise DataError(f"No such folder: {found}. {nearest_sibling(found)}".rstrip())
    if not (found / RUN_FILE).is_file():
        raise DataError(
            f"{found} has no {RUN_FILE}, so it is no finished run. Give a folder that 'mitozoo predict' wrote."
        )
    try:
        content = json.loads(read_text(found / RUN_FILE))
    except ValueError as error:
        raise LabelError(f"{found / RUN_FILE} is not valid JSON ({error}). Run 'mitozoo predict' again.") from error
    return content if isinstance(content, dict) else {}


def _table(found: Path, name: str) -> Path:
    if not (found / name).is_file():
        raise DataError(f"{found} has no {name}. Run 'mitozoo predict' again with csv among its --format.")
    return found / name


def _check_images(found: Path, searched: Sequence[Mapping[str, str]], images: Mapping[str, Path]) -> None:
    missing = [row["image"] for row in searched if row["image"] not in images]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise DataError(
            f"{found} has results of images that were not given: {', '.join(missing[:_NAMED])}{more}. Give the images "
            "and folders that 'mitozoo predict' was given."
        )
    if not searched:
        raise DataError(f"No image of {found} could be searched, so there is nothing to look at again.")
    for row in searched:
        path = images[row["image"]]
        size, stated = size_of(path), (row["width_px"], row["height_px"])
        if size is None or tuple(map(str, size)) != stated:
            now = "cannot be found" if size is None else f"has {size[0]} x {size[1]} px"
            raise DataError(
                f"{path} {now}, but had {stated[0]} x {stated[1]} px when it was searched. Give the image that was "
                "searched, or run 'mitozoo predict' again."
            )


def _cells(table: Path) -> dict[str, list[_Marked]]:
    cells: dict[str, list[_Marked]] = defaultdict(list)
    for line, row in table_rows(table, _COLUMNS):
        where = f"{table} line {line}"
        if row["label"] not in MITOTIC_CLASSES:
            raise LabelError(f"{where}: {row['label']!r} is no label of a mitotic figure. Run 'mitozoo predict' again.")
        values = [number(row[name], where) for name in ("x_px", "y_px", "score")]
        atypical = number(row["atypical_score"], where) if row["atypical_score"] else None
        cells[row["image"]].append(_Marked(values[0], values[1], values[2], row["label"], atypical))
    return cells


def _files(out: Path, names: Sequence[str]) -> dict[str, Path]:
    """A file for each image by its name; a number where two names become alike."""
    files: dict[str, Path] = {}
    taken: set[str] = set()
    for name in names:
        plain = Path(safe_name(name))
        stem, again = plain.as_posix(), 1
        while stem.casefold() in taken:
            again += 1
            stem = plain.with_name(f"{plain.stem}-{again}{plain.suffix}").as_posix()
        taken.add(stem.casefold())
        files[name] = inside(out, stem + SUFFIX)
    return files


def _refuse_taken(out: Path, files: Sequence[Path], overwrite: bool) -> None:
    for file in sorted(out.rglob(f"*{SUFFIX}")) if out.is_dir() else []:
        if file not in set(files):
            raise OutputError(f"{file} is there already and would be read with the new files. Choose another --out.")
    for file in [*files, out / READ_ME, out / RECORD]:
        if file.exists() and not overwrite:
            raise OutputError(
                f"{file} exists already, perhaps with corrections. Choose another --out, or add --overwrite to "
                "replace it."
            )


def _write_image(
    row: Mapping[str, str], image: Path, file: Path, out: Path, marked: Sequence[_Marked]
) -> dict[str, Any]:
    """Write the file of one image. Returns: what the record says of it."""
    name = row["image"]
    spacing = float(row["um_per_px"]) if row.get("um_per_px") else None
    assumed = row.get("spacing_source") == ASSUMED
    size = (int(row["width_px"]), int(row["height_px"]))
    # Nobody has looked at it yet: read as labels as it is, the image is unlabelled.
    field = Field(image, name, um_per_px=None if assumed else spacing, complete=False, labelled=False)
    about = {"image": relative(image, file.parent), **to_key(field, size)}
    seen: Counter[str] = Counter()
    features = [_feature(name, item, seen) for item in marked]
    write_json(file, {"type": "FeatureCollection", KEY: about, "features": features})
    return {
        "image": name,
        "file": file.relative_to(out).as_posix(),
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "width_px": size[0],
        "height_px": size[1],
        "um_per_px": spacing,
        "spacing_assumed": assumed,
        "cells": [{"x_px": item.x_px, "y_px": item.y_px, "score": item.score, "label": item.label} for item in marked],
    }


def _feature(name: str, item: _Marked, seen: Counter[str]) -> dict[str, Any]:
    key = f"{name}|{item.x_px:.2f}|{item.y_px:.2f}"
    seen[key] += 1
    measurements = {"probability": item.score}
    if item.atypical_score is not None:
        measurements["atypical probability"] = item.atypical_score
    unsure = item.label == UNSURE
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_NAMESPACE, utf8(f"{key}|{seen[key]}").decode())),
        "geometry": {"type": "Point", "coordinates": [item.x_px, item.y_px]},
        "properties": {
            "objectType": "annotation",
            "classification": {
                "name": LOOK_AGAIN if unsure else NAMES[item.label],
                "color": list(LOOK_AGAIN_COLOUR if unsure else COLOURS[item.label]),
            },
            "measurements": measurements,
        },
    }
