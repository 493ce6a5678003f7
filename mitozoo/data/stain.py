"""Optical density and the two stains of H&E."""

from __future__ import annotations

import numpy as np

#: Optical density of haematoxylin, eosin and the rest in red, green, blue (rows, unit length).
#: Source: Ruifrok & Johnston 2001, Anal Quant Cytol Histol 23:291-299, Table of H&E vectors.
HE_VECTORS = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]])
HE_VECTORS = HE_VECTORS / np.linalg.norm(HE_VECTORS, axis=1, keepdims=True)
_OD_OF_BYTE = -np.log10((np.arange(256) + 1.0) / 256.0).astype(np.float32)


def optical_density(pixels: np.ndarray) -> np.ndarray:
    """Optical density of 8-bit pixels: -log10((value + 1) / 256), so that white is 0.

    Args: pixels uint8, any shape.  Returns: float32 of the same shape, in [0, 2.41].
    """
    return _OD_OF_BYTE[pixels]


def haematoxylin(pixels: np.ndarray) -> np.ndarray:
    """Amount of haematoxylin by colour deconvolution.

    Args: pixels uint8 (H, W, 3) RGB.  Returns: float32 (H, W), about 0 in glass and 0.5 to 1.5 in nuclei.
    """
    weights = np.linalg.inv(HE_VECTORS)[:, 0].astype(np.float32)
    return optical_density(pixels) @ weights
