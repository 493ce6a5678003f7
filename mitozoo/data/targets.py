"""Targets of models that label every pixel, from centres, circles and lists of pixels. NumPy only.

All maps are uint8 (H, W): 1 mitotic, 0 not, `IGNORED` where nothing is to be learnt.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

#: Value of pixels that count in no loss.
IGNORED = 255
#: Radii of discs drawn around centres, and axes of ellipses. Source: Sohail et al. 2020, section 3.3.
DISC_RADIUS_PX = (10.0, 16.0)
ELLIPSE_AXES_PX = (5.0, 13.0)
ELLIPSE_ANGLES = (60.0, 90.0)
#: Inner radius of concentric labels, and the outer one as a multiple. Source: Sebai et al. 2020, section III.
INNER_PX = (10.0, 17.0)
OUTER_RATIO = (1.5, 2.5)
#: Fixed choices of the same paper: inner and outer radius.
R12_R24 = (12.0, 24.0)
R15_R30 = (15.0, 30.0)


def discs(height: int, width: int, xy: np.ndarray, radius_px: np.ndarray | float) -> np.ndarray:
    """Discs around centres.

    Args: height, width in pixels; xy (n, 2) centres, also outside the map; radius_px (n,) or one for all: a pixel whose
        centre is at that distance belongs to the disc.
    Returns: uint8 (height, width), 1 inside.
    """
    radii = np.broadcast_to(np.asarray(radius_px, np.float64), (len(xy),))
    return ellipses(height, width, xy, np.stack([radii, radii], axis=1), np.zeros(len(xy)))


def ellipses(height: int, width: int, xy: np.ndarray, axes_px: np.ndarray, angle_deg: np.ndarray) -> np.ndarray:
    """Ellipses around centres.

    Args: axes_px (n, 2) half axes, the first one along the angle; angle_deg (n,) from the x axis, counted as the eye
        sees it (y points down in the map, but 90° is up).
    Returns: uint8 (height, width), 1 inside or on the rim.
    """
    out = np.zeros((height, width), np.uint8)
    for (x, y), (along, across), angle in zip(xy, axes_px, np.deg2rad(angle_deg), strict=True):
        reach = max(along, across)
        left, right = max(int(np.ceil(x - reach)), 0), min(int(np.floor(x + reach)) + 1, width)
        top, bottom = max(int(np.ceil(y - reach)), 0), min(int(np.floor(y + reach)) + 1, height)
        if reach <= 0 or left >= right or top >= bottom:
            continue
        dx, dy = np.arange(left, right) - x, (np.arange(top, bottom) - y)[:, None]
        u = dx * np.cos(angle) - dy * np.sin(angle)
        v = dx * np.sin(angle) + dy * np.cos(angle)
        inside = (u / along) ** 2 + (v / across) ** 2 <= 1 + 1e-9
        out[top:bottom, left:right] |= inside.astype(np.uint8)
    return out


def rings(height: int, width: int, xy: np.ndarray, inner_px: np.ndarray, outer_px: np.ndarray) -> np.ndarray:
    """Concentric labels.

    Args: xy (n, 2); inner_px and outer_px (n,) or one for all.
    Returns: uint8 (height, width): 1 within the inner radius of any centre, else `IGNORED` within an outer one, else 0.
    Source: Sebai et al. 2020, doi 10.1109/ACCESS.2020.2978754, section III.
    """
    inside, around = discs(height, width, xy, inner_px), discs(height, width, xy, outer_px)
    return np.where(inside > 0, np.uint8(1), np.where(around > 0, np.uint8(IGNORED), np.uint8(0)))


def with_ignored(labels: np.ndarray, circles: Sequence[tuple[float, float, float]] | np.ndarray) -> np.ndarray:
    """Return a copy of a map (H, W) that is `IGNORED` inside circles (x_px, y_px, radius_px)."""
    places = np.asarray(circles, np.float64).reshape(-1, 3)
    covered = discs(labels.shape[0], labels.shape[1], places[:, :2], places[:, 2])
    return np.where(covered > 0, np.uint8(IGNORED), labels)


def pixel_lists(height: int, width: int, lists: Iterable[Sequence[float]]) -> np.ndarray:
    """The mask of lists of pixels x, y, x, y, … as ICPR 2012 writes them.

    Returns: bool (height, width).  Raises: ValueError for a list of odd length or a pixel outside the map.
    """
    mask = np.zeros((height, width), bool)
    for values in lists:
        if len(values) % 2:
            raise ValueError(f"a list of pixels has {len(values)} numbers, not x,y,x,y,….")
        places = np.round(np.asarray(values, np.float64)).astype(np.int64).reshape(-1, 2)
        outside = (places < 0).any(axis=1) | (places[:, 0] >= width) | (places[:, 1] >= height)
        if outside.any():
            x, y = places[outside][0]
            raise ValueError(f"the pixel x {x}, y {y} lies outside the image ({width} x {height} px).")
        mask[places[:, 1], places[:, 0]] = True
    return mask


def random_radii(uniform: np.ndarray, low_high_px: tuple[float, float] = DISC_RADIUS_PX) -> np.ndarray:
    """Radii in a range from random numbers (n,) in [0, 1)."""
    low, high = low_high_px
    return low + (high - low) * np.asarray(uniform, np.float64)


def random_ellipses(
    uniform: np.ndarray, low_high_px: tuple[float, float] = ELLIPSE_AXES_PX
) -> tuple[np.ndarray, np.ndarray]:
    """Half axes (n, 2) and angles (n,) of `ELLIPSE_ANGLES` from random numbers (n, 3) in [0, 1)."""
    uniform = np.asarray(uniform, np.float64).reshape(-1, 3)
    angles = np.asarray(ELLIPSE_ANGLES)[(uniform[:, 2] * len(ELLIPSE_ANGLES)).astype(int)]
    return random_radii(uniform[:, :2], low_high_px), angles


def random_rings(
    uniform: np.ndarray,
    inner_px: tuple[float, float] = INNER_PX,
    outer_ratio: tuple[float, float] = OUTER_RATIO,
) -> tuple[np.ndarray, np.ndarray]:
    """Inner and outer radii (n,) from random numbers (n, 2) in [0, 1); a range of no width is a fixed choice."""
    uniform = np.asarray(uniform, np.float64).reshape(-1, 2)
    inner = random_radii(uniform[:, 0], inner_px)
    return inner, inner * random_radii(uniform[:, 1], outer_ratio)
