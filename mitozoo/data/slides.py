"""Whole slides through OpenSlide: size, spacing, bounds, and pixels at any spacing."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mitozoo.base.errors import InputError
from mitozoo.base.per_thread import PerThread
from mitozoo.base.units import PLAUSIBLE_UM_PER_PX
from mitozoo.data.jpeg_tiles import KEPT_BYTES, UnreadableTileError, open_jpeg_tiles
from mitozoo.data.listing import SLIDE_SUFFIXES
from mitozoo.data.slide_layout import layout_notes

if TYPE_CHECKING:
    import openslide

#: TIFF files of more pixels than this are searched as slides, tile by tile.
TIFF_AS_SLIDE_PX = 40_000_000
#: Spacings this near to the wanted one, as a share of it, are taken as they are.
SAME_SPACING = 0.01
#: Pixels around a region that resampling looks at.
_MARGIN_PX = 4
#: A damaged slide is tried in pieces of so many pixels at a small size, or of a 64th of its longer side.
_GAP_PX, _GAP_SHARE = 8, 64
#: Pixels that are read at once.
_STRIP_PX = 1_300_000
#: A level is a picture of the slide if its longer side has so many pixels.
_LEAST_PICTURE_PX = 1000


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


def is_slide(path: Path) -> bool:
    """Whether a file is searched as a slide: by its suffix, or as a large tiled TIFF that OpenSlide reads."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in SLIDE_SUFFIXES:
        return True
    if suffix not in (".tif", ".tiff") or not path.is_file():
        return False
    import openslide

    try:
        if openslide.OpenSlide.detect_format(str(path)) is None:
            return False
        with openslide.OpenSlide(str(path)) as slide:
            width, height = slide.dimensions
            return width * height > TIFF_AS_SLIDE_PX
    except openslide.OpenSlideError:
        return False


class Slide:
    """A slide; threads may read from it at the same time, and each gets a handle of its own.

    Coordinates are pixels of level 0 of the file, origin top left, pixel centres at integers.

    Attributes:
        path, width_px, height_px: of level 0.
        bounds: the part that was scanned, of files that say so (MIRAX); else the whole.
        um_per_px: spacing that the file states, or None; notes, one sentence each of what was odd.
    """

    def __init__(self, path: Path) -> None:
        """Open. Raises: InputError naming the file if it is missing, no slide, damaged, cut off or grey."""
        self.path = Path(path)
        self._cache = _shared_cache()
        #: After an error OpenSlide's handles answer nothing more, so they are opened anew.
        self._handles = PerThread(self._opened, lambda handle: handle.close())
        handle = self._handles.get()
        self.width_px, self.height_px = handle.dimensions
        self.levels = [
            (level, downsample, size)
            for level, (downsample, size) in enumerate(
                zip(handle.level_downsamples, handle.level_dimensions, strict=True)
            )
        ]
        properties = dict(handle.properties)
        self.vendor = properties.get("openslide.vendor", "")
        self.bounds = _bounds(properties, self.width_px, self.height_px)
        self.background = _background(properties)
        self.um_per_px, notes = _spacing(properties)
        self.notes = (*notes, *layout_notes(self.path, self.vendor))
        self._tiles = open_jpeg_tiles(self.path, handle)

    def _opened(self) -> openslide.OpenSlide:
        handle = _open(self.path)
        if self._cache is not None:
            handle.set_cache(self._cache)
        return handle

    def close(self) -> None:
        """Close all handles."""
        self._handles.close()
        if self._tiles is not None:
            self._tiles.close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, box: Box, downsample: float = 1.0) -> np.ndarray:
        """Pixels uint8 (box.height, box.width, 3) RGB of the slide reduced `downsample` times.

        Pixel (i, j) of the reduced slide has its centre at level-0 pixel ((i + 0.5) * downsample - 0.5, …), however the
        box is cut, so that boxes side by side fit. What lies outside the slide is background.
        Raises: InputError naming the region if the file cannot be read there.
        """
        level, own = self._level_for(downsample)
        ratio = downsample / own
        if abs(ratio - 1) < 1e-9:
            return self._region(level, own, box)
        # Resample from a box of the level with some pixels around.
        reach = _MARGIN_PX + math.ceil(2 * ratio)
        left, top = math.floor(box.x * ratio) - reach, math.floor(box.y * ratio) - reach
        right = math.ceil((box.x + box.width) * ratio) + reach
        bottom = math.ceil((box.y + box.height) * ratio) + reach
        source = self._region(level, own, Box(left, top, right - left, bottom - top))
        if ratio > 1:
            # As much blur as the mean over ratio pixels has, so that reduced pixels stand for all they cover.
            sigma = math.sqrt(max(ratio**2 - 1, 0) / 12)
            source = cv2.GaussianBlur(source, (0, 0), sigma) if sigma > 0.05 else source
        # Centre of pixel i: (i + 0.5) * ratio - 0.5 in the level.
        shift_x = (box.x + 0.5) * ratio - 0.5 - left
        shift_y = (box.y + 0.5) * ratio - 0.5 - top
        matrix = np.array([[ratio, 0.0, shift_x], [0.0, ratio, shift_y]])
        mode = (cv2.INTER_LINEAR if ratio > 1 else cv2.INTER_CUBIC) | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(source, matrix, (box.width, box.height), flags=mode, borderMode=cv2.BORDER_REPLICATE)

    def _level_for(self, downsample: float) -> tuple[int, float]:
        """The smallest level that still has all the detail, and its downsample."""
        fitting = [(level, own) for level, own, _ in self.levels if own <= downsample * (1 + SAME_SPACING)]
        return max(fitting, key=lambda item: item[1]) if fitting else (0, 1.0)

    def _region(self, level: int, own: float, box: Box) -> np.ndarray:
        import openslide

        at = (round(box.x * own), round(box.y * own))
        out = np.empty((box.height, box.width, 3), np.uint8)
        if self._tiles is not None and level in self._tiles.levels:
            out[...] = self.background
            try:
                self._tiles.read(level, (box.x, box.y, box.x + box.width, box.y + box.height), out)
                return out
            except UnreadableTileError:
                pass  # OpenSlide may know how to, or says what is wrong.
        # In strips, because OpenSlide has four bytes for every pixel.
        rows = max(1, _STRIP_PX // max(box.width, 1))
        for top in range(0, box.height, rows):
            strip = out[top : top + rows]
            corner = (at[0], round((box.y + top) * own))
            try:
                region = self._handles.get().read_region(corner, level, (box.width, len(strip)))
            except openslide.OpenSlideError as error:
                self._handles.drop()
                raise InputError(
                    f"{self.path} cannot be read at x {at[0]}, y {at[1]} ({error}). Copy or download it again."
                ) from error
            self._onto_background(np.asarray(region), strip)
        return out

    def _onto_background(self, rgba: np.ndarray, out: np.ndarray) -> None:
        """Write pixels with opacity (h, w, 4) to out (h, w, 3) as they look on the slide's background."""
        if rgba[..., 3].min() == 255:
            cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB, dst=out)
            return
        alpha = rgba[..., 3:].astype(np.uint16)
        # OpenSlide's Python interface has divided by alpha already.
        mixed = rgba[..., :3] * alpha + np.array(self.background, np.uint16) * (255 - alpha)
        out[...] = (mixed + 127) // 255

    def small(self, max_side_px: int) -> tuple[np.ndarray, float, np.ndarray]:
        """The whole slide at a small size, as far as it can be read.

        Read in strips, so that memory stays small where the file has no small level.
        Returns: pixels uint8 (h, w, 3); level-0 pixels for each of its pixels; bool (h, w), where it cannot be read and
        is background.
        Raises: InputError if none of it can be read.
        """
        downsample = max(1.0, max(self.width_px, self.height_px) / max_side_px)
        width, height = (max(1, math.ceil(side / downsample)) for side in (self.width_px, self.height_px))
        _, own = self._level_for(downsample)
        least = max(_GAP_PX, max(width, height) // _GAP_SHARE)
        rows = max(8, round(64e6 / (width * (downsample / own) ** 2) / 3))
        pixels = np.empty((height, width, 3), np.uint8)
        unread = np.zeros((height, width), bool)
        failed: list[InputError] = []
        waiting = deque(Box(0, top, width, min(rows, height - top)) for top in range(0, height, rows))
        while waiting:
            box = waiting.popleft()
            place = slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)
            try:
                pixels[place] = self.read(box, downsample)
            except InputError as error:
                if max(box.width, box.height) > least:
                    waiting.extend(_halves(box))
                    continue
                failed.append(error)
                pixels[place], unread[place] = self.background, True
        if unread.all():
            raise failed[0]
        return pixels, downsample, unread

    def picture(self, most_side_px: int) -> np.ndarray:
        """The whole slide to look at, uint8 (h, w, 3), at most so many pixels a side: a level as it is where one fits.

        Raises: InputError as `small`.
        """
        for level, own, size in self.levels:
            if _LEAST_PICTURE_PX <= max(size) <= most_side_px:
                return self._region(level, own, Box(0, 0, *size))
        return self.small(most_side_px)[0]


def _halves(box: Box) -> tuple[Box, Box]:
    """A box cut across its longer side."""
    if box.width >= box.height:
        half = box.width // 2
        return Box(box.x, box.y, half, box.height), Box(box.x + half, box.y, box.width - half, box.height)
    half = box.height // 2
    return Box(box.x, box.y, box.width, half), Box(box.x, box.y + half, box.width, box.height - half)


def _shared_cache() -> Any:
    """A cache for all handles of a slide; None where OpenSlide is older than that."""
    import openslide

    try:
        return openslide.OpenSlideCache(KEPT_BYTES)
    except (AttributeError, openslide.OpenSlideVersionError):
        return None


def _open(path: Path) -> openslide.OpenSlide:
    import openslide

    if not path.exists():
        raise InputError(f"No such file or folder: {path}.")
    try:
        handle = openslide.OpenSlide(str(path))
        # Files that are cut off often open, and fail at their end.
        handle.read_region((handle.dimensions[0] - 1, handle.dimensions[1] - 1), 0, (1, 1))
    except openslide.OpenSlideUnsupportedFormatError:
        raise InputError(
            f"{path} is no slide that OpenSlide reads, or is damaged. Copy or download it again, or convert it to a "
            "pyramidal TIFF."
        ) from None
    except openslide.OpenSlideError as error:
        raise InputError(f"{path} cannot be opened ({error}). Copy or download it again.") from None
    except PermissionError:
        raise InputError(f"{path} may not be read: permission denied.") from None
    return handle


def _bounds(properties: dict[str, str], width_px: int, height_px: int) -> Box:
    names = ("x", "y", "width", "height")
    try:
        x, y, width, height = (int(properties[f"openslide.bounds-{name}"]) for name in names)
    except (KeyError, ValueError):
        return Box(0, 0, width_px, height_px)
    right, bottom = min(x + width, width_px), min(y + height, height_px)
    x, y = max(x, 0), max(y, 0)
    return Box(x, y, right - x, bottom - y) if right > x and bottom > y else Box(0, 0, width_px, height_px)


def _background(properties: dict[str, str]) -> tuple[int, int, int]:
    text = properties.get("openslide.background-color", "FFFFFF")
    try:
        red, green, blue = (int(text[i : i + 2], 16) for i in (0, 2, 4))
    except ValueError:
        return 255, 255, 255
    return red, green, blue


def _spacing(properties: dict[str, str]) -> tuple[float | None, tuple[str, ...]]:
    """Spacing in µm per pixel, or None, and what was odd about it."""
    stated = [properties.get(f"openslide.mpp-{axis}") for axis in "xy"]
    try:
        across, down = (float(str(value).replace(",", ".")) for value in stated)
    except ValueError:
        return None, ()
    low, high = PLAUSIBLE_UM_PER_PX
    mean = (across + down) / 2
    if not math.isfinite(mean) or not low <= mean <= high:
        return None, (f"The file states {mean:g} µm per pixel, which no slide scanner gives.",)
    if abs(across - down) > 0.02 * mean:
        return None, (f"The file states pixels of {across:g} x {down:g} µm, which are not square.",)
    return mean, ()
