"""Pairs of a marked and an unmarked copy of each field: what differs is a mitotic figure.

Layout: two folders, `unmarked/` (or `original/`, `originals/`, `raw/`, `clean/`) and `marked/` (or `annotated/`,
`painted/`) with files of the same names; or one folder with `x.png` and `x_marked.png` (or `_annotated`, `_painted`).
The suffix of the file may differ within a pair. The path is the folder.
Mask: subtraction, threshold, morphological closing, holes filled; every component of `LEAST_AREA_PX` is one mitotic
figure at its centre of mass (`mitozoo.data.masks`).
Case: the sub-folder, else the slide of an ICPR 2012 name (`A00_01`), else the image.
Traps: marks that touch become one figure; a copy saved as JPEG differs a little everywhere, which threshold and least
area leave out; a pair without a difference says that there is no mitotic figure; look-alikes are not labelled. The
`A00_01.jpg` beside an ICPR 2012 `A00_01.bmp` is a painted copy too, but its pixels are in a CSV: that is `icpr12`.
"""

from __future__ import annotations

import re
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import MITOTIC_FIGURE, Cell
from mitozoo.data.dataset import Dataset, Field, MaskSource
from mitozoo.data.images import list_images, read_image
from mitozoo.data.labels import mitos_slide, own_name
from mitozoo.data.masks import centres, mask_from_pair

TITLE = "marked and unmarked copies (marked/ and unmarked/, or x.png and x_marked.png)"
_MARKED = ("marked", "annotated", "painted")
_UNMARKED = ("unmarked", "unannotated", "unpainted", "original", "originals", "raw", "clean")
_ENDING = re.compile(rf"(.+)[_-]({'|'.join((*_MARKED, *_UNMARKED))})$", re.IGNORECASE)
_ICPR12 = re.compile(r"[AHM]\d\d_\d\d$")
#: Where more of the image differs, the two are not copies of one image.
_MOST_MARKED = 0.25


def recognises(path: Path) -> bool:
    """Whether `path` is a folder with the two sub-folders, or with at least one pair by suffix."""
    if not path.is_dir():
        return False
    if _sub_folder(path, _MARKED) and _sub_folder(path, _UNMARKED):
        return True
    names = {file.stem for file in path.iterdir() if file.is_file()}
    return any(_is_marked(name) and _base(name) in {_base(n) for n in names - {name}} for name in names)


def read(path: Path) -> Dataset:
    """Read the pairs.

    Raises: LabelError for an image without its copy, copies of different size, and copies that differ nearly
        everywhere; InputError for a damaged image.
    """
    notes: list[str] = []
    fields = tuple(_field(name, *pair) for name, pair in _pairs(path).items())
    empty = [field.path.name for field in fields if not field.cells]
    if empty:
        more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
        notes.append(f"{len(empty)} pairs show no mark, so no mitotic figure: {', '.join(empty[:3])}{more}.")
    notes.append("Mitotic figures are the marks that a subtraction of the copies shows; look-alikes are not labelled.")
    return Dataset(name=path.resolve().name, fields=fields, source=str(path), notes=tuple(notes))


def _sub_folder(path: Path, names: tuple[str, ...]) -> Path | None:
    found = sorted(folder for folder in path.iterdir() if folder.is_dir() and own_name(folder.name) in names)
    if len(found) > 1:
        raise LabelError(f"{path} holds {found[0].name}/ and {found[1].name}/. Which is meant? Rename one of them.")
    return found[0] if found else None


def _is_marked(stem: str) -> bool:
    match = _ENDING.match(stem)
    return bool(match) and match[2].lower() in _MARKED  # type: ignore[index]


def _base(name: str) -> str:
    """A file's name without suffix and without `_marked`."""
    match = _ENDING.match(name)
    return match[1] if match else name


def _pairs(path: Path) -> dict[str, tuple[Path, Path]]:
    """Marked and unmarked image by name. Raises: LabelError where one of the two is missing or there twice."""
    folders = _sub_folder(path, _MARKED), _sub_folder(path, _UNMARKED)
    if folders[0] and folders[1]:
        sides = [_by_name(list_images([folder])) for folder in folders if folder]
    else:
        images = list_images([path])
        sides = [_by_name([item for item in images if _is_marked(item[1].stem) is side]) for side in (True, False)]
    marked, unmarked = sides
    for what, lone, here in (("unmarked", marked, unmarked), ("marked", unmarked, marked)):
        missing = sorted(lone.keys() - here.keys())
        if missing:
            more = f" (and {len(missing) - 1} more like it)" if len(missing) > 1 else ""
            raise LabelError(f"{lone[missing[0]]} has no {what} copy{more}. Add the copy or remove the image.")
    return {name: (marked[name], unmarked[name]) for name in sorted(marked)}


def _by_name(images: list[tuple[str, Path]]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name, image in images:
        key = _base(name[: -len(image.suffix)])
        if key in found:
            raise LabelError(f"{image} and {found[key].name} are copies of the same kind. Remove one of the two.")
        found[key] = image
    return found


def _field(name: str, marked: Path, unmarked: Path) -> Field:
    one, other = read_image(marked), read_image(unmarked)
    if one.pixels.shape != other.pixels.shape:
        sizes = [f"{image.pixels.shape[1]} x {image.pixels.shape[0]} px" for image in (one, other)]
        raise LabelError(
            f"{marked} has {sizes[0]}, but {unmarked} has {sizes[1]}. Give copies of one image at one size."
        )
    mask = mask_from_pair(one.pixels, other.pixels)
    if mask.mean() > _MOST_MARKED:
        raise LabelError(
            f"{marked} and {unmarked} differ in {mask.mean():.0%} of their pixels: they are not copies of one image. "
            "Give the image that was marked."
        )
    cells = tuple(Cell(float(x), float(y), MITOTIC_FIGURE) for x, y in centres(mask))
    return Field(
        path=unmarked, case=_case(name), cells=cells, um_per_px=other.um_per_px, mask=MaskSource(marked, "marked")
    )


def _case(name: str) -> str:
    folder, _, stem = name.rpartition("/")
    slide = mitos_slide(stem) if _ICPR12.match(stem) else None
    return folder or (f"ICPR12/{slide[0]}" if slide else stem)
