"""GeoJSON of QuPath, one file an image.

Layout: `x.tiff.geojson` or `x.geojson` beside `x.tiff`, or with the images in `images/`; a FeatureCollection, a list of
features or one feature, as QuPath exports them. The path is a folder with such files in it or in its sub-folders, or
one of the files.
An object's class is its classification. Its point is a Point, every one of a MultiPoint, or the centroid of a Polygon
or MultiPolygon. Written by mitozoo, the file's key `mitozoo` holds case, spacing and the like; QuPath leaves it out
when it exports the objects again.
Case: as the file says, else the image.
Traps: a file without objects says that the image was looked at and holds nothing, a missing file that it is unlabelled.
QuPath counts from the corner of the first pixel and mitozoo from its centre, so a place that was clicked reads half a
pixel (0.12 µm at 40x) too far right and down; it is left so, since `mitozoo predict` and `mitozoo data convert` write
without a shift and points have to come back as they were. Of slides with bounds QuPath counts from the bounds: give the
exported region, not the slide. Objects of a class that QuPath ignores (`Region*`) are left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mitozoo.base.errors import LabelError
from mitozoo.base.points import ATYPICAL, CLASSES, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.formats._own_key import KEY, Stated, find_image, from_key, is_number, stated_field
from mitozoo.data.labels import class_of, own_name, read_text, say_missing
from mitozoo.data.listing import IMAGE_SUFFIXES, list_images

TITLE = "GeoJSON of QuPath (x.tiff.geojson or x.geojson for every image x.tiff)"
SUFFIX = ".geojson"
_OBJECTS = ("annotation", "detection", "cell")
#: Classes whose objects QuPath leaves out of its counts end so.
_IGNORED = "*"
_Point = tuple[float, float]


def recognises(path: Path) -> bool:
    """Whether `path` is a .geojson file, or a folder with one."""
    return any(True for _ in _files(path))


def read(path: Path) -> Dataset:
    """Read the files; images without one are unlabelled, and images that do not exist are listed.

    Raises: LabelError for a file that is damaged or of another kind, for an object without class or without a point,
        and for a point outside its image.
    """
    notes: list[str] = []
    seen: Counter[str] = Counter()
    fields = [_field(path, file, seen, notes) for file in sorted(_files(path))]
    known: dict[str, Field] = {}
    for item in fields:
        name = str(item.path.resolve())
        if name in known:
            raise LabelError(f"{item.path} has two .geojson files. Remove one of them.")
        known[name] = item
    fields += _unlabelled(path, set(known))
    say_missing(sum(not item.path.is_file() for item in fields), len(fields), notes)
    unlabelled = sum(not item.labelled for item in fields)
    if unlabelled:
        notes.append(f"{unlabelled} images have no .geojson: unlabelled, not counted as negative.")
    if seen["ignored"]:
        notes.append(f"{seen['ignored']} objects of a class that QuPath ignores (its name ends with *) were left out.")
    if seen["scored"]:
        notes.append(
            f"{seen['scored']} objects carry a probability, as 'mitozoo predict' writes it. They are labels only if "
            "somebody has checked them."
        )
    _say_own_classes(fields, notes)
    name = path.resolve().name.removesuffix(SUFFIX)
    return Dataset(name=name, fields=tuple(fields), source=str(path), notes=tuple(notes))


def stated_sizes(path: Path) -> dict[Path, tuple[int, int]]:
    """Width and height in pixels that the files state, by image path."""
    sizes = {}
    for file in _files(path):
        stated, name = _stated(file, _load(file))
        if stated.size_px:
            sizes[_image(path, file, name)] = stated.size_px
    return sizes


def _files(path: Path) -> Iterator[Path]:
    candidates = [path] if path.is_file() else path.rglob(f"*{SUFFIX}")
    return (file for file in candidates if file.suffix.lower() == SUFFIX and not file.name.startswith("."))


def _field(path: Path, file: Path, seen: Counter[str], notes: list[str]) -> Field:
    content = _load(file)
    stated, name = _stated(file, content)
    image = _image(path, file, name)
    cells = []
    for number, feature in enumerate(_features(file, content), start=1):
        where = f"{file}: object {number}"
        properties = _group(feature, "properties")
        label = _label(properties, feature, where)
        if label is None:
            seen["ignored"] += 1
            continue
        cells += [Cell(x, y, label) for x, y in _points(_group(feature, "geometry"), where)]
        seen["scored"] += "probability" in str(properties.get("measurements", ""))
    root = path if path.is_dir() else file.parent
    case = image.relative_to(root).as_posix() if image.is_relative_to(root) else image.name
    return stated_field(image, cells, stated, default_case=case, notes=notes)


def _group(feature: dict, name: str) -> dict:
    value = feature.get(name)
    return value if isinstance(value, dict) else {}


def _load(file: Path) -> Any:
    try:
        # QuPath writes NaN for a measurement it could not make; as a coordinate it is refused below.
        return json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{file} is not valid JSON ({error}). Export it again.") from error


def _features(file: Path, content: Any) -> list[dict]:
    if isinstance(content, dict) and content.get("type") == "Feature":
        content = [content]
    features = content.get("features") if isinstance(content, dict) else content
    if not isinstance(features, list) or not all(isinstance(item, dict) for item in features):
        raise LabelError(
            f"{file} is GeoJSON without a list of features. In QuPath choose File, Export objects as GeoJSON."
        )
    return features


def _stated(file: Path, content: Any) -> tuple[Stated, str]:
    """What the file says of its image, and the image's name from the file's folder, or ""."""
    said = content.get(KEY) if isinstance(content, dict) else None
    if said is None:
        return Stated(), ""
    stated = from_key(said, str(file))
    return stated, str(said.get("image") or "")


def _image(path: Path, file: Path, name: str) -> Path:
    """The image of a file: where the file says, else by its own name beside it or in `images/`."""
    if name and (file.parent / name).is_file():
        return file.parent / name
    root = path if path.is_dir() else file.parent
    stem = file.name[: -len(SUFFIX)]
    names = [stem] if Path(stem).suffix.lower() in IMAGE_SUFFIXES else []
    names += [stem + suffix for suffix in (*IMAGE_SUFFIXES, *(suffix.upper() for suffix in IMAGE_SUFFIXES))]
    for candidate in names:
        below = (file.parent / candidate).relative_to(root).as_posix()
        for place in (file.parent / candidate, find_image(root, below), find_image(file.parent, candidate)):
            if place.is_file():
                return place
    return file.parent / (name or stem)


def _label(properties: dict, feature: dict, where: str) -> str | None:
    """The class of an object, or None for one that QuPath ignores. Raises: LabelError where it has none."""
    kind = next((properties[key] for key in ("objectType", "object_type", "type") if key in properties), _OBJECTS[0])
    if kind not in _OBJECTS:
        raise LabelError(f"{where} is a {kind}, not an annotation or detection. Delete it in QuPath and export again.")
    given = properties.get("classification")
    if isinstance(given, dict):
        given = given.get("names") or given.get("name")
    parts = [str(part).strip() for part in (given if isinstance(given, list) else str(given or "").split(":"))]
    parts = [part for part in parts if own_name(part)]
    if not parts:
        shape = _group(feature, "geometry").get("type", "no geometry")
        raise LabelError(
            f"{where} ({shape}) has no classification. In QuPath, select it, give it a class (Mitotic figure, "
            "Look-alike …) or delete it, and export again."
        )
    if any(part.endswith(_IGNORED) for part in parts):
        return None
    whole = " ".join(parts)
    classes = [class_of(part) for part in parts]
    # A class under a class (Mitotic figure: Atypical) says more than the one above; one that is no mitosis class
    # above or below (Tumor: Positive) makes it another thing.
    return class_of(whole) or (own_name(whole) if None in classes else ATYPICAL if ATYPICAL in classes else classes[-1])


def _points(geometry: dict, where: str) -> list[_Point]:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates", ())
    try:
        if kind == "Point":
            return [_pair(coordinates)]
        if kind == "MultiPoint":
            return [_pair(item) for item in coordinates]
        if kind == "Polygon":
            return [_centroid([coordinates])]
        if kind == "MultiPolygon":
            return [_centroid(coordinates)]
    except (TypeError, ValueError, IndexError, KeyError):
        raise LabelError(f"{where}: the coordinates of its {kind} are no numbers x, y. Export it again.") from None
    raise LabelError(
        f"{where} is a {kind or 'thing without geometry'}, not a Point, MultiPoint or Polygon. Mark cells with points "
        "or closed outlines in QuPath and export again."
    )


def _pair(item: Sequence[Any]) -> _Point:
    if not (is_number(item[0]) and is_number(item[1])):
        raise ValueError(item)
    return float(item[0]), float(item[1])


def _centroid(polygons: Sequence[Sequence[Sequence[Any]]]) -> _Point:
    """Centroid of the area within the outer rings, or the mean of their corners where they enclose none."""
    rings = [[_pair(item) for item in polygon[0]] for polygon in polygons]
    # From a corner nearby, so that far from the origin no digits are lost.
    x0, y0 = rings[0][0]
    area = sum_x = sum_y = 0.0
    for ring in rings:
        part = part_x = part_y = 0.0
        shifted = [(x - x0, y - y0) for x, y in ring]
        for (x, y), (u, v) in zip(shifted, shifted[1:] + shifted[:1], strict=True):
            cross = x * v - u * y
            part, part_x, part_y = part + cross, part_x + (x + u) * cross, part_y + (y + v) * cross
        sign = 1.0 if part >= 0 else -1.0
        area, sum_x, sum_y = area + sign * part, sum_x + sign * part_x, sum_y + sign * part_y
    if area <= 0:
        corners = [point for ring in rings for point in ring]
        return sum(x for x, _ in corners) / len(corners), sum(y for _, y in corners) / len(corners)
    return x0 + sum_x / (3 * area), y0 + sum_y / (3 * area)


def _unlabelled(path: Path, known: set[str]) -> list[Field]:
    """The images under the folder that have no file."""
    has_image = path.is_dir() and any(file.suffix.lower() in IMAGE_SUFFIXES for file in path.rglob("*"))
    found = [(name, image) for name, image in (list_images([path]) if has_image else ())]
    stated = Stated(labelled=False)
    return [
        stated_field(image, (), stated, default_case=name, notes=[])
        for name, image in found
        if str(image.resolve()) not in known
    ]


def _say_own_classes(fields: Sequence[Field], notes: list[str]) -> None:
    own = Counter(cell.label for item in fields for cell in item.cells if cell.label not in CLASSES)
    for label, count in sorted(own.items()):
        notes.append(f"{count} cells are {label}: neither mitotic figures nor look-alikes.")
