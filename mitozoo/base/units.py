"""The only place where micrometres become pixels.

Lengths carry their unit in their name: ``radius_um``, ``tile_px``, ``um_per_px``.
"""

from __future__ import annotations

import math

from mitozoo.base.errors import InputError

#: Spacing of a 40x scan, which every model of the zoo works at unless its spec says otherwise.
UM_PER_PX_40X = 0.25
#: Area of ten high-power fields of 0.237 mm² each.
HOTSPOT_MM2 = 2.37
#: Spacings outside this range are not those of a light microscope's scan of tissue.
PLAUSIBLE_UM_PER_PX = (0.05, 20.0)


def check_um_per_px(um_per_px: float) -> float:
    """Return a plausible spacing in µm per pixel.

    Raises: InputError if it is not finite or outside `PLAUSIBLE_UM_PER_PX`.
    """
    low, high = PLAUSIBLE_UM_PER_PX
    if not math.isfinite(um_per_px) or not low <= um_per_px <= high:
        raise InputError(
            f"A spacing of {um_per_px:g} µm per pixel is not plausible ({low:g} to {high:g}). "
            "Give the true one with --um-per-px (0.25 is usual at 40x)."
        )
    return float(um_per_px)


def um_to_px(length_um: float, um_per_px: float) -> float:
    """Convert a length in µm to pixels."""
    return length_um / um_per_px


def px_to_um(length_px: float, um_per_px: float) -> float:
    """Convert a length in pixels to µm."""
    return length_px * um_per_px


def area_mm2(pixels: float, um_per_px: float) -> float:
    """Area in mm² of a number of pixels."""
    return pixels * um_per_px * um_per_px * 1e-6


def side_px_of_area(mm2: float, aspect: float, um_per_px: float) -> tuple[float, float]:
    """Width and height in pixels of a rectangle of `mm2` whose width is `aspect` times its height."""
    height_um = math.sqrt(mm2 * 1e6 / aspect)
    return um_to_px(aspect * height_um, um_per_px), um_to_px(height_um, um_per_px)
