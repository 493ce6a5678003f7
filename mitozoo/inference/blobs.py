"""From a map of chances to points: smooth, threshold, connected parts, filters."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy import ndimage

#: Levels of the histogram that Otsu's threshold is sought in.
LEVELS = 256


class Blobs(NamedTuple):
    """Connected parts of a map.

    Attributes: xy float64 (n, 2) in pixels, the centre of mass of each part weighted by the map; mean, highest float64
    (n,) of the map in it; area_px int64 (n,).
    """

    xy: np.ndarray
    mean: np.ndarray
    highest: np.ndarray
    area_px: np.ndarray


def smooth(chances: np.ndarray, sigma_px: float) -> np.ndarray:
    """Gaussian filter of a map float32 (H, W), cut at 3 sigma, mirrored at the edge; 0 leaves it as it is."""
    if not sigma_px:
        return chances
    side = 2 * int(np.ceil(3 * sigma_px)) + 1
    return np.asarray(cv2.GaussianBlur(chances, (side, side), sigma_px, borderType=cv2.BORDER_REFLECT_101))


def otsu(histogram: np.ndarray) -> float | None:
    """Otsu's threshold: where the variance between what is under it and what is not is largest.

    Args: histogram int (LEVELS,) of chances in [0, 1], as `histogram_of` gives it; may be pooled over fields.
    Returns: the threshold in (0, 1), or None for a flat map, which has none.
    Source: Otsu 1979, IEEE Trans Syst Man Cybern 9:62-66, Eq. 18.
    """
    total = histogram.sum()
    if np.count_nonzero(histogram) < 2:
        return None
    middles = (np.arange(LEVELS) + 0.5) / LEVELS
    under, first = np.cumsum(histogram) / total, np.cumsum(histogram * middles) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (first[-1] * under - first) ** 2 / (under * (1 - under))
    between[~np.isfinite(between)] = -1.0
    # Between two far peaks many thresholds are equally good: the middle of them.
    best = np.flatnonzero(between >= between.max() * (1 - 1e-12))
    return float((best[0] + best[-1]) / 2 + 1) / LEVELS


def histogram_of(chances: np.ndarray) -> np.ndarray:
    """Counts int64 (LEVELS,) of a map of chances in [0, 1]."""
    levels = np.minimum((np.asarray(chances) * LEVELS).astype(np.int64), LEVELS - 1)
    return np.bincount(levels.ravel(), minlength=LEVELS)


def blobs(chances: np.ndarray, level: float) -> Blobs:
    """Connected parts of a map float32 (H, W) at or above a level; positions touch at their corners too."""
    parts, count = ndimage.label(chances >= level, np.ones((3, 3), int))
    if not count:
        nothing = np.zeros(0)
        return Blobs(np.zeros((0, 2)), nothing, nothing, nothing.astype(np.int64))
    rows, columns = np.nonzero(parts)
    number, value = parts[rows, columns] - 1, chances[rows, columns].astype(np.float64)
    area, mass = np.bincount(number, minlength=count), np.bincount(number, value, count)
    safe = np.maximum(mass, 1e-12)
    x, y = (np.bincount(number, value * place, count) / safe for place in (columns, rows))
    highest = np.zeros(count)
    np.maximum.at(highest, number, value)
    return Blobs(np.column_stack([x, y]), mass / area, highest, area.astype(np.int64))
