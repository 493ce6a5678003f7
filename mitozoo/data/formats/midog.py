"""MIDOG 2021, MIDOG 2022 and MIDOG++, and any COCO json of mitotic figures.

Layout: a json (`MIDOG.json`, `MIDOG++.json`) with `images` (id, file_name, width, height, tumor_type), `categories`
(1 mitotic figure, 2 not mitotic figure) and `annotations` (bbox, category_id, image_id); images beside it or in
`images/`. The path is the json, or a folder with one such json.
Licence: CC BY-NC-ND (MIDOG 2021), CC0 as its json says (MIDOG++). Source: Aubreville et al. 2023, Med Image Anal
84:102699 (MIDOG 2021); Aubreville et al. 2023, Sci Data 10:484 (MIDOG++).
Split: one image is one case. Images 001-200 are the same in all of them (human breast cancer), so they share the case
names `MIDOG21/001.tiff` with AMi-Br.
Traps: MIDOG's `bbox` is x1,y1,x2,y2 (50x50 px), COCO's is x,y,w,h: told apart by what fits, and said. Images 151-200
are *unlabelled*, not negative. Boxes may reach over the image's edge; two centres of MIDOG++ lie just outside and are
moved onto the edge. The json has no spacing: that of images 001-200 is the scanner's, others' comes from the file.
Written by mitozoo: the key `mitozoo` holds in `info` which way `bbox` is, in an image what the format has no place for
(and then the rules for MIDOG's image numbers do not count), in an annotation the `point` where its box, being rounded,
would miss it.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

from mitozoo.base.errors import LabelError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.formats._own_key import KEY, find_image, from_key, is_number, stated_field
from mitozoo.data.images import image_header
from mitozoo.data.labels import checked_cells, class_of, is_inside, own_name, read_text, say_missing
from mitozoo.data.spacing import um_per_px_of

TITLE = "MIDOG or COCO json (images, categories, annotations with bbox)"
#: Last image, scanner and µm per pixel of MIDOG 2021's four blocks of 50.
_BREAST = (
    (50, "Hamamatsu XR", 0.23),
    (100, "Hamamatsu S360", 0.23),
    (150, "Aperio CS2", 0.25),
    (200, "Leica GT450", 0.26),
)
_UNLABELLED = range(151, 201)
_NUMBERED = re.compile(r"(\d{3})\.tiff?")
_BY_NUMBER = {1: MITOTIC_FIGURE, 2: NON_MITOTIC}
#: What `info` says of `bbox` in a json that mitozoo wrote, so that nobody has to guess.
CORNERS, SIZES = "x1,y1,x2,y2", "x,y,w,h"
#: How far a stated point may be from its box's centre, in px; farther, somebody has moved the box.
_ROUNDING_PX = 1e-6
_Box = tuple[float, float, float, float]
_Point = tuple[float, float]


def recognises(path: Path) -> bool:
    """Whether `path` is a json of this layout, or a folder with one."""
    return any(_is_coco(file) for file in ([path] if path.is_file() else _jsons(path)))


def read(path: Path) -> Dataset:
    """Read the json; images that do not exist are listed.

    Raises: LabelError if it is damaged, holds a box of nonsense, an unknown image, or a box outside its image.
    """
    file = _the_json(path)
    content = _load(file)
    notes: list[str] = []
    try:
        images = {image["id"]: image for image in content["images"]}
        categories = {int(item["id"]): str(item["name"]) for item in content.get("categories", ())}
        info = content.get("info") or {}
        own = info.get(KEY) or {}
        boxes = _boxes(file, content["annotations"], images, own.get("bbox"), notes)
        named = "midog" in (file.name + str(info.get("description", ""))).lower()
        # Others take over the file's name; the data sets number their images.
        is_midog = named and any(_NUMBERED.fullmatch(str(image["file_name"])) for image in images.values())
        fields = tuple(
            _field(file, image, _cells(file, image, boxes[uid], categories, notes), is_midog, notes)
            for uid, image in images.items()
        )
        licences = [str(item.get("name", "")) for item in content.get("licenses") or ()]
        source = "Aubreville et al. 2023, Med Image Anal 84:102699 and Sci Data 10:484" if is_midog else str(file)
        source = str(own.get("source") or source)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(
            f"{file} is not a MIDOG or COCO json: {error!r} is missing or wrong. Export it again."
        ) from error
    say_missing(sum(not field.path.is_file() for field in fields), len(fields), notes)
    unlabelled = sum(not field.labelled for field in fields)
    if unlabelled:
        which = " (of 151 to 200)" if is_midog else ""
        notes.append(f"{unlabelled} images{which} were never labelled: not counted as negative.")
    return Dataset(name=file.stem, fields=fields, licence=", ".join(licences), source=source, notes=tuple(notes))


def stated_sizes(path: Path) -> dict[Path, tuple[int, int]]:
    """Width and height in pixels that the json states, by image path. Raises: LabelError as `read`."""
    file = _the_json(path)
    sizes = {find_image(file.parent, str(image["file_name"])): _size(image) for image in _load(file)["images"]}
    return {image: size for image, size in sizes.items() if size}


def _jsons(path: Path) -> list[Path]:
    return sorted(file for file in path.glob("*.json") if not file.name.startswith("."))


def _is_coco(file: Path) -> bool:
    if file.suffix.lower() != ".json":
        return False
    try:
        content = _load(file)
    except LabelError:
        return False
    return isinstance(content, dict) and {"images", "annotations"} <= content.keys()


def _the_json(path: Path) -> Path:
    if path.is_file():
        return path
    found = [file for file in _jsons(path) if _is_coco(file)]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise LabelError(f"{path} should hold one MIDOG or COCO json, but there are: {names}. Give the file itself.")
    return found[0]


def _load(file: Path) -> Any:
    try:
        return json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{file} is not valid JSON ({error}). Download or export it again.") from error


def _boxes(
    file: Path, annotations: list[dict], images: dict[Any, dict], stated: str | None, notes: list[str]
) -> dict[Any, list[tuple[_Point, _Box, int]]]:
    """Point, box as corners x1,y1,x2,y2, and category, by image id."""
    raw = []
    for item in annotations:
        if item["image_id"] not in images:
            raise LabelError(
                f"{file}: annotation {item.get('id')} is on image {item['image_id']}, which is not in images."
            )
        box = tuple(float(value) for value in item["bbox"])
        if len(box) != 4 or not all(abs(value) < 1e9 for value in box):
            raise LabelError(f"{file}: annotation {item.get('id')} has the bbox {item['bbox']}, not four numbers.")
        raw.append((images[item["image_id"]], box, int(item["category_id"]), (item.get(KEY) or {}).get("point")))
    corners = _are_corners(file, [(image, box) for image, box, *_ in raw], stated, notes)
    result: dict[Any, list[tuple[_Point, _Box, int]]] = defaultdict(list)
    for image, box, category, exact in raw:
        (a, b, c, d) = box
        box = box if corners else (a, b, a + c, b + d)
        result[image["id"]].append((_point(box, exact), box, category))
    return result


def centre(box: _Box) -> _Point:
    """Centre of a box x1,y1,x2,y2."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _point(box: _Box, exact: Any) -> _Point:
    x, y = centre(box)
    if isinstance(exact, list) and len(exact) == 2 and all(map(is_number, exact)):
        if max(abs(exact[0] - x), abs(exact[1] - y)) <= _ROUNDING_PX:
            return float(exact[0]), float(exact[1])
    return x, y


def _are_corners(file: Path, boxes: list[tuple[dict, _Box]], stated: str | None, notes: list[str]) -> bool:
    """Whether `bbox` is x1,y1,x2,y2 rather than x,y,w,h: as stated; else what fits all; else what makes sizes alike."""
    if not boxes:
        return True
    corners_fit = all(c > a and d > b for _, (a, b, c, d) in boxes)
    if stated is not None:
        return _as_stated(file, [box for _, box in boxes], stated, notes)
    sizes_fit = all(
        c > 0 and d > 0 and a + c <= width + c / 2 and b + d <= height + d / 2
        for (width, height), (a, b, c, d) in ((_size(image) or (math.inf, math.inf), box) for image, box in boxes)
    )
    if not corners_fit and not sizes_fit:
        wrong = next(box for _, box in boxes if not (box[2] > box[0] and box[3] > box[1]))
        raise LabelError(f"{file}: the bbox {list(wrong)} is neither x1,y1,x2,y2 nor x,y,w,h within its image.")
    if corners_fit and sizes_fit:
        spread_corners = _spread([box[2] - box[0] for _, box in boxes])
        spread_sizes = _spread([box[2] for _, box in boxes])
        corners_fit = spread_corners <= spread_sizes
        notes.append("bbox could be x1,y1,x2,y2 or x,y,w,h: taken as what makes the boxes alike in size. Check it.")
    notes.append(f"bbox was read as {'x1,y1,x2,y2 (MIDOG)' if corners_fit else 'x,y,w,h (COCO)'}.")
    return corners_fit


def _as_stated(file: Path, boxes: list[_Box], stated: str, notes: list[str]) -> bool:
    corners = stated == CORNERS
    if stated not in (CORNERS, SIZES):
        raise LabelError(f"{file}: info says that bbox is {stated!r}. Write {CORNERS!r} or {SIZES!r}, or remove it.")
    for a, b, c, d in boxes:
        if not ((c > a and d > b) if corners else (c > 0 and d > 0)):
            raise LabelError(f"{file}: the bbox {[a, b, c, d]} is not {stated}, as info says. Correct one of the two.")
    notes.append(f"bbox was read as {stated}, as the file says.")
    return corners


def _spread(lengths: list[float]) -> float:
    return statistics.pstdev(lengths) / statistics.fmean(lengths)


def _size(image: dict) -> tuple[int, int] | None:
    """Width and height of an entry; a json that mitozoo wrote leaves them out where nobody knows them."""
    if KEY in image and "width" not in image:
        return None
    return int(image["width"]), int(image["height"])


def _cells(
    file: Path, image: dict, boxes: list[tuple[_Point, _Box, int]], categories: dict[int, str], notes: list[str]
) -> list[Cell]:
    cells = []
    size = _size(image)
    for (x, y), (x1, y1, x2, y2), category in boxes:
        if size and not is_inside(x, y, size) and x2 > 0 and y2 > 0 and x1 < size[0] and y1 < size[1]:
            notes.append(f"{image['file_name']}: a box centred at {x:g}, {y:g} was moved onto the edge.")
            x, y = min(max(x, 0.0), size[0] - 1.0), min(max(y, 0.0), size[1] - 1.0)
        name = categories.get(category)
        label = _BY_NUMBER.get(category) if name is None else class_of(name) or own_name(name)
        if label is None:
            raise LabelError(f"{file}: category {category} is not in categories. Add it.")
        cells.append(Cell(x, y, label))
    return cells


def _field(file: Path, image: dict, cells: list[Cell], is_midog: bool, notes: list[str]) -> Field:
    name = str(image["file_name"])
    path = find_image(file.parent, name)
    size = _size(image)
    tumour = str(image.get("tumor_type") or "")
    if KEY in image:
        stated = from_key(image[KEY], f"{file}: image {name}")
        stated = dataclasses.replace(stated, domain=stated.domain or tumour, size_px=size)
        return stated_field(path, cells, stated, default_case=name, notes=notes)
    digits = _NUMBERED.fullmatch(name)
    index = int(digits[1]) if digits and is_midog else 0
    breast = next((row for row in _BREAST if 1 <= index <= row[0]), None)
    labelled = bool(cells) or index not in _UNLABELLED
    return Field(
        path=path,
        case=f"MIDOG21/{name}" if breast else f"MIDOG++/{name}" if index else name,
        cells=checked_cells(path, cells, size, notes),
        um_per_px=breast[2] if breast else um_per_px_of(image_header(path)) if path.is_file() else None,
        complete=labelled,
        labelled=labelled,
        domain=tumour or (breast[1] if breast else ""),
    )
