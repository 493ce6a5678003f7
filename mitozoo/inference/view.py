"""What pictures of a searched image are drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mitozoo.data.tissue_map import TissueMap


@dataclass(frozen=True)
class View:
    """An image to draw on.

    Attributes:
        pixels: uint8 (h, w, 3), the whole image or, for a slide, a smaller copy.
        crop: for a slide, reads the square uint8 (side, side, 3) around x, y of level 0, given x, y, side.
        origin_px: level-0 pixel that QuPath counts from.
        tissue: for a slide, where it was searched.
    """

    pixels: np.ndarray
    crop: Callable[[float, float, int], np.ndarray] | None = None
    origin_px: tuple[float, float] = (0.0, 0.0)
    tissue: TissueMap | None = None
