"""Images at another spacing become images at the model's."""

from __future__ import annotations

import cv2
import numpy as np

from mitozoo.base.errors import InputError
from mitozoo.data.images import MAX_PX

#: Spacings this near to the model's, as a share of it, are taken as they are.
SAME_SPACING = 0.01


def at_spacing(
    pixels: np.ndarray, um_per_px: float, wanted_um_per_px: float, *, max_px: int = MAX_PX
) -> tuple[np.ndarray, np.ndarray]:
    """Resample an image to another spacing.

    Args: pixels uint8 (H, W, 3); um_per_px, its spacing; wanted_um_per_px; max_px, the largest result.
    Returns: the image, and its width and height over those of the original, float (2,): a point xy of the original is
    at (xy + 0.5) * ratio - 0.5 in it.
    Raises: InputError if it would be larger than max_px; MemoryError.
    """
    factor = um_per_px / wanted_um_per_px
    if abs(factor - 1) <= SAME_SPACING:
        return pixels, np.ones(2)
    height, width = pixels.shape[:2]
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if size[0] * size[1] > max_px and factor > 1:
        raise InputError(
            f"At {um_per_px:g} µm per pixel the image covers {size[0]} x {size[1]} px of {wanted_um_per_px:g} µm, more "
            f"than the {max_px / 1e6:g} million that are searched at once. Give its true spacing with --um-per-px, or "
            "cut it into tiles."
        )
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    try:
        resized = cv2.resize(pixels, size, interpolation=mode)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError(str(error)) from error
        raise
    return resized, np.array([size[0] / width, size[1] / height])
