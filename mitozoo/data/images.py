"""Plain image files: PNG, JPEG, TIFF and BMP become 8-bit RGB, as an image viewer would show them.

OpenCV reads what every decoder reads alike (8-bit grey and RGB) and 16-bit samples, which Pillow would cut to 8 bits;
Pillow reads the rest (palettes, transparency, CMYK, 1-bit, and every 8-bit TIFF, whose damage OpenCV does not report).
Every conversion is said in `Image.notes`. EXIF and TIFF orientation is *not* applied: coordinates are those of the
stored pixels, as in QuPath, ImageJ and the label files of the field, and a note says so.
"""

from __future__ import annotations

import contextlib
import errno
import io
import stat
import struct
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import BmpImagePlugin, JpegImagePlugin, PngImagePlugin, TiffImagePlugin
from PIL import Image as PillowImage

from mitozoo.base.errors import InputError
from mitozoo.data.headers import Header, parse_header
from mitozoo.data.listing import IMAGE_SUFFIXES, list_images, nearest_sibling
from mitozoo.data.spacing import um_per_px_of
from mitozoo.data.tiff_tags import HeaderError

__all__ = ["IMAGE_SUFFIXES", "MAX_PX", "Image", "image_header", "list_images", "read_header", "read_image"]

#: Images above this are refused: their RGB pixels alone take 1.2 GB of memory.
MAX_PX = 400_000_000
_KINDS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".tif": "tiff", ".tiff": "tiff", ".bmp": "bmp"}
_PLUGINS: dict[str, Any] = {
    "png": PngImagePlugin.PngImageFile,
    "jpeg": JpegImagePlugin.JpegImageFile,
    "tiff": TiffImagePlugin.TiffImageFile,
    "bmp": BmpImagePlugin.BmpImageFile,
}
_PILLOW_LIMIT = threading.Lock()
_COLOURS = {
    "grey": "grey",
    "rgb": "RGB",
    "palette": "palette colours",
    "cmyk": "CMYK",
    "ycbcr": "YCbCr",
    "lab": "CIELAB",
}


@dataclass(frozen=True)
class Image:
    """One image, decoded.

    Attributes: pixels uint8 (H, W, 3) RGB; notes, one sentence per conversion made; um_per_px, spacing that the file
    states, or None.
    """

    pixels: np.ndarray
    notes: tuple[str, ...] = ()
    um_per_px: float | None = None


def read_header(path: Path) -> tuple[int, int, str]:
    """Return width and height in pixels and the kind ("png", "jpeg", "tiff", "bmp") without decoding.

    Raises: InputError if the file cannot be read or is no such image.
    """
    header = image_header(path)
    return header.width, header.height, header.kind


def image_header(path: Path) -> Header:
    """Return all that the header of an image file says. Raises: InputError as `read_header`."""
    path = Path(path)
    with _opened(path) as stream:
        try:
            return parse_header(stream)
        except HeaderError as error:
            raise InputError(f"{path} {error}. Give an image or leave this file out.") from None


def read_image(path: Path, *, max_px: int = MAX_PX) -> Image:
    """Read a PNG, JPEG, TIFF or BMP as 8-bit RGB; the content decides what it is, not the suffix.

    16-bit samples are scaled by their full range, or by 10 or 12 bits where none is larger; transparency is laid on
    white; of a TIFF with several pages the first is read.
    Raises: InputError naming the file if it is missing, forbidden, empty, no image, damaged, cut off, of a sample type
        without a usual display, or larger than `max_px` pixels.
    """
    path = Path(path)
    header = image_header(path)
    _check_size(path, header, max_px)
    with _opened(path) as stream:
        content = bytearray(stream.read())
    if not header.complete or (header.kind == "jpeg" and content.rfind(b"\xff\xd9", header.data_at) < 0):
        raise InputError(f"{path} is cut off: its end is missing. Copy or download it again.")
    notes = _layout_notes(path, header)
    if header.orientation_at is not None and header.orientation != 1:
        _keep_orientation(content, header.orientation_at)
    try:
        pixels, made = _decode(header, content)
    except (OSError, SyntaxError, ValueError, cv2.error, struct.error, MemoryError) as error:
        raise InputError(
            f"{path} cannot be decoded ({_reason(error)}). Save it as an 8-bit RGB PNG or TIFF."
        ) from error
    if pixels.shape[:2] != (header.height, header.width):
        raise InputError(f"{path} is damaged: its size is not the one its header states. Copy or download it again.")
    return Image(np.ascontiguousarray(pixels), (*notes, *made), um_per_px_of(header))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open a regular file; a pipe or device, which could block for ever, is refused."""
    try:
        kind = path.stat().st_mode
        if stat.S_ISREG(kind):
            with path.open("rb") as stream:
                yield stream
            return
    except FileNotFoundError:
        raise InputError(f"No such file: {path}. {nearest_sibling(path)}".rstrip()) from None
    except PermissionError:
        raise InputError(f"{path} may not be read: permission denied. Change its permissions or copy it.") from None
    except OSError as error:
        reason = "its name is too long" if error.errno == errno.ENAMETOOLONG else error.strerror or str(error)
        raise InputError(f"{path} cannot be read: {reason}.") from error
    if stat.S_ISDIR(kind):
        raise InputError(f"{path} is a folder, not an image. Give a file in it.")
    raise InputError(f"{path} is not a regular file. Give an image file.")


def _check_size(path: Path, header: Header, max_px: int) -> None:
    count = header.width * header.height
    if count > max_px or max(header.width, header.height) >= 2**20:
        raise InputError(
            f"{path} is {header.width} x {header.height} px ({count * 3 / 1e9:.1f} GB), more than the "
            f"{max_px / 1e6:g} million pixels that are read at once. Cut it into tiles or save it as a pyramidal "
            "slide (.svs or tiled .tif), which is read piece by piece."
        )


def _layout_notes(path: Path, header: Header) -> list[str]:
    notes = []
    named = _KINDS.get(path.suffix.lower())
    if named and named != header.kind:
        notes.append(f"The file is a {header.kind.upper()} although its name ends in {path.suffix}.")
    if header.orientation != 1:
        notes.append(
            f"Its orientation tag ({header.orientation}) is not applied: coordinates are those of the stored pixels."
        )
    if header.pages > 1:
        notes.append(f"Only the first of its {header.pages} pages is read.")
    return notes


def _keep_orientation(content: bytearray, at: int) -> None:
    """Set a TIFF's orientation to 1, since both decoders would turn the picture by it."""
    order = "<" if content[:2] == b"II" else ">"
    struct.pack_into(order + "H", content, at, 1)


def _decode(header: Header, content: bytearray) -> tuple[np.ndarray, list[str]]:
    if header.bits > 8:
        return _decode_deep(header, content)
    # Pillow finds no size in a big-endian BigTIFF.
    if header.plain and (header.kind != "tiff" or content.startswith(b"MM\0+")):
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if pixels is None:
            raise ValueError("damaged data")
        notes = ["Grey was converted to RGB."] if header.colour == "grey" else []
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels), notes
    return _decode_with_pillow(header, content)


def _decode_deep(header: Header, content: bytearray) -> tuple[np.ndarray, list[str]]:
    """Decode samples of 9 to 16 bits with OpenCV, which keeps them whole."""
    if header.bits > 16 or header.colour not in ("grey", "rgb"):
        raise ValueError(f"{header.bits}-bit samples, {_COLOURS.get(header.colour, header.colour)}")
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if pixels is None or pixels.dtype != np.uint16:
        raise ValueError(f"damaged data or unusual {header.bits}-bit samples")
    planes = pixels.reshape(*pixels.shape[:2], -1)
    colours = planes[..., :3] if planes.shape[2] >= 3 else planes[..., :1]
    highest = int(colours.max())
    used = next(bits for bits in (10, 12, 16) if highest < 2**bits)
    notes = [f"16-bit samples were scaled to 8 bits by their full range ({2**used - 1} became 255)."]
    if used < 16:
        notes = [f"16-bit samples hold {used}-bit data (none above {highest}): {2**used - 1} became 255."]
    grey_or_bgr = cv2.convertScaleAbs(colours, alpha=255 / (2**used - 1))
    grey_or_bgr = grey_or_bgr.reshape(*pixels.shape[:2], -1)
    if header.inverted:
        grey_or_bgr = 255 - grey_or_bgr
    if grey_or_bgr.shape[2] == 1:
        notes.append("Grey was converted to RGB.")
    rgb = cv2.cvtColor(grey_or_bgr, cv2.COLOR_GRAY2RGB if grey_or_bgr.shape[2] == 1 else cv2.COLOR_BGR2RGB)
    if planes.shape[2] in (2, 4) and header.alpha:
        alpha = cv2.convertScaleAbs(planes[..., -1], alpha=1 / 257)
        notes.append("Transparency was laid on white.")
        rgb = np.asarray(_on_white(PillowImage.fromarray(np.dstack([rgb, alpha]), "RGBA")))
    return rgb, notes


def _decode_with_pillow(header: Header, content: bytearray) -> tuple[np.ndarray, list[str]]:
    with _quiet_pillow(), _PLUGINS[header.kind](io.BytesIO(content)) as picture:
        picture.load()
        notes = []
        if header.bits == 1:
            notes.append("1-bit pixels were converted to RGB.")
        elif header.colour in ("palette", "cmyk", "lab"):
            notes.append(f"{_COLOURS[header.colour]} was converted to RGB.".replace("colours was", "colours were"))
        elif header.colour == "grey":
            notes.append("Grey was converted to RGB.")
        if picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info:
            notes.append("Transparency was laid on white.")
            return np.asarray(_on_white(picture.convert("RGBA"))), notes
        if picture.mode not in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr"):
            raise ValueError(f"samples of type {picture.mode}, {_COLOURS.get(header.colour, header.colour)}")
        return np.asarray(picture.convert("RGB")), notes


def _on_white(picture: PillowImage.Image) -> PillowImage.Image:
    white = PillowImage.new("RGBA", picture.size, "white")
    return PillowImage.alpha_composite(white, picture).convert("RGB")


@contextlib.contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Lift Pillow's own limit of size, since ours is checked already, and keep its warnings to ourselves."""
    with _PILLOW_LIMIT, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            PillowImage.MAX_IMAGE_PIXELS = limit


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory"
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
