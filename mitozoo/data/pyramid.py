"""Write pyramidal tiled TIFFs of any size from a stream of tiles, in little memory.

OpenSlide reads the 8-bit RGB ones as `generic-tiff`, with their spacing; QuPath, libtiff and tifffile read all of them.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from mitozoo.base.files import whole_file
from mitozoo.data.tiff_writer import ASCII, CLASSIC_BYTES, LONG, RATIONAL, SHORT, Tag, TiffWriter, rational

#: Each level is so many times smaller a side than the one before.
REDUCTION = 4
TILE_PX = 512
JPEG_QUALITY = 90
COMPRESSIONS = {"jpeg": 7, "deflate": 8}
_KINDS = {"uint8": 1, "uint16": 1, "float32": 3}


@dataclass(frozen=True)
class Pixels:
    """What a pixel is and how tiles are encoded.

    Attributes: dtype, uint8, uint16 or float32; blank, the value of an empty pixel: three for RGB, one for grey;
    compression, a key of `COMPRESSIONS`; quality of JPEG, 1 to 100.
    """

    dtype: np.dtype
    blank: tuple[float, ...]
    compression: str
    quality: int

    def check(self) -> None:
        """Raises: ValueError for what cannot be written."""
        if self.dtype.name not in _KINDS:
            raise ValueError(f"A pyramid holds uint8, uint16 or float32, not {self.dtype.name}.")
        if self.compression not in COMPRESSIONS:
            raise ValueError(f"The compression is jpeg or deflate, not {self.compression!r}.")
        if len(self.blank) not in (1, 3):
            raise ValueError(f"An empty pixel has 1 or 3 values, not {len(self.blank)}.")
        if self.compression == "jpeg" and (self.dtype != np.uint8 or len(self.blank) != 3):
            raise ValueError("JPEG holds 8-bit RGB; write other pixels with compression='deflate'.")

    def shape(self, height: int, width: int) -> tuple[int, ...]:
        """Shape of so many pixels: (height, width, 3), or (height, width) for grey."""
        return (height, width, 3) if len(self.blank) == 3 else (height, width)

    def cast(self, values: NDArray) -> NDArray:
        """Values in the type of the file, rounded where it holds integers."""
        rounded = values if self.dtype.kind == "f" or values.dtype.kind != "f" else np.rint(values)
        return rounded.astype(self.dtype, copy=False)

    def encode(self, tile: NDArray, tile_px: int) -> bytes:
        """Encode a tile; one cut by the edge of the image is filled up with its last row and column."""
        height, width = tile.shape[:2]
        missing = [(0, tile_px - height), (0, tile_px - width)] + [(0, 0)] * (tile.ndim - 2)
        full = np.pad(tile, missing, mode="edge") if (height, width) != (tile_px, tile_px) else tile
        if self.compression == "jpeg":
            chroma = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]
            return cv2.imencode(".jpg", full[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self.quality, *chroma])[1].tobytes()
        if self.dtype.kind == "u":
            # Horizontal differencing (predictor 2), modulo the range of the type.
            full = np.concatenate([full[:, :1], full[:, 1:] - full[:, :-1]], axis=1)
        little = np.ascontiguousarray(full, self.dtype.newbyteorder("<"))
        return zlib.compress(little.tobytes(), 6)

    def tags(self) -> list[Tag]:
        """The tags that say how to decode."""
        samples = len(self.blank)
        found = [
            Tag(258, SHORT, [8 * self.dtype.itemsize] * samples),
            Tag(259, SHORT, [COMPRESSIONS[self.compression]]),
            Tag(277, SHORT, [samples]),
            Tag(284, SHORT, [1]),
            Tag(339, SHORT, [_KINDS[self.dtype.name]] * samples),
        ]
        if self.compression == "jpeg":
            full_range = [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1]
            return [*found, Tag(262, SHORT, [6]), Tag(530, SHORT, [2, 2]), Tag(532, RATIONAL, full_range)]
        predictor = [Tag(317, SHORT, [2])] if self.dtype.kind == "u" else []
        return [*found, Tag(262, SHORT, [2 if samples == 3 else 1]), *predictor]


@dataclass
class _Level:
    """One level: its size, where its tiles lie, and the row of tiles that is being filled from the finer level."""

    width: int
    height: int
    tile_px: int
    places: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    filling: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        return -(-self.width // self.tile_px)

    @property
    def rows(self) -> int:
        return -(-self.height // self.tile_px)

    def tile_shape(self, row: int, column: int) -> tuple[int, int]:
        """Height and width of the part of a tile that lies in the image."""
        height = min(self.tile_px, self.height - row * self.tile_px)
        return height, min(self.tile_px, self.width - column * self.tile_px)


def level_sizes(width_px: int, height_px: int, tile_px: int) -> list[tuple[int, int]]:
    """Width and height of every level, the full one first, down to the one that fits into a tile."""
    sizes = [(width_px, height_px)]
    while max(sizes[-1]) > tile_px:
        sizes.append((-(-sizes[-1][0] // REDUCTION), -(-sizes[-1][1] // REDUCTION)))
    return sizes


def area_means(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means over squares of 4x4 pixels; at the right and lower edge, over the pixels that there are."""
    height, width = pixels.shape[:2]
    rows, columns = -(-height // REDUCTION), -(-width // REDUCTION)
    if height % REDUCTION == 0 and width % REDUCTION == 0:
        return np.asarray(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    sums = np.add.reduceat(pixels, np.arange(0, height, REDUCTION), axis=0)
    sums = np.add.reduceat(sums, np.arange(0, width, REDUCTION), axis=1)
    down = np.minimum(REDUCTION, height - REDUCTION * np.arange(rows))
    across = np.minimum(REDUCTION, width - REDUCTION * np.arange(columns))
    counts = np.multiply.outer(down, across).astype(np.float32)
    return sums / (counts[..., None] if pixels.ndim == 3 else counts)


class _Pyramid:
    """Takes the tiles of level 0 in their order and writes them and what follows from them."""

    def __init__(self, writer: TiffWriter, pixels: Pixels, sizes: list[tuple[int, int]], tile_px: int) -> None:
        self.writer, self.pixels, self.tile_px = writer, pixels, tile_px
        self.levels = [_Level(width, height, tile_px) for width, height in sizes]
        self._blank: tuple[int, int] | None = None

    def _empty(self, height: int, width: int) -> NDArray[np.float32]:
        return np.full(self.pixels.shape(height, width), self.pixels.blank, np.float32)

    def put(self, number: int, row: int, column: int, tile: NDArray | None) -> None:
        """Write a tile of a level, None where it is blank, and lay its means into the next level."""
        level = self.levels[number]
        if tile is None:
            if self._blank is None:
                code = self.pixels.encode(self.pixels.cast(self._empty(self.tile_px, self.tile_px)), self.tile_px)
                self._blank = (self.writer.add_bytes(code), len(code))
            place, length = self._blank
        else:
            code = self.pixels.encode(self.pixels.cast(tile), self.tile_px)
            place, length = self.writer.add_bytes(code), len(code)
        level.places.append(place)
        level.lengths.append(length)
        if number + 1 == len(self.levels):
            return
        if tile is not None:
            self._reduce(number + 1, row, column, tile)
        if column == level.columns - 1 and (row % REDUCTION == REDUCTION - 1 or row == level.rows - 1):
            self._flush(number + 1, row // REDUCTION)

    def _reduce(self, number: int, row: int, column: int, tile: NDArray) -> None:
        coarse = self.levels[number]
        if column // REDUCTION not in coarse.filling:
            shape = coarse.tile_shape(row // REDUCTION, column // REDUCTION)
            coarse.filling[column // REDUCTION] = self._empty(*shape)
        means = area_means(tile.astype(np.float32))
        step = self.tile_px // REDUCTION
        top, left = row % REDUCTION * step, column % REDUCTION * step
        coarse.filling[column // REDUCTION][top : top + means.shape[0], left : left + means.shape[1]] = means

    def _flush(self, number: int, row: int) -> None:
        level = self.levels[number]
        for column in range(level.columns):
            self.put(number, row, column, level.filling.pop(column, None))

    def finish(self, um_per_px: float) -> None:
        """Write the directories."""
        for number, level in enumerate(self.levels):
            per_cm = rational(1e4 / (um_per_px * REDUCTION**number))
            tags = [
                Tag(254, LONG, [int(number > 0)]),
                Tag(256, LONG, [level.width]),
                Tag(257, LONG, [level.height]),
                Tag(282, RATIONAL, per_cm),
                Tag(283, RATIONAL, per_cm),
                Tag(296, SHORT, [3]),
                Tag(305, ASCII, list(b"mitozoo\0")),
                Tag(322, LONG, [self.tile_px]),
                Tag(323, LONG, [self.tile_px]),
                Tag(324, self.writer.offset_kind, level.places),
                Tag(325, LONG, level.lengths),
            ]
            self.writer.add_directory([*tags, *self.pixels.tags()])


def write_pyramid(
    path: Path,
    tiles: Iterable[NDArray | None],
    *,
    width_px: int,
    height_px: int,
    um_per_px: float,
    tile_px: int = TILE_PX,
    compression: str = "jpeg",
    quality: int = JPEG_QUALITY,
    blank: Sequence[float] = (255, 255, 255),
    dtype: DTypeLike = np.uint8,
) -> Path:
    """Write a pyramidal tiled TIFF, whole or not at all; BigTIFF where a classic one could not hold it.

    Levels are 4 times smaller a side, by the mean over 4x4 pixels of the finer level before rounding, down to one tile.
    Blank tiles cost neither time nor memory nor disk. Memory: a row of the tiles of each reduced level that are not
    blank.

    Args:
        path: the file.
        tiles: of level 0, row by row, ceil(width / tile) in a row: (h, w, 3) RGB or (h, w) grey, cut at the right and
            lower edge of the image; None where a tile is blank.
        width_px, height_px: of level 0.
        um_per_px: spacing of level 0, stated as resolution per cm.
        tile_px: side of a tile, a multiple of 16.
        compression: "jpeg" (8-bit RGB, with 4:2:0 chroma) or "deflate" (lossless).
        quality: of JPEG, 1 to 100.
        blank: values of a blank pixel: three make an RGB image, one a grey one.
        dtype: uint8, uint16 or float32.
    Returns: path.
    Raises: OutputError where the file cannot be written; ValueError if size, tiles or pixels are not as said above.
    """
    pixels = Pixels(np.dtype(dtype), tuple(blank), compression, quality)
    pixels.check()
    if min(width_px, height_px) < 1 or tile_px < 16 or tile_px % 16 or not (math.isfinite(um_per_px) and um_per_px > 0):
        raise ValueError("Width, height and spacing must be above 0, and the side of a tile a multiple of 16.")
    sizes = level_sizes(width_px, height_px, tile_px)
    # What deflate and JPEG add to noise is far less than a tenth; short edges are filled up to whole tiles.
    whole = [(-(-width // tile_px) * -(-height // tile_px)) * tile_px**2 for width, height in sizes]
    big = 1.1 * sum(whole) * len(pixels.blank) * pixels.dtype.itemsize > CLASSIC_BYTES
    with whole_file(path) as temporary, temporary.open("wb") as stream:
        pyramid = _Pyramid(TiffWriter(stream, big=big), pixels, sizes, tile_px)
        _put_all(pyramid, tiles)
        pyramid.finish(um_per_px)
    return path


def _put_all(pyramid: _Pyramid, tiles: Iterable[NDArray | None]) -> None:
    level = pyramid.levels[0]
    count = 0
    for tile in tiles:
        row, column = divmod(count, level.columns)
        if row >= level.rows:
            raise ValueError(f"There are more than the {level.rows * level.columns} tiles of the image.")
        wanted = pyramid.pixels.shape(*level.tile_shape(row, column))
        if tile is not None and tile.shape != wanted:
            raise ValueError(f"Tile {count} has the shape {tile.shape}, not {wanted}.")
        pyramid.put(0, row, column, tile)
        count += 1
    if count < level.rows * level.columns:
        raise ValueError(f"There are {count} tiles, not the {level.rows * level.columns} of the image.")
