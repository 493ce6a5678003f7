"""Tiles of a TIFF of JPEGs, decoded straight into RGB, where OpenSlide composes each region anew."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import simplejpeg
import tifffile

from mitozoo.base.per_thread import PerThread

if TYPE_CHECKING:
    import openslide

# What is odd about a file, OpenSlide says, or `layout_notes`.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

#: How OpenSlide calls the files whose levels are pages without overlap or offset.
VENDORS = ("aperio", "generic-tiff")
_JPEG = 7
#: JPEG streams in a TIFF do not say which colours they hold, and some are RGB: the marker APP14 says it (ITU-T T.872,
#: 6.5.3), transform 0 for RGB and 1 for YCbCr.
_ADOBE = {
    photometric: b"\xff\xee\x00\x0eAdobe\x00\x64" + bytes(4) + bytes([transform])
    for photometric, transform in ((2, 0), (6, 1))
}
_START, _END = b"\xff\xd8", b"\xff\xd9"
#: Decoded tiles that all threads share: enough that what lies side by side is not decoded twice.
KEPT_BYTES = 128 * 2**20
#: Tiles of the file that are compared with what OpenSlide gives before the file is read this way.
_COMPARED = 3


class UnreadableTileError(Exception):
    """A tile is missing or damaged: OpenSlide says what is so."""


@dataclass(frozen=True)
class _Level:
    page: tifffile.TiffPage
    across: int

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of a tile."""
        return self.page.tilelength, self.page.tilewidth


class JpegTiles:
    """Levels of a slide that are tiled JPEG, for threads to read from at the same time."""

    def __init__(self, path: Path, pages: Mapping[int, tifffile.TiffPage]) -> None:
        """Prepare. Args: path; pages by level, of 8-bit RGB in JPEG tiles."""
        self.path = path
        self.levels = {
            level: _Level(page, -(-page.imagewidth // page.tilewidth)) for level, page in sorted(pages.items())
        }
        self._streams: PerThread[BinaryIO] = PerThread(lambda: self.path.open("rb"), lambda stream: stream.close())
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[int, int], np.ndarray] = OrderedDict()
        self._bytes = 0

    def close(self) -> None:
        """Close all handles."""
        self._streams.close()
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def read(self, level: int, box: tuple[int, int, int, int], out: np.ndarray) -> None:
        """Write what a box (left, top, right, bottom) of a level shows to out, uint8 (h, w, 3).

        What lies outside the level stays as it is in out.
        Raises: UnreadableTileError, also where the file is gone; out may have been written to in part.
        """
        source = self.levels[level]
        high, wide = source.side
        left, top = max(box[0], 0), max(box[1], 0)
        right, bottom = min(box[2], source.page.imagewidth), min(box[3], source.page.imagelength)
        if left >= right or top >= bottom:
            return
        for row in range(top // high, -(-bottom // high)):
            for column in range(left // wide, -(-right // wide)):
                y, x = row * high, column * wide
                y0, y1, x0, x1 = max(y, top), min(y + high, bottom), max(x, left), min(x + wide, right)
                tile = self._tile(level, row * source.across + column)
                out[y0 - box[1] : y1 - box[1], x0 - box[0] : x1 - box[0]] = tile[y0 - y : y1 - y, x0 - x : x1 - x]

    def _tile(self, level: int, number: int) -> np.ndarray:
        key = level, number
        with self._lock:
            tile = self._kept.get(key)
            if tile is not None:
                self._kept.move_to_end(key)
                return tile
        tile = self._decoded(self.levels[level].page, number)
        with self._lock:
            if key not in self._kept:
                self._kept[key] = tile
                self._bytes += tile.nbytes
            while self._bytes > KEPT_BYTES:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes
        return tile

    def _decoded(self, page: tifffile.TiffPage, number: int) -> np.ndarray:
        count = page.databytecounts[number]
        if not count:
            raise UnreadableTileError(f"tile {number} is not there")
        try:
            stream = self._streams.get()
            stream.seek(page.dataoffsets[number])
            data = stream.read(count)
            # Strict: what libjpeg only warns of is half a tile of grey.
            tile: np.ndarray = simplejpeg.decode_jpeg(whole_jpeg(data, page), strict=True)
        except (OSError, ValueError) as error:
            raise UnreadableTileError(str(error)) from error
        if tile.shape != (page.tilelength, page.tilewidth, 3):
            raise UnreadableTileError(f"tile {number} has {tile.shape[1]} x {tile.shape[0]} px")
        return tile


def whole_jpeg(data: bytes, page: tifffile.TiffPage) -> bytes:
    """A tile's stream with the tables that its page keeps for all, and with a marker of its colours."""
    if not data.startswith(_START):
        raise ValueError("a tile does not begin as JPEG does")
    tables = (page.jpegtables or b"").removeprefix(_START).removesuffix(_END)
    return _START + _ADOBE[page.photometric] + tables + data[len(_START) :]


def open_jpeg_tiles(path: Path, handle: openslide.OpenSlide) -> JpegTiles | None:
    """The levels of a slide that can be read so, None where there is none.

    They are those of an Aperio or plain TIFF with tiles of 8-bit JPEG, of which some are, to the last bit, what
    OpenSlide shows. Args: path; handle, the open slide.
    """
    if handle.properties.get("openslide.vendor") not in VENDORS:
        return None
    try:
        with tifffile.TiffFile(path) as file:
            every = [page for page in file.pages if isinstance(page, tifffile.TiffPage) and _fits(page)]
            # Of pages of one size, such as focal planes, the first counts.
            by_size = {(page.imagewidth, page.imagelength): page for page in reversed(every)}
            pages = {level: by_size[size] for level, size in enumerate(handle.level_dimensions) if size in by_size}
            tiles = JpegTiles(path, pages)
            tiles.levels = {level: page for level, page in tiles.levels.items() if _same(tiles, level, handle)}
    # A file that OpenSlide reads and tifffile does not is OpenSlide's.
    except Exception:
        return None
    if tiles.levels:
        return tiles
    tiles.close()
    return None


def _fits(page: tifffile.TiffPage) -> bool:
    return (
        page.is_tiled
        and page.compression == _JPEG
        and page.bitspersample == 8  # noqa: PLR2004
        and page.samplesperpixel == 3  # noqa: PLR2004
        and page.photometric in _ADOBE
        and page.planarconfig == 1
        and page.imagedepth == 1
    )


def _same(tiles: JpegTiles, level: int, handle: openslide.OpenSlide) -> bool:
    """Whether tiles in the middle of a level are what OpenSlide shows."""
    source, own = tiles.levels[level], handle.level_downsamples[level]
    if own % 1:
        return False  # OpenSlide shows what lies between its pixels.
    high, wide = source.side
    down = -(-source.page.imagelength // high)
    for step in range(1, _COMPARED + 1):
        x = source.across * step // (_COMPARED + 1) * wide
        y = down * step // (_COMPARED + 1) * high
        size = min(wide, source.page.imagewidth - x), min(high, source.page.imagelength - y)
        shown = np.asarray(handle.read_region((round(x * own), round(y * own)), level, size))
        found = np.empty((size[1], size[0], 3), np.uint8)
        try:
            tiles.read(level, (x, y, x + size[0], y + size[1]), found)
        except UnreadableTileError:
            return False
        if shown[..., 3].min() < 255 or not np.array_equal(shown[..., :3], found):  # noqa: PLR2004
            return False
    return True
