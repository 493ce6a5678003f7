"""Nuclei by haematoxylin: where ordinary nuclei and the most mitosis-like ones lie."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from mitozoo.base.units import um_to_px
from mitozoo.data.stain import haematoxylin, optical_density

#: Blur before peaks are sought: about the width of a metaphase plate.
BLUR_UM = 1.5
#: Two nuclei are not sought closer together than this.
SEPARATION_UM = 5.0
#: Under this in all channels a pixel is padding: no stain is as black.
_BLACK = 16
#: Red light passes eosin, so density in red is what makes a nucleus dark.
_RED_SHARE = 0.5


def darkness(pixels: np.ndarray, um_per_px: float) -> np.ndarray:
    """Blurred mean of haematoxylin and optical density in red.

    Args: pixels uint8 (H, W, 3) RGB.  Returns: float32 (H, W).
    """
    dark = (1 - _RED_SHARE) * haematoxylin(pixels) + _RED_SHARE * optical_density(pixels[..., 0])
    return cv2.GaussianBlur(dark.astype(np.float32), (0, 0), um_to_px(BLUR_UM, um_per_px))


def nuclei(pixels: np.ndarray, um_per_px: float, *, separation_um: float = SEPARATION_UM) -> np.ndarray:
    """Find dark nuclei.

    Args: pixels uint8 (H, W, 3) RGB; um_per_px; separation_um between two.
    Returns: float (n, 3) of x_px, y_px, darkness, by falling darkness. Peaks under the upper quartile of darkness are
    background and left out, and so is black padding with what its edge darkens.
    """
    dark = darkness(pixels, um_per_px)
    if (black := (pixels < _BLACK).all(axis=2)).any():
        reach = 2 * round(um_to_px(BLUR_UM, um_per_px)) + 1
        # Single black pixels belong to nuclei; padding is wider than any.
        dark[ndimage.maximum_filter(ndimage.minimum_filter(black, reach), 3 * reach)] = 0.0
    size = 2 * round(um_to_px(separation_um, um_per_px)) + 1
    peaks = (dark == ndimage.maximum_filter(dark, size=size)) & (dark > np.quantile(dark[::4, ::4], 0.75))
    rows, columns = np.nonzero(peaks)
    found = np.column_stack([columns, rows, dark[rows, columns]]).astype(np.float64)
    return found[np.argsort(-found[:, 2], kind="stable")]
