"""Spacing: how many µm one pixel is, from an image's tags, from the user or from the model."""

from __future__ import annotations

import math
import re

from mitozoo.base.errors import InputError
from mitozoo.base.units import PLAUSIBLE_UM_PER_PX, check_um_per_px
from mitozoo.data.headers import Header

#: Pixels whose sides differ by more than this part are not square, and one number cannot describe them.
_SQUARE = 0.02
_UNIT_UM = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1e3, "cm": 1e4}
_NUMBER = r"([0-9]+(?:[.,][0-9]+)?(?:[eE][-+]?[0-9]+)?)"


def um_per_px_of(header: Header) -> float | None:
    """Return the spacing that an image's header states, in µm per pixel, or None.

    In this order: Aperio's `MPP = 0.2456` and OME-XML's `PhysicalSizeX` in a TIFF's description, ImageJ's
    `unit=micron`, then the resolution (TIFF and EXIF XResolution, PNG pHYs, JFIF density, BMP pixels per metre).
    Values that no microscope gives are not spacings: 72, 96 or 300 dots per inch, which programs write by default,
    would be 353, 265 or 85 µm per pixel. None as well where pixels are not square.
    """
    for found in (_aperio(header.description), _ome(header.description), _imagej(header)):
        if found is not None:
            return _plausible(*found)
    if header.px_per_um is None or min(header.px_per_um) <= 0:
        return None
    across, down = header.px_per_um
    return _plausible(1 / across, 1 / down)


def resolve_spacing(from_file: float | None, flag: float | None, model_um_per_px: float) -> tuple[float, str]:
    """Choose the spacing to work with.

    Args: from_file and flag (the user's --um-per-px) in µm per pixel or None; model_um_per_px, the model's own.
    Returns: µm per pixel and where it comes from: "flag" before "file" before "assumed".
    Raises: InputError if the user's is not plausible.
    """
    if flag is not None:
        return check_um_per_px(flag), "flag"
    if from_file is not None:
        return check_um_per_px(from_file), "file"
    return float(model_um_per_px), "assumed"


def _plausible(across: float, down: float) -> float | None:
    low, high = PLAUSIBLE_UM_PER_PX
    spacing = (across + down) / 2
    if not math.isfinite(spacing) or not low <= spacing <= high or abs(across - down) > _SQUARE * spacing:
        return None
    try:
        return check_um_per_px(spacing)
    except InputError:
        return None


def _value(text: str) -> float:
    return float(text.replace(",", "."))


def _aperio(description: str) -> tuple[float, float] | None:
    match = re.search(r"\bMPP\s*=\s*" + _NUMBER, description)
    return (_value(match[1]), _value(match[1])) if match else None


def _ome(description: str) -> tuple[float, float] | None:
    across, down = _ome_side(description, "X"), _ome_side(description, "Y")
    return None if across is None else (across, across if down is None else down)


def _ome_side(description: str, axis: str) -> float | None:
    match = re.search(rf'PhysicalSize{axis}="{_NUMBER}"', description)
    unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', description)
    scale = _UNIT_UM.get(unit[1] if unit else "µm")
    return _value(match[1]) * scale if match and scale else None


def _imagej(header: Header) -> tuple[float, float] | None:
    if not header.description.startswith("ImageJ="):
        return None
    match = re.search(r"^unit=(.+)$", header.description, re.MULTILINE)
    unit = match[1].strip().replace("\\u00B5", "µ") if match else ""
    if unit not in _UNIT_UM or header.px_per_unit is None or min(header.px_per_unit) <= 0:
        return None
    return _UNIT_UM[unit] / header.px_per_unit[0], _UNIT_UM[unit] / header.px_per_unit[1]
