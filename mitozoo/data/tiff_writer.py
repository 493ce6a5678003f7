"""Write tiled TIFF and BigTIFF: bytes of tiles as they come, then the directories that name them.

Tiles that are alike share their bytes, which the libraries for writing TIFF do not offer.
Source: TIFF revision 6.0 (Adobe, 1992), its technical note 2 on JPEG, and the BigTIFF design (libtiff).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import BinaryIO

#: Field types by number, as `struct` writes them.
SHORT, LONG, RATIONAL, LONG8, ASCII = 3, 4, 5, 16, 2
_CODES = {ASCII: "B", SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}
#: Offsets of a classic TIFF have 32 bits.
CLASSIC_BYTES = 2**32 - 2**20


@dataclass(frozen=True)
class Tag:
    """One field of a directory: number, type (`SHORT` …) and values; two integers a value for `RATIONAL`."""

    number: int
    kind: int
    values: Sequence[int]


def rational(value: float) -> tuple[int, int]:
    """Numerator and denominator, each of 32 bits, of a number from 0 to about 400,000."""
    fraction = Fraction(value).limit_denominator(10_000)
    return fraction.numerator, fraction.denominator


class TiffWriter:
    """Little-endian TIFF on an empty stream; `add_bytes` as often as there are tiles, then `add_directory` a level."""

    def __init__(self, stream: BinaryIO, *, big: bool) -> None:
        """Args: stream, opened for writing, seekable; big, 64-bit offsets, for more than `CLASSIC_BYTES`."""
        self.stream, self.big = stream, big
        header = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0) if big else struct.pack("<2sHI", b"II", 42, 0)
        self._link = len(header) - self._word
        self._end = stream.write(header)

    @property
    def _word(self) -> int:
        return 8 if self.big else 4

    @property
    def offset_kind(self) -> int:
        """Type of a field that holds offsets."""
        return LONG8 if self.big else LONG

    def add_bytes(self, content: bytes) -> int:
        """Append bytes; returns where they lie. They begin at an even place, as TIFF asks."""
        if self._end % 2:
            self._end += self.stream.write(b"\0")
        start = self._end
        self._end += self.stream.write(content)
        return start

    def add_directory(self, tags: Sequence[Tag]) -> None:
        """Append a directory, and name it in the one before.

        Raises: OverflowError if a classic TIFF has grown beyond its offsets.
        """
        rows = [self._row(tag) for tag in sorted(tags, key=lambda tag: tag.number)]
        head = struct.pack("<Q" if self.big else "<H", len(rows))
        start = self.add_bytes(head + b"".join(rows) + bytes(self._word))
        if not self.big and self._end > 2**32:
            raise OverflowError("A classic TIFF ends at 4 GiB; write it with big=True.")
        self.stream.seek(self._link)
        self.stream.write(struct.pack("<Q" if self.big else "<I", start))
        self.stream.seek(self._end)
        self._link = self._end - self._word

    def _row(self, tag: Tag) -> bytes:
        content = struct.pack(f"<{len(tag.values)}{_CODES[tag.kind]}", *tag.values)
        count = len(tag.values) // (2 if tag.kind == RATIONAL else 1)
        if len(content) > self._word:
            content = struct.pack("<Q" if self.big else "<I", self.add_bytes(content))
        head = struct.pack("<HHQ" if self.big else "<HHI", tag.number, tag.kind, count)
        return head + content.ljust(self._word, b"\0")
