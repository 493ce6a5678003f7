"""The tags of a TIFF directory, which EXIF blocks have as well."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO

_TIFF_TYPES = {1: "B", 2: "c", 3: "H", 4: "I", 5: "II", 6: "b", 8: "h", 9: "i", 10: "ii", 11: "f", 12: "d", 13: "I"}
_BIG_TYPES = {16: "Q", 17: "q", 18: "Q"}
#: Size, samples, colours, layout, description, resolution, orientation: what is read of a directory.
_WANTED = frozenset((256, 257, 258, 262, 270, 273, 274, 277, 279, 282, 283, 284, 296, 324, 325, 338, 339))


class HeaderError(Exception):
    """The bytes are not those of a readable image; the text ends a sentence that begins with the file's name."""


def read_exactly(stream: BinaryIO, count: int) -> bytes:
    """Read `count` bytes. Raises: EOFError if there are fewer."""
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


@dataclass(frozen=True)
class Tags:
    """The tags of one TIFF directory: values by number, where each value lies, and the next directory."""

    values: dict[int, tuple]
    offsets: dict[int, int]
    following: int

    def first(self, tag: int, default: int) -> int:
        """First value of a tag, or `default`."""
        value = self.values.get(tag) or (default,)
        return int(value[0])

    @property
    def orientation(self) -> int:
        """EXIF orientation, 1 to 8."""
        value = self.first(274, 1)
        return value if 1 <= value <= 8 else 1

    @property
    def px_per_unit(self) -> tuple[float, float] | None:
        """XResolution and YResolution as stored."""
        across, down = self.values.get(282, ()), self.values.get(283, self.values.get(282, ()))
        if len(across) < 2 or len(down) < 2 or not across[1] or not down[1]:
            return None
        return across[0] / across[1], down[0] / down[1]

    @property
    def px_per_um(self) -> tuple[float, float] | None:
        """Resolution in pixels per µm; None where its unit is not a length."""
        per_um = {2: 1 / 25400, 3: 1 / 10000}.get(self.first(296, 2))
        if per_um is None or self.px_per_unit is None:
            return None
        return self.px_per_unit[0] * per_um, self.px_per_unit[1] * per_um


def exif_tags(content: bytes) -> Tags:
    """Tags of an EXIF block; none where it is damaged, since a picture can be read without."""
    try:
        stream = io.BytesIO(content)
        order, _, first = tiff_start(stream)
        return tiff_directory(stream, len(content), order, big=False, position=first)
    except (HeaderError, struct.error, EOFError, KeyError):
        return Tags({}, {}, 0)


def tiff_start(stream: BinaryIO) -> tuple[str, bool, int]:
    """Byte order as of `struct`, whether this is a BigTIFF, and where the first directory lies."""
    stream.seek(0)
    order = {b"II": "<", b"MM": ">"}[read_exactly(stream, 2)]
    (version,) = struct.unpack(order + "H", read_exactly(stream, 2))
    if version == 43:
        return order, True, struct.unpack(order + "HHQ", read_exactly(stream, 12))[2]
    return order, False, struct.unpack(order + "I", read_exactly(stream, 4))[0]


def tiff_directory(stream: BinaryIO, size: int, order: str, *, big: bool, position: int) -> Tags:
    """Read the wanted tags of the directory at `position`.

    Raises: HeaderError, EOFError or struct.error if it is damaged.
    """
    stream.seek(position)
    (count,) = struct.unpack(order + ("Q" if big else "H"), read_exactly(stream, 8 if big else 2))
    entry, inline = (20, 8) if big else (12, 4)
    if count * entry > size:
        raise HeaderError("is a damaged TIFF: its directory is longer than the file")
    start = stream.tell()
    table = read_exactly(stream, count * entry)
    tail = read_exactly(stream, inline)
    values: dict[int, tuple] = {}
    offsets: dict[int, int] = {}
    for index in range(count):
        row = table[index * entry : (index + 1) * entry]
        tag, kind, number = struct.unpack(order + ("HHQ" if big else "HHI"), row[: entry - inline])
        code = _TIFF_TYPES.get(kind) or (_BIG_TYPES.get(kind) if big else None)
        if code is None or tag not in _WANTED:
            continue
        length = number * struct.calcsize(order + code)
        if length > size:
            raise HeaderError("is a damaged TIFF: a tag is longer than the file")
        at = start + index * entry + entry - inline
        if length > inline:
            (at,) = struct.unpack(order + ("Q" if big else "I"), row[-inline:])
        stream.seek(at)
        content = read_exactly(stream, length)
        values[tag] = (content,) if kind == 2 else struct.unpack(order + code[0] * (number * len(code)), content)
        offsets[tag] = at
    return Tags(values, offsets, struct.unpack(order + ("Q" if big else "I"), tail)[0])
