"""Read the labels of a folder in which single images are damaged, as if these were whole.

Readers refuse a damaged image, since nothing can be trained on it; who checks a folder wants to know of the rest too.
"""

from __future__ import annotations

import dataclasses
import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from mitozoo.base.errors import InputError, MitozooError
from mitozoo.data import formats
from mitozoo.data.dataset import Dataset
from mitozoo.data.images import image_header
from mitozoo.data.listing import IMAGE_SUFFIXES

#: Side of the blank image that stands for a damaged one: no point of it is outside.
_BLANK_PX = 1_000_000


def damage_of(image: Path) -> str:
    """Return what is wrong with an image file by its header, or an empty text."""
    try:
        header = image_header(image)
    except InputError as error:
        return str(error)
    return "" if header.complete else f"{image} is cut off: its end is missing. Copy or download it again."


def read_setting_aside(path: str | Path, format: str | None = None) -> tuple[Dataset, str]:
    """Read a data set although images of it are damaged.

    Returns: the data set, with the damaged images' labels where they can be read without them, and the format's name.
    Raises: as `formats.read`; InputError for a damaged image only where the format needs its pixels.
    """
    path = Path(path)
    name = format or formats.recognise(path)
    try:
        return formats.read(path, name), name
    except InputError as error:
        root = path if path.is_dir() else path.parent
        files = [file for file in root.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file()]
        damaged = {file for file in files if damage_of(file)}
        for place in (_put_blank, _put_nothing) if damaged else ():
            try:
                return _read_copy(path, root, name, damaged, place), name
            except (MitozooError, OSError):
                continue
        raise error


def _read_copy(path: Path, root: Path, format: str, damaged: set[Path], put: Callable[[Path], None]) -> Dataset:
    """Read through a folder of links, in which something else stands for each damaged image."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / root.resolve().name
        copy.mkdir()
        for folder, _, names in os.walk(root):
            here = copy / Path(folder).relative_to(root)
            here.mkdir(exist_ok=True)
            for file in (Path(folder) / name for name in names):
                if file in damaged:
                    put(here / file.name)
                else:
                    os.symlink(file.resolve(), here / file.name)
        dataset = formats.read(copy / path.relative_to(root), format)
        fields = tuple(
            dataclasses.replace(field, path=root / field.path.relative_to(copy))
            if field.path.is_relative_to(copy)
            else field
            for field in dataset.fields
        )
        texts = (dataset.source, *dataset.notes)
        source, *notes = (text.replace(str(copy), str(root)) for text in texts)
        return dataclasses.replace(dataset, fields=fields, source=source, notes=tuple(notes))


def _put_nothing(file: Path) -> None:
    """Leave the image out."""


def _put_blank(file: Path) -> None:
    """Write a PNG that has a header, and no pixels that anybody could decode."""
    size = struct.pack(">IIBBBBB", _BLANK_PX, _BLANK_PX, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", size), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
