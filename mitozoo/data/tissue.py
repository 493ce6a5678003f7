"""Where there is tissue, and where there is glass."""

from __future__ import annotations

import cv2
import numpy as np

from mitozoo.base.units import area_mm2
from mitozoo.data.stain import optical_density

#: Mean optical density that tissue has at least, and glass has not.
TISSUE_DENSITY = 0.06
_CELL_PX = 16


def tissue_mask(pixels: np.ndarray) -> np.ndarray:
    """Return bool (h, w), one value for 16x16 px: the mean optical density is that of tissue.

    Args: pixels uint8 (H, W, 3) RGB. Black (missing tiles) is not tissue.
    """
    height, width = pixels.shape[:2]
    size = (max(1, -(-width // _CELL_PX)), max(1, -(-height // _CELL_PX)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    density = optical_density(small)
    return (density.mean(axis=-1) > TISSUE_DENSITY) & (small.max(axis=-1) > 8)


def tissue_mm2(pixels: np.ndarray, um_per_px: float) -> float:
    """Area of tissue in mm²."""
    return float(tissue_mask(pixels).mean()) * area_mm2(pixels.shape[0] * pixels.shape[1], um_per_px)
