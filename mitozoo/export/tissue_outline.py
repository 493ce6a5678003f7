"""The tissue of a slide, outlined on its picture: what was searched, and what was not."""

from __future__ import annotations

import cv2
import numpy as np

from mitozoo.data.tissue_map import TissueMap

#: Dark green, which neither stain has.
COLOUR = (30, 110, 60)
#: Width of the line, as a part of the longer side: one pixel in the small picture of the report.
LINE_SHARE = 400


def outlined(picture: np.ndarray, tissue: TissueMap) -> np.ndarray:
    """Return a copy of a picture of the whole slide with its tissue outlined.

    Args: picture uint8 (h, w, 3) RGB, at any size; tissue, of the same slide.
    """
    height, width = picture.shape[:2]
    mask = cv2.resize(tissue.mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    drawn = picture.copy()
    cv2.drawContours(drawn, contours, -1, COLOUR, max(1, round(max(height, width) / LINE_SHARE)), cv2.LINE_AA)
    return drawn
