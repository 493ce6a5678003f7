"""Pixel masks of mitotic chromatin where only the centre of the figure is labelled."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from mitozoo.data.stain import haematoxylin, optical_density

#: Radius around the centre in which chromatin is sought, and the smaller one that gives the threshold, at 0.25 µm per
#: pixel.
REACH_PX = 28
_THRESHOLD_REACH_PX = 24
#: Sane areas of the chromatin of one mitotic figure, both plates together: 4 to 94 µm².
AREA_PX = (64, 1500)
#: Radius of the disc where no chromatin can be told from its surroundings.
FALLBACK_RADIUS_PX = 8.0
#: The centre of a label lies in the chromatin or this near to it; between the two plates of a telophase, or in a ring,
#: it may lie farther.
_NEAR_PX = 12.0
_PLATE_PX = 20.0
#: The two plates of a telophase differ in area by less than this factor, and their middle is this near to the centre.
_PLATES_RATIO = 2.5
_MIDDLE_PX = 6.0
#: Pieces of the chromatin have at least this area, and this share of the main piece's darkness above its surroundings.
_PIECE_PX = 20
_PIECE_DARKNESS = 0.75
_BLUR_PX = 1.0
_NEIGHBOURS = np.ones((3, 3), bool)
_CROSS = ndimage.generate_binary_structure(2, 1)


@dataclass(frozen=True)
class Chromatin:
    """Chromatin of one mitotic figure.

    Attributes: mask bool (H, W); found, False where `mask` is only a disc of `FALLBACK_RADIUS_PX`; x_px, y_px centre of
    mass; radius_px, distance from there within which 98 % of the mask lies.
    """

    mask: np.ndarray
    found: bool
    x_px: float
    y_px: float
    radius_px: float


def chromatin(pixels: np.ndarray, x_px: float, y_px: float) -> Chromatin:
    """Find the chromatin of the mitotic figure that is labelled at a point.

    Haematoxylin and density in red, Otsu's threshold within `REACH_PX`, the component nearest to the point, and the
    second plate of a telophase; once more among the dark pixels alone where that is too large to be a figure.

    Args: pixels uint8 (H, W, 3) RGB at 0.25 µm per pixel; x_px, y_px of the label.
    Source: Otsu 1979, doi 10.1109/TSMC.1979.4310076; stains as in `mitozoo.data.stain`.
    """
    sharp = 0.5 * haematoxylin(pixels) + 0.5 * optical_density(pixels[..., 0])
    dark = cv2.GaussianBlur(sharp.astype(np.float32), (0, 0), _BLUR_PX)
    rows, columns = np.indices(sharp.shape)
    away = np.hypot(columns - x_px, rows - y_px)
    disc = away <= REACH_PX
    inside = away <= _THRESHOLD_REACH_PX
    for _ in range(3):
        level = _otsu(dark[inside])
        mask = _figure(dark, disc & (dark > level), away, (x_px, y_px), level)
        if mask is not None and mask.sum() <= AREA_PX[1] and (mask & (away > REACH_PX - 1.5)).sum() <= 6:
            return _measured(mask, True)
        inside &= dark > level
        if inside.sum() < AREA_PX[0]:
            break
    return _measured(away <= FALLBACK_RADIUS_PX, False)


def _otsu(values: np.ndarray) -> float:
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-3:
        return high
    levels = np.round((values - low) / (high - low) * 255).astype(np.uint8).reshape(-1, 1)
    step, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return low + (step + 0.5) / 255 * (high - low)


def _figure(
    dark: np.ndarray, above: np.ndarray, away: np.ndarray, centre: tuple[float, float], level: float
) -> np.ndarray | None:
    """Main piece of the chromatin, the pieces beside it and the other plate; None where there is no piece near."""
    above = ndimage.binary_opening(above, _CROSS)
    parts, count = ndimage.label(above, structure=_NEIGHBOURS)
    if not count:
        return None
    numbers = np.arange(1, count + 1)
    areas = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    nearest = ndimage.minimum(away, parts, numbers)
    depth = ndimage.mean(dark, parts, numbers) - level
    middles = np.array(ndimage.center_of_mass(above, parts, numbers))[:, ::-1] - centre
    large = np.flatnonzero((areas >= AREA_PX[0] / 2) & (nearest <= _PLATE_PX))
    if not len(large):
        return None
    first = large[np.argmin(nearest[large])]
    kept = {int(first)}
    for other in large[large != first]:
        ratio = max(areas[first], areas[other]) / min(areas[first], areas[other])
        if ratio < _PLATES_RATIO and np.linalg.norm(middles[first] + middles[other]) / 2 < _MIDDLE_PX:
            kept.add(int(other))
    if nearest[first] > _NEAR_PX and len(kept) == 1:
        return None
    pieces = (areas >= _PIECE_PX) & (nearest <= _NEAR_PX) & (np.linalg.norm(middles, axis=1) <= 1.5 * _NEAR_PX)
    kept |= set(np.flatnonzero(pieces & (depth >= _PIECE_DARKNESS * depth[first])).tolist())
    mask = ndimage.binary_fill_holes(np.isin(parts, numbers[sorted(kept)]))
    return mask if mask.sum() >= AREA_PX[0] else None


def _measured(mask: np.ndarray, found: bool) -> Chromatin:
    rows, columns = np.nonzero(mask)
    x, y = (float(columns.mean()), float(rows.mean())) if len(rows) else (0.0, 0.0)
    radius = float(np.quantile(np.hypot(columns - x, rows - y), 0.98)) + 0.5 if len(rows) else 0.0
    return Chromatin(mask, found, x, y, radius)
