"""What the first bytes of an image file say: kind, size, colours, resolution; nothing is decoded.

The size is known before a decoder allocates anything, so a small file that unpacks to gigabytes is refused in time.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from mitozoo.data.tiff_tags import HeaderError, exif_tags, read_exactly, tiff_directory, tiff_start

#: First bytes of files that people take for images, and what to call them.
_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"RIFF", "a WebP or another RIFF file"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP or Office file"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000"),
    (b"\x1f\x8b", "a gzip file"),
    (b"<svg", "an SVG"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
    (b"version https://git-lfs", "a Git LFS pointer (fetch the file itself with `git lfs pull`)"),
)
_MAX_PAGES = 10_000


@dataclass(frozen=True, kw_only=True)
class Header:
    """What an image file says of itself.

    Attributes: kind "png", "jpeg", "tiff" or "bmp"; width, height in pixels as stored; bits per sample; samples per
    pixel; colour "grey", "rgb", "palette", "cmyk", "ycbcr" or another name; alpha, whether there is transparency;
    plain, whether any decoder gives the same pixels (8-bit grey or RGB, usual layout); complete, whether the file
    reaches the end that its header promises, as far as this can be told without decoding; orientation, EXIF 1 to 8;
    inverted, whether 0 is
    white; orientation_at, offset of a TIFF's orientation value; px_per_um, resolution along x and y;
    px_per_unit, the same in a TIFF's own unit; description, a TIFF's
    ImageDescription; pages, how many images a TIFF holds; data_at, offset of a JPEG's coded data.
    """

    kind: str
    width: int
    height: int
    bits: int
    samples: int
    colour: str
    alpha: bool = False
    plain: bool = False
    complete: bool = True
    inverted: bool = False
    orientation: int = 1
    orientation_at: int | None = None
    px_per_um: tuple[float, float] | None = None
    px_per_unit: tuple[float, float] | None = None
    description: str = ""
    pages: int = 1
    data_at: int = 0


def parse_header(stream: BinaryIO) -> Header:
    """Parse the header of a PNG, JPEG, TIFF or BMP from a seekable binary stream.

    Raises: HeaderError if it is none of them, is cut off within the header or has no pixels.
    """
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    start = stream.read(32)
    if not start:
        raise HeaderError("is empty (0 bytes)")
    try:
        header = _parser(start)(stream, size)
    except (struct.error, EOFError):
        raise HeaderError("is cut off within its header") from None
    if header.width < 1 or header.height < 1:
        raise HeaderError(f"has no pixels ({header.width} x {header.height})")
    return header


def _parser(start: bytes) -> Callable[[BinaryIO, int], Header]:
    if start.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png
    if start.startswith(b"\xff\xd8"):
        return _jpeg
    if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff
    if start.startswith(b"BM"):
        return _bmp
    for magic, name in _OTHERS:
        if start.startswith(magic):
            raise HeaderError(f"is {name}, not a PNG, JPEG, TIFF or BMP")
    raise HeaderError("is not a PNG, JPEG, TIFF or BMP")


def _png(stream: BinaryIO, size: int) -> Header:
    stream.seek(8)
    length, name, width, height, bits, colour_type = struct.unpack(">I4sIIBB", read_exactly(stream, 18))
    colours = {0: ("grey", 1), 2: ("rgb", 3), 3: ("palette", 1), 4: ("grey", 2), 6: ("rgb", 4)}
    if name != b"IHDR" or colour_type not in colours:
        raise HeaderError("is a damaged PNG: its first chunk is not a valid IHDR")
    colour, samples = colours[colour_type]
    alpha, orientation, px_per_um, complete = colour_type in (4, 6), 1, None, False
    position = 8 + 12 + length
    while position + 8 <= size:
        stream.seek(position)
        length, name = struct.unpack(">I4s", read_exactly(stream, 8))
        position += 12 + length
        if name == b"pHYs":
            across, down, unit = struct.unpack(">IIB", read_exactly(stream, 9))
            px_per_um = (across / 1e6, down / 1e6) if unit == 1 else None
        elif name == b"tRNS":
            alpha = True
        elif name == b"eXIf" and position <= size:
            orientation = exif_tags(read_exactly(stream, length)).orientation
        elif name == b"IEND":
            complete = position <= size
            break
    plain = bits == 8 and colour in ("grey", "rgb") and not alpha
    return Header(
        kind="png", width=width, height=height, bits=bits, samples=samples, colour=colour, alpha=alpha, plain=plain,
        complete=complete, orientation=orientation, px_per_um=px_per_um,
    )  # fmt: skip


def _jpeg(stream: BinaryIO, size: int) -> Header:
    header = Header(kind="jpeg", width=0, height=0, bits=8, samples=3, colour="rgb")
    stream.seek(2)
    while True:
        if read_exactly(stream, 1) != b"\xff":
            raise HeaderError("is a damaged JPEG: its segments do not follow each other")
        marker = 0xFF
        while marker == 0xFF:
            marker = read_exactly(stream, 1)[0]
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            continue
        (length,) = struct.unpack(">H", read_exactly(stream, 2))
        if marker in (0xD9, 0xDA):
            break
        body = read_exactly(stream, max(length - 2, 0))
        if marker == 0xE0 and body.startswith(b"JFIF\0"):
            unit, across, down = struct.unpack(">BHH", body[7:12])
            per_um = {1: 1 / 25400, 2: 1 / 10000}.get(unit)
            header = replace(header, px_per_um=(across * per_um, down * per_um) if per_um else header.px_per_um)
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            exif = exif_tags(body[6:])
            px_per_um = exif.px_per_um if header.px_per_um is None else header.px_per_um
            header = replace(header, orientation=exif.orientation, px_per_um=px_per_um)
        elif 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            bits, height, width, samples = struct.unpack(">BHHB", body[:6])
            colour = {1: "grey", 3: "rgb", 4: "cmyk"}.get(samples, f"{samples}-sample")
            header = replace(header, width=width, height=height, bits=bits, samples=samples, colour=colour)
    return replace(header, data_at=stream.tell(), plain=header.bits == 8 and header.colour in ("grey", "rgb"))


def _bmp(stream: BinaryIO, size: int) -> Header:
    stream.seek(10)
    data_at, dib = struct.unpack("<II", read_exactly(stream, 8))
    px_per_um = None
    if dib == 12:
        width, height, _, bits = struct.unpack("<HHHH", read_exactly(stream, 8))
        compression = 0
    elif 40 <= dib <= 256:
        width, height, _, bits, compression, _, across, down = struct.unpack("<iiHHIIii", read_exactly(stream, 28))
        px_per_um = (across / 1e6, down / 1e6)
    else:
        raise HeaderError("starts with BM, but is not a BMP that can be read")
    height = abs(height)
    plain = bits == 24 and compression == 0
    complete = compression != 0 or data_at + (width * bits + 31) // 32 * 4 * height <= size
    colour = "palette" if bits <= 8 else "rgb"
    return Header(
        kind="bmp", width=width, height=height, bits=min(bits, 8), samples=max(bits // 8, 1), colour=colour,
        alpha=bits == 32, plain=plain, complete=complete, px_per_um=px_per_um,
    )  # fmt: skip


_PHOTOMETRIC = {0: "grey", 1: "grey", 2: "rgb", 3: "palette", 5: "cmyk", 6: "ycbcr", 8: "lab", 9: "lab"}


def _tiff(stream: BinaryIO, size: int) -> Header:
    order, big, position = tiff_start(stream)
    tags = tiff_directory(stream, size, order, big=big, position=position)
    pages, following, seen = 1, tags.following, {position}
    while following and following not in seen and pages < _MAX_PAGES:
        seen.add(following)
        try:
            following = tiff_directory(stream, size, order, big=big, position=following).following
        except (HeaderError, struct.error, EOFError):
            break
        pages += 1
    bits, samples, photometric = tags.first(258, 1), tags.first(277, 1), tags.first(262, 1)
    colour = _PHOTOMETRIC.get(photometric, f"photometric {photometric}")
    usual = {"grey": 1, "rgb": 3, "palette": 1, "ycbcr": 3, "cmyk": 4, "lab": 3}.get(colour, samples)
    integers = tags.first(339, 1) in (1, 4)
    plain = bits == 8 and integers and photometric in (1, 2) and samples == usual and tags.first(284, 1) == 1
    ends = zip(
        tags.values.get(273, tags.values.get(324, ())), tags.values.get(279, tags.values.get(325, ())), strict=False
    )
    return Header(
        kind="tiff", width=tags.first(256, 0), height=tags.first(257, 0), bits=bits, samples=samples,
        colour=colour if integers else f"{colour} of floating-point or signed numbers",
        alpha=samples > usual and tags.first(338, 0) in (1, 2), plain=plain, inverted=photometric == 0,
        complete=all(offset + count <= size for offset, count in ends), orientation=tags.orientation,
        orientation_at=tags.offsets.get(274), px_per_um=tags.px_per_um, px_per_unit=tags.px_per_unit, pages=pages,
        description=tags.values.get(270, (b"",))[0].split(b"\0")[0].decode("utf-8", "replace"),
    )  # fmt: skip
