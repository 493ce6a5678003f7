"""The canvas: two maps of stain, and the windows on it that cells are drawn in.

Lengths are µm, amounts of stain are optical densities (natural logarithm) along a unit stain vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]
#: What functions of a map take: NumPy gives float64 where a scalar of its own comes in.
Floats = NDArray[np.floating]

#: Standard deviations of the ready-made textures.
FINE_UM, MIDDLE_UM, COARSE_UM = 0.28, 0.6, 1.5


def smooth_noise(rng: np.random.Generator, height: int, width: int, sigma_px: float) -> Map:
    """Gaussian noise of mean 0, deviation 1 and correlation length `sigma_px`, float32 (height, width).

    Long correlations are drawn small and enlarged, which looks the same and costs less.
    """
    shrink = max(1, int(sigma_px / 3))
    rows, columns = math.ceil(height / shrink) + 2, math.ceil(width / shrink) + 2
    small = rng.standard_normal((rows, columns), dtype=np.float32)
    sigma = max(sigma_px / shrink, 0.3)
    small = np.asarray(cv2.GaussianBlur(small, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)
    # The deviation of blurred white noise is known; measuring it would make small fields all alike.
    small *= 2 * math.sqrt(math.pi) * sigma
    if shrink > 1:
        small = np.asarray(cv2.resize(small, (columns * shrink, rows * shrink), interpolation=cv2.INTER_CUBIC))
    return np.ascontiguousarray(small[:height, :width])


def step(distance: Floats, softness: float) -> Map:
    """Smooth step that is 1 where `distance` is well below 0, 0.5 at 0 and 0 well above."""
    return np.asarray(0.5 - 0.5 * np.tanh(distance / (2 * softness)), np.float32)


@dataclass(frozen=True)
class Window:
    """A part of the canvas around a point: its rows and columns, and µm from the point, float32 (h, w) each."""

    area: tuple[slice, slice]
    dx_um: Map
    dy_um: Map

    def turned(self, angle: float) -> tuple[Map, Map]:
        """Coordinates in µm along and across a direction, `angle` radians from the x axis."""
        cosine, sine = math.cos(angle), math.sin(angle)
        return self.dx_um * cosine + self.dy_um * sine, self.dy_um * cosine - self.dx_um * sine


class Canvas:
    """Haematoxylin and eosin, float32 (height, width) each, and the mask of mitotic chromatin."""

    def __init__(self, height: int, width: int, um_per_px: float, rng: np.random.Generator) -> None:
        """Args: height, width in px; um_per_px; rng, the only source of chance."""
        self.height, self.width, self.um_per_px, self.rng = height, width, um_per_px, rng
        self.haematoxylin = np.zeros((height, width), np.float32)
        self.eosin = np.zeros((height, width), np.float32)
        self.mask = np.zeros((height, width), np.uint8)
        self.textures = {um: self.noise(um) for um in (FINE_UM, MIDDLE_UM, COARSE_UM)}

    def noise(self, sigma_um: float) -> Map:
        """Fresh noise over the whole canvas with correlation length `sigma_um`."""
        return smooth_noise(self.rng, self.height, self.width, sigma_um / self.um_per_px)

    def window(self, x_px: float, y_px: float, radius_um: float) -> Window:
        """The part of the canvas within `radius_um` of a point, cut at the edges of the canvas."""
        reach = radius_um / self.um_per_px
        rows = slice(max(0, math.floor(y_px - reach)), max(0, min(self.height, math.ceil(y_px + reach) + 1)))
        columns = slice(max(0, math.floor(x_px - reach)), max(0, min(self.width, math.ceil(x_px + reach) + 1)))
        dy = (np.arange(rows.start, rows.stop, dtype=np.float32) - np.float32(y_px)) * np.float32(self.um_per_px)
        dx = (np.arange(columns.start, columns.stop, dtype=np.float32) - np.float32(x_px)) * np.float32(self.um_per_px)
        grid_y, grid_x = np.meshgrid(dy, dx, indexing="ij")
        return Window((rows, columns), grid_x, grid_y)

    def texture(self, window: Window, sigma_um: float) -> Map:
        """Noise of the window's size, cut from a random place of a ready-made texture."""
        source = self.textures[sigma_um]
        height, width = window.dx_um.shape
        top = int(self.rng.integers(0, self.height - height + 1))
        left = int(self.rng.integers(0, self.width - width + 1))
        return source[top : top + height, left : left + width]

    def paint(self, window: Window, cover: Floats, haematoxylin: Floats | float, eosin: Floats | float) -> None:
        """Replace the stain under `cover` (0 keeps, 1 replaces; (h, w)) by the given amounts."""
        for layer, amount in ((self.haematoxylin, haematoxylin), (self.eosin, eosin)):
            view = layer[window.area]
            view += cover * (amount - view)

    def add(self, window: Window, haematoxylin: Floats | float, eosin: Floats | float) -> None:
        """Lay stain over what is there."""
        self.haematoxylin[window.area] += haematoxylin
        self.eosin[window.area] += eosin
