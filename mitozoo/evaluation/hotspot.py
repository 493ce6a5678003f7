"""The window with the most mitotic figures, and the Nottingham mitotic score of its count."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mitozoo.base.units import HOTSPOT_MM2, area_mm2, side_px_of_area

#: Name and source of the table that `nottingham_score` reads; reports print it.
NOTTINGHAM_TABLE = (
    "Nottingham mitotic count by field diameter (Elston & Ellis, Histopathology 1991;19:403, as tabulated in the "
    "College of American Pathologists' protocol for invasive breast carcinoma): ten fields of 0.55 mm diameter "
    "(2.37 mm²), score 1 up to 8, score 2 from 9 to 17, score 3 from 18"
)
# Ten fields of one diameter: smallest and largest area that the table's rounding allows, in mm², and the largest
# counts of scores 1 and 2. 10 π (d/2)² is 2.376 for 0.55 mm, 2.734 for 0.59 mm and 3.117 for 0.63 mm.
_TEN_FIELDS = (
    (HOTSPOT_MM2, 2.38, 8, 17),
    (2.73, 2.74, 9, 19),
    (3.11, 3.12, 11, 22),
)
_ROUNDING_MM2 = 1e-6


@dataclass(frozen=True)
class Hotspot:
    """The window with the most points.

    Attributes: x_px, y_px, its centre in level-0 pixels (integers at pixel centres); width_px, height_px, its sides;
    mm2, its area; count, the points inside, borders included.
    """

    x_px: float
    y_px: float
    width_px: float
    height_px: float
    mm2: float
    count: int

    @property
    def left_px(self) -> float:
        """Its left border."""
        return self.x_px - self.width_px / 2

    @property
    def top_px(self) -> float:
        """Its upper border."""
        return self.y_px - self.height_px / 2


def hotspot(
    points_xy: np.ndarray,
    width_px: float,
    height_px: float,
    um_per_px: float,
    *,
    mm2: float = HOTSPOT_MM2,
    aspect: float = 4 / 3,
) -> Hotspot:
    """Find the window of a given area that holds the most points.

    The window lies inside the image, at any position, with its longer side across or upright, whichever holds more.
    The count is exact. Of the windows with as many points the first is taken (across before upright, then from the
    left, then from the top) and centred on its points. An image that is large enough in area but too narrow for the
    window gets one of the same area, as wide as the image and longer. An image smaller than the window is its own
    hotspot, with its own area.

    Args:
        points_xy: (n, 2) centres in pixels of the image.
        width_px, height_px: size of the image.
        um_per_px: spacing.
        mm2: area of the window.
        aspect: longer side over shorter side.
    Returns: the window; centred in the image where there are no points.
    Raises: ValueError if a size, the spacing, the area or the aspect is not above 0.
    """
    if min(width_px, height_px, um_per_px, mm2, aspect) <= 0:
        raise ValueError("Sizes, spacing, area and aspect of a hotspot must be above 0.")
    size = np.array([width_px, height_px], dtype=np.float64)
    # Pixel centres are integers, so the image reaches from -0.5; a point beyond the border belongs to the border.
    points = np.clip(np.asarray(points_xy, dtype=np.float64).reshape(-1, 2), -0.5, size - 0.5)
    best: tuple[int, np.ndarray, np.ndarray] | None = None
    for sides in _windows(size, um_per_px, mm2, aspect):
        count, centre = _densest(points, sides)
        if best is None or count > best[0]:
            middle = (size - 1) / 2 if count == 0 else centre
            best = count, sides, np.clip(middle, sides / 2 - 0.5, size - sides / 2 - 0.5)
    assert best is not None
    count, sides, middle = best
    area = area_mm2(float(sides[0] * sides[1]), um_per_px)
    return Hotspot(float(middle[0]), float(middle[1]), float(sides[0]), float(sides[1]), area, count)


def hotspots(
    points_xy: np.ndarray,
    width_px: float,
    height_px: float,
    um_per_px: float,
    *,
    most: int = 3,
    mm2: float = HOTSPOT_MM2,
    aspect: float = 4 / 3,
) -> list[Hotspot]:
    """Find several hotspots: each is that of the points which none before it holds.

    Args: as in `hotspot`; most, how many at most.
    Returns: by falling count, none without a point; windows may overlap, but share no point.
    """
    points = np.asarray(points_xy, dtype=np.float64).reshape(-1, 2)
    found: list[Hotspot] = []
    while len(points) and len(found) < most:
        window = hotspot(points, width_px, height_px, um_per_px, mm2=mm2, aspect=aspect)
        found.append(window)
        size = np.array([width_px, height_px], dtype=np.float64)
        apart = np.abs(np.clip(points, -0.5, size - 0.5) - (window.x_px, window.y_px))
        outside = (apart > np.array([window.width_px, window.height_px]) / 2 + 1e-6).any(axis=1)
        points = points[outside]
    return found


def _windows(size: np.ndarray, um_per_px: float, mm2: float, aspect: float) -> list[np.ndarray]:
    """Sides (x, y) in pixels of the windows to try."""
    if area_mm2(float(size[0] * size[1]), um_per_px) <= mm2:
        return [size]
    across = np.array(side_px_of_area(mm2, aspect, um_per_px))
    both = [across, across[::-1]]
    fitting = [sides for sides in both if (sides <= size).all()]
    if fitting:
        return fitting
    area_px = across[0] * across[1]
    cut = [np.minimum(sides, size) for sides in both]
    return [np.minimum(np.maximum(sides, area_px / sides[::-1]), size) for sides in cut]


def _densest(points: np.ndarray, sides: np.ndarray) -> tuple[int, np.ndarray]:
    """Largest number of points in a window of `sides`, and the middle (x, y) of those points.

    Some densest window has a point on its left border and one on its upper border. The left border goes from point
    to point; `inside` counts, for every upper border, the points between the left and the right one.
    """
    if len(points) == 0:
        return 0, np.zeros(2)
    points = points[np.lexsort((points[:, 1], points[:, 0]))]
    x, y = points[:, 0], points[:, 1]
    tops = np.unique(y)
    first = np.searchsorted(tops, y - sides[1], side="left")
    last = np.searchsorted(tops, y, side="right")
    inside = np.zeros(len(tops), dtype=np.int64)
    ends = np.searchsorted(x, x + sides[0], side="right")
    best, best_left, best_top, added = 0, 0.0, 0.0, 0
    for index, end in enumerate(ends):
        for new in range(added, end):
            inside[first[new] : last[new]] += 1
        added = max(added, int(end))
        row = int(inside.argmax())
        if inside[row] > best:
            best, best_left, best_top = int(inside[row]), x[index], tops[row]
        inside[first[index] : last[index]] -= 1
    held = (x >= best_left) & (x <= best_left + sides[0]) & (y >= best_top) & (y - sides[1] <= best_top)
    return best, (points[held].min(axis=0) + points[held].max(axis=0)) / 2


def nottingham_score(count: int, mm2: float) -> int | None:
    """Nottingham mitotic score of a count in an area.

    Args: count of mitotic figures; mm2, the area they were counted in.
    Returns: 1, 2 or 3; None where the area is not one of the table's (2.37, 2.73 or 3.12 mm²), above all where it is
        smaller than ten fields: counts are not scaled, because a small area does not tell what a larger one holds.
    Raises: ValueError if count is negative.
    Source: Elston and Ellis 1991, doi:10.1111/j.1365-2559.1991.tb00229.x; the counts by field diameter (0.55, 0.59 and
        0.63 mm) in the College of American Pathologists' protocol for invasive carcinoma of the breast. They agree with
        that protocol's densities: up to 3 per mm² score 1, 4 to 7 score 2, from 8 score 3.
    """
    if count < 0:
        raise ValueError(f"A count cannot be negative: {count}.")
    for low_mm2, high_mm2, most_1, most_2 in _TEN_FIELDS:
        if low_mm2 - _ROUNDING_MM2 <= mm2 <= high_mm2 + _ROUNDING_MM2:
            return 1 if count <= most_1 else 2 if count <= most_2 else 3
    return None
