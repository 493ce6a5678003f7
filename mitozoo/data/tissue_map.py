"""Where a slide has tissue, at low power: glass, pen and dust are left out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from mitozoo.base.errors import InputError
from mitozoo.base.units import area_mm2
from mitozoo.data.slides import Box, Slide

#: Spacing of the map, coarser where the slide is very large.
MAP_UM_PER_PX = 8.0
MOST_SIDE_PX = 4096
#: Saturation (0 to 255) between which Otsu's threshold is believed: paler is glass, and what is stronger is tissue.
_SATURATION = (12, 50)
#: Pieces smaller than this are dust, and holes smaller than this are gaps in the tissue.
DUST_MM2, HOLE_MM2 = 0.003, 0.05
#: So far around the tissue is searched too, for cells at its edge.
RIM_UM = 40.0
#: A slide with nothing as bright as this (0 to 255) has no picture: 12-bit samples in 16 bits reach 16.
BLACK = 32


@dataclass(frozen=True)
class TissueMap:
    """Tissue at low power.

    Attributes: mask bool (h, w); searched, with the rim around it; downsample, level-0 pixels a side for each of its
    pixels; um_per_px of level 0; thumbnail uint8 (h, w, 3), the slide at the same size; notes, one sentence each of
    what was odd.
    """

    mask: np.ndarray
    searched: np.ndarray
    downsample: float
    um_per_px: float
    thumbnail: np.ndarray
    notes: tuple[str, ...] = ()

    @property
    def mm2(self) -> float:
        """Area of tissue."""
        return area_mm2(float(self.mask.sum()), self.um_per_px * self.downsample)

    def touches(self, box: Box) -> bool:
        """Whether a box of level-0 pixels holds something to search."""
        left, top = int(box.x / self.downsample), int(box.y / self.downsample)
        right = int(np.ceil((box.x + box.width) / self.downsample))
        bottom = int(np.ceil((box.y + box.height) / self.downsample))
        return bool(self.searched[max(top, 0) : bottom, max(left, 0) : right].any())

    def extent(self, box: Box) -> Box | None:
        """The smallest box of level-0 pixels that holds all that is searched in a box; None where nothing is."""
        left, top = max(int(box.x / self.downsample), 0), max(int(box.y / self.downsample), 0)
        right = int(np.ceil((box.x + box.width) / self.downsample))
        bottom = int(np.ceil((box.y + box.height) / self.downsample))
        inside = self.searched[top:bottom, left:right]
        rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
        if not len(rows):
            return None
        x0, y0 = int((left + columns[0]) * self.downsample), int((top + rows[0]) * self.downsample)
        x1 = int(np.ceil((left + columns[-1] + 1) * self.downsample))
        y1 = int(np.ceil((top + rows[-1] + 1) * self.downsample))
        return Box(x0, y0, x1 - x0, y1 - y0)

    def mm2_in(self, box: Box) -> float:
        """Area of tissue in a box of level-0 pixels."""
        rows = slice(max(round(box.y / self.downsample), 0), max(round((box.y + box.height) / self.downsample), 0))
        columns = slice(max(round(box.x / self.downsample), 0), max(round((box.x + box.width) / self.downsample), 0))
        return area_mm2(float(self.mask[rows, columns].sum()), self.um_per_px * self.downsample)

    def has(self, x_px: float, y_px: float) -> bool:
        """Whether a point of level 0 is searched."""
        row, column = int((y_px + 0.5) / self.downsample), int((x_px + 0.5) / self.downsample)
        height, width = self.searched.shape
        return bool(self.searched[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])


def tissue_map(slide: Slide, um_per_px: float) -> TissueMap:
    """Find the tissue of a slide. What cannot be read at low power counts as tissue: it is tried at full power.

    Args: slide; um_per_px, spacing of its level 0.
    Raises: InputError if nothing can be read, or all is black.
    """
    longest = max(slide.width_px, slide.height_px)
    side = min(MOST_SIDE_PX, max(1, round(longest * um_per_px / MAP_UM_PER_PX)))
    thumbnail, downsample, unread = slide.small(side)
    # Pixels at the rim are mixed with the background beyond it.
    inner = thumbnail[1:-1, 1:-1][~unread[1:-1, 1:-1]]
    if inner.size and inner.max() < BLACK:
        raise InputError(
            f"{slide.path} is black all over: it is empty, or holds 10- or 12-bit samples in 16 bits. Save it as 8-bit "
            "RGB."
        )
    mask = tissue_of(thumbnail, um_per_px * downsample) | unread
    bounds = slide.bounds
    inside = np.zeros_like(mask)
    top, left = int(bounds.y / downsample), int(bounds.x / downsample)
    bottom = int(np.ceil((bounds.y + bounds.height) / downsample))
    right = int(np.ceil((bounds.x + bounds.width) / downsample))
    inside[top:bottom, left:right] = True
    mask &= inside
    lack = area_mm2(float((unread & inside).sum()), um_per_px * downsample)
    notes = (f"{lack:.2f} mm² cannot be read at low power and were searched as tissue.",) if lack else ()
    searched = _widened(mask, um_per_px * downsample) & inside
    return TissueMap(mask, searched, downsample, um_per_px, thumbnail, notes)


def tissue_of(small: np.ndarray, um_per_px: float) -> np.ndarray:
    """Tissue in a slide at low power.

    Stained tissue is more saturated than glass; the threshold is Otsu's, within bounds, so that a slide of glass alone
    and one of tissue alone do not deceive it. Pen is told by its colour, dust by its size.

    Args: small uint8 (h, w, 3) RGB; um_per_px, its spacing, about 4 to 30.
    Returns: bool (h, w).
    Source: Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    smooth = cv2.GaussianBlur(small, (0, 0), 1.0)
    hue, saturation, value = cv2.split(cv2.cvtColor(smooth, cv2.COLOR_RGB2HSV))
    pen = _pen(hue, saturation, value)
    seen = saturation[~pen & (value > 30)]
    if not seen.size:
        return np.zeros(small.shape[:2], bool)
    otsu = cv2.threshold(seen.reshape(1, -1), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[0]
    mask = (saturation > np.clip(otsu, *_SATURATION)) & ~pen & (value > 30)
    around = max(1, round(16.0 / um_per_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * around + 1, 2 * around + 1))
    mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc).astype(bool) & ~pen
    mask = _without_small(mask, DUST_MM2, um_per_px)
    return (mask | _holes(mask, um_per_px)) & ~pen


def _widened(mask: np.ndarray, um_per_px: float) -> np.ndarray:
    reach = max(1, round(RIM_UM / um_per_px))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return cv2.dilate(mask.astype(np.uint8), disc).astype(bool)


def _pen(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Marker: green, blue, red or black ink. OpenCV's hue is 0 to 179; haematoxylin and eosin are at 125 to 175."""
    green = (hue >= 35) & (hue <= 100) & (saturation > 50)
    blue = (hue > 100) & (hue <= 120) & (saturation > 130)
    red = ((hue < 6) | (hue > 176)) & (saturation > 190)
    black = (value < 70) & (saturation < 70)
    ink = (green | blue | red | black).astype(np.uint8)
    # Single pixels of these colours are in tissue too (carbon, brown pigment, blood): ink is broad.
    broad = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return cv2.dilate(broad, np.ones((5, 5), np.uint8)).astype(bool)


def _holes(mask: np.ndarray, um_per_px: float) -> np.ndarray:
    """Small gaps that tissue surrounds on all sides."""
    gaps = ndimage.binary_fill_holes(mask) & ~mask
    return gaps & ~_without_small(gaps, HOLE_MM2, um_per_px)


def _without_small(mask: np.ndarray, least_mm2: float, um_per_px: float) -> np.ndarray:
    labels, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = np.bincount(labels.ravel())
    kept = sizes * area_mm2(1, um_per_px) >= least_mm2
    kept[0] = False
    return kept[labels]
