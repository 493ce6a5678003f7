"""Masks of mitotic figures from a marked copy of an image: subtract, threshold, close, fill."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from mitozoo.base.errors import DataError

#: Paint changes some channel of a nucleus by more than this, JPEG seldom does (of 255).
THRESHOLD = 60
#: Diameter of the disc that closes gaps in a mark.
CLOSING_PX = 5
#: Smaller components are noise: a mitotic figure covers some 300 px at 40x.
LEAST_AREA_PX = 60
_NEIGHBOURS = np.ones((3, 3), bool)


def mask_from_pair(
    marked: np.ndarray, unmarked: np.ndarray, *, threshold: float = THRESHOLD, closing_px: int = CLOSING_PX
) -> np.ndarray:
    """Return where two copies of an image differ: the marks, hollow ones filled.

    Args: marked, unmarked uint8 (H, W, 3); threshold, 0 to 255, that the largest difference of the three channels must
        exceed; closing_px, diameter of the disc of the morphological closing, 0 for none.
    Returns: bool (H, W).  Raises: DataError if the two differ in size.
    """
    if marked.shape != unmarked.shape:
        sizes = " and ".join(f"{image.shape[1]} x {image.shape[0]} px" for image in (marked, unmarked))
        raise DataError(f"The marked and the unmarked image have {sizes}. Give copies of one image.")
    mask = cv2.absdiff(marked, unmarked).max(axis=2) > threshold
    if closing_px > 1:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (closing_px, closing_px))
        mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc) > 0
    return np.asarray(ndimage.binary_fill_holes(mask), bool)


def centres(mask: np.ndarray, least_area_px: float = LEAST_AREA_PX) -> np.ndarray:
    """Return the centre of mass of every component of a mask that is large enough; pixels touch at corners too.

    Args: mask bool (H, W); least_area_px of a component.
    Returns: float (n, 2) of x_px, y_px, from top to bottom.
    """
    components, count = ndimage.label(mask, structure=_NEIGHBOURS)
    areas = np.bincount(components.ravel(), minlength=count + 1)[1:]
    kept = np.flatnonzero(areas >= least_area_px) + 1
    places = ndimage.center_of_mass(mask, components, kept) if len(kept) else []
    return np.asarray(places, np.float64).reshape(-1, 2)[:, ::-1]
