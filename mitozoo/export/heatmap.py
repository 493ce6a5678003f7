"""Where mitotic figures are dense: figures per mm² over an image or slide, as a coloured picture and as numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mitozoo.base.files import write_bytes
from mitozoo.base.units import area_mm2
from mitozoo.data.pyramid import write_pyramid
from mitozoo.export.pictures import encode

#: Width of the Gaussian kernel, and side of the map's cells. A hotspot of 2.37 mm² is 1.5 mm wide.
SIGMA_UM, GRID_UM = 200.0, 32.0
#: Beyond so many sigmas a kernel is nothing: 6e-7 of it lies there.
_REACH = 5.0
_TILE_PX = 256
#: How much of the tissue the densest place covers.
_OPACITY = 0.8
_LEGEND_PX, _LEGEND_WIDTH_PX = 26, 220
_INK = (20, 20, 20)


@dataclass(frozen=True)
class DensityMap:
    """Mitotic figures per mm².

    Attributes:
        per_mm2: float32 (rows, columns), the mean density in each cell.
        grid_um: side of a cell; the last column and row may reach beyond the image.
        width_um, height_um: size of the image, whose upper left corner is that of the first cell.
    """

    per_mm2: np.ndarray
    grid_um: float
    width_um: float
    height_um: float

    @property
    def figures(self) -> float:
        """The integral over all cells: how many figures there are."""
        return float(self.per_mm2.sum(dtype=np.float64)) * area_mm2(1, self.grid_um)


def density_map(
    points_xy: np.ndarray,
    width_px: float,
    height_px: float,
    um_per_px: float,
    *,
    sigma_um: float = SIGMA_UM,
    grid_um: float = GRID_UM,
) -> DensityMap:
    """Spread every figure over its surroundings by a Gaussian kernel.

    A cell gets the kernel's integral over it, not its value at the middle, so that totals are exact for any grid. What
    would fall beyond the edge stays inside: each figure weighs 1.

    Args:
        points_xy: (n, 2) centres in pixels of the image, integers at pixel centres; those outside are left out.
        width_px, height_px: size of the image.
        um_per_px: its spacing.
        sigma_um: width of the kernel.
        grid_um: side of the map's cells.
    Returns: the map; its integral is the number of figures inside the image.
    Raises: ValueError if a size, the spacing, sigma or the grid is not above 0.
    """
    if min(width_px, height_px, um_per_px, sigma_um, grid_um) <= 0:
        raise ValueError("Sizes, spacing, sigma and grid of a heat map must be above 0.")
    size = np.array([width_px, height_px], np.float64)
    # The image reaches from -0.5 to its size - 0.5.
    places = np.asarray(points_xy, np.float64).reshape(-1, 2) + 0.5
    places = places[((places >= 0) & (places <= size)).all(axis=1)] * um_per_px
    width_um, height_um = (float(value) for value in size * um_per_px)
    columns, rows = (max(1, math.ceil(value / grid_um - 1e-9)) for value in (width_um, height_um))
    total = np.zeros((rows, columns), np.float64)
    for x, y in places:
        (left, across), (top, down) = (_shares(*item, sigma_um, grid_um) for item in ((x, columns), (y, rows)))
        total[top : top + len(down), left : left + len(across)] += np.multiply.outer(down, across)
    return DensityMap((total / area_mm2(1, grid_um)).astype(np.float32), grid_um, width_um, height_um)


def _shares(place_um: float, cells: int, sigma_um: float, grid_um: float) -> tuple[int, np.ndarray]:
    """First cell that the kernel reaches along one axis, and the part of it in that cell and the following; sum 1."""
    from scipy.special import ndtr

    first = min(max(0, math.floor((place_um - _REACH * sigma_um) / grid_um)), cells - 1)
    last = min(max(first + 1, math.ceil((place_um + _REACH * sigma_um) / grid_um)), cells)
    parts = np.diff(ndtr((np.arange(first, last + 1) * grid_um - place_um) / sigma_um))
    return first, parts / parts.sum()


def write_heatmap_png(
    path: Path,
    density: DensityMap,
    *,
    thumbnail: np.ndarray | None = None,
    most_per_mm2: float | None = None,
    legend: bool = True,
) -> None:
    """Write a coloured picture, from black (none) over red to pale yellow (the most).

    Args:
        path: the file.
        density: the map.
        thumbnail: (h, w, 3) RGB uint8 of the whole image at any size; it is what the picture shows under the colours,
            and the picture has its size. Without it a pixel is a cell of the map.
        most_per_mm2: density of the last colour; by default the greatest of the map. Pictures to be compared need one
            number for all.
        legend: a strip with the scale below the picture.
    Raises: OutputError where the file cannot be written; ValueError if most_per_mm2 is not above 0.
    """
    if most_per_mm2 is not None and most_per_mm2 <= 0:
        raise ValueError("The density of the last colour must be above 0.")
    most = most_per_mm2 or float(density.per_mm2.max()) or 1.0
    share = np.clip(density.per_mm2 / most, 0, 1)
    if thumbnail is None:
        picture = _coloured(share)
    else:
        share = _enlarged(share, density, *thumbnail.shape[:2])
        # The root shows also what is sparse.
        cover = (_OPACITY * np.sqrt(share))[..., None]
        picture = np.rint(thumbnail + cover * (_coloured(share) - thumbnail.astype(np.float32))).astype(np.uint8)
    write_bytes(path, encode(_with_legend(picture, most) if legend else picture, ".png"))


def write_heatmap_tiff(path: Path, density: DensityMap) -> None:
    """Write the numbers: a pyramidal TIFF of float32, figures per mm², with the map's spacing in its tags.

    Raises: OutputError where the file cannot be written.
    """
    height, width = density.per_mm2.shape
    tiles = (
        density.per_mm2[top : top + _TILE_PX, left : left + _TILE_PX]
        for top in range(0, height, _TILE_PX)
        for left in range(0, width, _TILE_PX)
    )
    write_pyramid(
        path,
        (tile if tile.any() else None for tile in tiles),
        width_px=width,
        height_px=height,
        um_per_px=density.grid_um,
        tile_px=_TILE_PX,
        compression="deflate",
        blank=(0,),
        dtype=np.float32,
    )


def _coloured(share: np.ndarray) -> np.ndarray:
    """RGB uint8 (h, w, 3) of values from 0 to 1."""
    grey = np.rint(share * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO))[..., ::-1]


def _enlarged(share: np.ndarray, density: DensityMap, height: int, width: int) -> np.ndarray:
    """The map at the size of a thumbnail of the image, each pixel at its own place."""
    across, down = density.width_um / width / density.grid_um, density.height_um / height / density.grid_um
    matrix = np.array([[across, 0, 0.5 * across - 0.5], [0, down, 0.5 * down - 0.5]])
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    large = cv2.warpAffine(share, matrix, (width, height), flags=how, borderMode=cv2.BORDER_REPLICATE)
    return np.clip(large, 0, 1)


def _with_legend(picture: np.ndarray, most: float) -> np.ndarray:
    """The picture with a strip below: 0, the colours, and the greatest density."""
    height, width = picture.shape[0] + _LEGEND_PX, max(picture.shape[1], _LEGEND_WIDTH_PX)
    sheet = np.full((height, width, 3), 255, np.uint8)
    sheet[: picture.shape[0], : picture.shape[1]] = picture
    text, font = f"{most:.3g} per mm2", cv2.FONT_HERSHEY_SIMPLEX
    (text_px, _), _ = cv2.getTextSize(text, font, 0.45, 1)
    low, high = 18, width - text_px - 12
    colours = _coloured(np.linspace(0, 1, high - low)[None].repeat(_LEGEND_PX - 14, axis=0))
    sheet[height - _LEGEND_PX + 7 : height - 7, low:high] = colours
    for label, left in (("0", 5), (text, high + 6)):
        cv2.putText(sheet, label, (left, height - 9), font, 0.45, _INK, 1, cv2.LINE_AA)
    return sheet
