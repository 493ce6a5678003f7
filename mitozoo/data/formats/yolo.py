"""YOLO text files: one `.txt` an image, with lines `class x y width height`.

Layout: `x.txt` beside `x.jpg`, or `labels/…/x.txt` for `images/…/x.jpg` (also `train/labels/` for `train/images/`);
centre and size of a box as shares of the image's width and height. Names of the classes in `classes.txt` (a line a
class) or under `names:` in `data.yaml`. The path is the folder, or its `data.yaml`.
Case: what stands before `_patch_` or `_tile_` in the name, the slide of a MITOS name, else the image; what Roboflow
adds to a name is left out, so that the changed copies of one image are one case.
Traps: without names, 0 is taken as mitotic figure and 1 as look-alike, and said; an empty `.txt` says that there is
none of either, a missing one that the image is unlabelled; train/ and val/ folders are not kept apart: a split is made
by case. The box's centre times the image's size is the point: no half pixel is taken off, as with `bbox` of COCO.
"""

from __future__ import annotations

import re
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import image_header, list_images
from mitozoo.data.labels import checked_cells, class_of, mitos_slide, number, own_name, read_text
from mitozoo.data.listing import IMAGE_SUFFIXES
from mitozoo.data.spacing import um_per_px_of

TITLE = "YOLO text (x.txt beside x.jpg, or labels/x.txt for images/x.jpg; lines class x y width height)"
_YAMLS = ("data.yaml", "data.yml", "dataset.yaml")
_CLASS_LISTS = ("classes.txt", "obj.names")
_WITHOUT_NAMES = {0: MITOTIC_FIGURE, 1: NON_MITOTIC}
_VALUES = ("x", "y", "width", "height")
_ROBOFLOW = re.compile(r"_(jpe?g|png|tiff?|bmp)\.rf\.[0-9a-zA-Z]+$")
_PIECE = re.compile(r"_(patch|tile)(_|\d|$)", re.IGNORECASE)


def recognises(path: Path) -> bool:
    """Whether there is a text file of boxes, or an empty one beside names of classes, that belongs to an image."""
    if path.is_file():
        return path.name in _YAMLS and recognises(path.parent)
    texts = [file for file in path.rglob("*.txt") if file.name not in _CLASS_LISTS and not file.name.startswith(".")]
    try:
        named = bool(texts) and _names_file(path) is not None
    except LabelError:
        named = False
    return any((_has_boxes(file) or (named and _is_empty(file))) and _image_of(file) for file in texts)


def read(path: Path) -> Dataset:
    """Read the folder.

    Raises: LabelError for a line that is not five numbers, a share outside 0 to 1, or a class without a name;
        InputError for a damaged image.
    """
    folder = path.parent if path.is_file() else path
    names_file = _names_file(folder)
    names = _names(names_file) if names_file else None
    notes: list[str] = []
    used: set[int] = set()
    fields, texts = [], set()
    for name, image in list_images([folder]):
        text = _text_of(image)
        if text is not None:
            texts.add(text)
        fields.append(_field(name, image, text, names, used, notes))
    _say_classes(names_file, names, used, notes)
    lone = sum(_has_boxes(file) for file in set(folder.rglob("*.txt")) - texts if file.name not in _CLASS_LISTS)
    if lone:
        notes.append(f"{lone} text files of boxes have no image and were left out: their boxes are shares of its size.")
    unlabelled = sum(not field.labelled for field in fields)
    if unlabelled:
        notes.append(f"{unlabelled} images have no text file: unlabelled, not counted as negative.")
    return Dataset(name=folder.resolve().name, fields=tuple(fields), source=str(path), notes=tuple(notes))


def _field(
    name: str, image: Path, text: Path | None, names: dict[int, str] | None, used: set[int], notes: list[str]
) -> Field:
    header = image_header(image)
    size = (header.width, header.height)
    cells = []
    for number_, (x, y) in _boxes(text) if text else ():
        used.add(number_)
        point = (min(x * size[0], size[0] - 1.0), min(y * size[1], size[1] - 1.0))
        cells.append(Cell(*point, _label(number_, names, text)))
    return Field(
        path=image,
        case=_case(name),
        cells=checked_cells(image, cells, size, notes),
        um_per_px=um_per_px_of(header),
        complete=text is not None,
        labelled=text is not None,
    )


def _swapped(file: Path, old: str, new: str) -> Path | None:
    """The path with its last folder `old` called `new`."""
    parts = list(file.parts)
    places = [i for i, part in enumerate(parts[:-1]) if part.lower() == old]
    return Path(*parts[: places[-1]], new, *parts[places[-1] + 1 :]) if places else None


def _text_of(image: Path) -> Path | None:
    moved = _swapped(image, "images", "labels")
    places = [file.with_suffix(".txt") for file in (image, moved) if file]
    return next((file for file in places if file.is_file()), None)


def _image_of(text: Path) -> Path | None:
    moved = _swapped(text, "labels", "images")
    places = [file.with_suffix(end) for file in (text, moved) if file for end in IMAGE_SUFFIXES]
    return next((file for suffixed in places for file in _either_case(suffixed) if file.is_file()), None)


def _either_case(file: Path) -> tuple[Path, Path]:
    return file, file.with_suffix(file.suffix.upper())


def _has_boxes(file: Path) -> bool:
    """Whether the first line that is not empty is one of numbers, a whole one first, as many as a box or more."""
    try:
        first = next((line.split() for line in read_text(file).splitlines() if line.strip()), [])
        return len(first) >= 5 and first[0].isdigit() and all(abs(float(value)) < 1e9 for value in first[1:])
    except (LabelError, ValueError):
        return False


def _is_empty(file: Path) -> bool:
    try:
        return not read_text(file).strip()
    except LabelError:
        return False


def _boxes(text: Path) -> list[tuple[int, tuple[float, float]]]:
    """Class number and centre, as shares, of every line."""
    boxes = []
    for line, content in enumerate(read_text(text).splitlines(), start=1):
        parts = content.split()
        where = f"{text} line {line}"
        if not parts:
            continue
        if len(parts) != 5:
            also = (
                " A sixth value is a model's confidence: these are detections, not labels." if len(parts) == 6 else ""
            )
            raise LabelError(f"{where} has {len(parts)} values, not class x y width height.{also} Export boxes again.")
        if not parts[0].isdigit():
            raise LabelError(f"{where}: the class {parts[0]!r} is not a whole number. Correct the line.")
        shares = [number(part, where) for part in parts[1:]]
        for name, share in zip(_VALUES, shares, strict=True):
            if not 0 <= share <= 1:
                raise LabelError(
                    f"{where}: {name} is {share:g}, but must be a share of the image between 0 and 1. Divide pixels by "
                    "the image's width or height."
                )
        boxes.append((int(parts[0]), (shares[0], shares[1])))
    return boxes


def _label(number_: int, names: dict[int, str] | None, text: Path | None) -> str:
    if names is None:
        return _WITHOUT_NAMES.get(number_, f"class_{number_}")
    if number_ not in names:
        known = ", ".join(f"{key} {name}" for key, name in sorted(names.items()))
        raise LabelError(f"{text}: class {number_} has no name (there are: {known}). Add it to the names.")
    return class_of(names[number_]) or own_name(names[number_])


def _say_classes(file: Path | None, names: dict[int, str] | None, used: set[int], notes: list[str]) -> None:
    said = ", ".join(f"{key} as {_label(key, names, file)}" for key in sorted(used))
    if names is None:
        notes.append(
            f"No classes.txt or data.yaml names the classes: {said or 'none was used'}. If that is wrong, add a "
            "classes.txt with a name a line."
        )
    elif said:
        notes.append(f"Classes were read by {file.name if file else ''}: {said}.")


def _names_file(folder: Path) -> Path | None:
    places = [folder, folder / "labels", folder.parent] if folder.name in ("train", "images") else [folder]
    places += [folder / "labels"] if folder / "labels" not in places else []
    found = [place / name for place in places for name in (*_CLASS_LISTS, *_YAMLS) if (place / name).is_file()]
    return next((file for file in found if _names(file)), None)


def _names(file: Path) -> dict[int, str]:
    lines = read_text(file).splitlines()
    if file.name in _CLASS_LISTS:
        return dict(enumerate(line.strip() for line in lines if line.strip()))
    return _yaml_names(lines)


def _yaml_names(lines: list[str]) -> dict[int, str]:
    """The value of `names:`, a list or numbered names, in one line or in several, without the rest of YAML."""
    start = next((i for i, line in enumerate(lines) if re.match(r"names\s*:", line)), None)
    if start is None:
        return {}
    text = re.sub(r"^names\s*:", "", _without_remark(lines[start])).strip()
    more = []
    for line in map(_without_remark, lines[start + 1 :]):
        if line.strip() and not re.match(r"[\s\-\]}]", line):
            break
        more.append(line.strip())
    if text[:1] in ("[", "{"):
        whole = " ".join([text, *more])
        items = re.split(r",", whole[1 : max(whole.rfind("]"), whole.rfind("}"))])
    else:
        items = [re.sub(r"^-\s*", "", line) for line in more]
    found: dict[int, str] = {}
    for item in (item.strip() for item in items):
        numbered = re.match(r"""['"]?(\d+)['"]?\s*:\s*(.+)""", item)
        if item:
            found[int(numbered[1]) if numbered else len(found)] = (numbered[2] if numbered else item).strip("'\" ")
    return found


def _without_remark(line: str) -> str:
    return re.sub(r"(^|\s)#.*", "", line).rstrip()


def _case(name: str) -> str:
    stem = _ROBOFLOW.sub("", Path(name).stem)
    slide = mitos_slide(stem)
    if slide:
        return f"MITOS14/{slide[0]}"
    piece = _PIECE.search(stem)
    return stem[: piece.start()] if piece and piece.start() else stem
