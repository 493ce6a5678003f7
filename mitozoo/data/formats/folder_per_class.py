"""Patches sorted into folders: the folder's name is the class of the cell in the patch's centre.

Layout: `mitosis/*.png`, `not_mitosis/*.png`, or `Normal/`, `Atypical/` (AMi-Br), and other usual names of the classes,
in any case, with images of any size in them and in their sub-folders.
Licence, citation, split: those of the images. Such sets have no split; the case is taken from the file's name: the
slide of a MITOS name (`A04_00Ab_…` is slide 04), else the sub-folder, else what stands before the last `_`.
Traps: `normal` means a normal *mitotic figure*, so it is believed only beside `atypical`; patches around random places
are much easier negatives than look-alikes; where names have no `_`, every patch is its own case and a split may divide
a patient.
"""

from __future__ import annotations

from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import ATYPICAL, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import IMAGE_SUFFIXES, image_header, list_images
from mitozoo.data.labels import class_of, mitos_slide, own_name
from mitozoo.data.spacing import um_per_px_of

TITLE = "folders named as classes (mitosis/ and not_mitosis/, or normal/ and atypical/) with patches in them"


def recognises(path: Path) -> bool:
    """Whether `path` has a sub-folder that is named as a class and holds an image."""
    return path.is_dir() and any(class_of(folder.name) and _has_image(folder) for folder in _folders(path))


def read(path: Path) -> Dataset:
    """Read the folders. Raises: LabelError for a folder of images that is no class; InputError for a damaged image."""
    folders = [folder for folder in _folders(path) if _has_image(folder)]
    classes = {folder: class_of(folder.name) for folder in folders}
    for folder, label in classes.items():
        if label is None:
            raise LabelError(
                f"{folder} holds images, but its name is no class. Rename it (mitosis, not_mitosis) or move it."
            )
        if own_name(folder.name) == "normal" and ATYPICAL not in classes.values():
            raise LabelError(
                f"{folder}: does 'normal' mean a normal mitotic figure? Rename it to mitosis or not_mitosis."
            )
    fields, nameless = [], 0
    for folder, label in classes.items():
        for name, image in list_images([folder]):
            case = _case(name)
            nameless += case is None
            header = image_header(image)
            cell = Cell((header.width - 1) / 2, (header.height - 1) / 2, str(label))
            fields.append(
                Field(path=image, case=case or name, cells=(cell,), um_per_px=um_per_px_of(header), complete=False)
            )
    notes = [f"{folder.name}/ was read as {label}." for folder, label in classes.items()]
    if nameless:
        notes.append(f"{nameless} file names do not tell the case: each of these patches counts as its own case.")
    return Dataset(name=path.resolve().name, fields=tuple(fields), notes=tuple(notes))


def _folders(path: Path) -> list[Path]:
    return sorted(folder for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))


def _has_image(folder: Path) -> bool:
    return any(file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".") for file in folder.rglob("*"))


def _case(name: str) -> str | None:
    stem = Path(name).stem
    slide = mitos_slide(stem)
    if slide:
        return f"MITOS14/{slide[0]}"
    return name.rpartition("/")[0] or stem.rpartition("_")[0] or None
