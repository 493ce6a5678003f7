"""The tissue under the nuclei: nests of tumour cells, fibrous stroma, gaps and red blood cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mitozoo.data.synthetic.canvas import COARSE_UM, FINE_UM, MIDDLE_UM, Canvas, Map, step
from mitozoo.data.synthetic.look import Look

Points = NDArray[np.float64]


@dataclass(frozen=True)
class Ground:
    """Where the tissue is what, float32 (height, width) each.

    Attributes: tumour 1 in a nest and 0 in stroma; gap 1 where the slide is empty; fibre_angle of the stroma in
    radians; fibres, the stroma's texture (deviation about 1).
    """

    tumour: Map
    gap: Map
    fibre_angle: Map
    fibres: Map


def lay_ground(canvas: Canvas, look: Look, figures: Points) -> Ground:
    """Decide where nests, stroma and gaps are. `figures` (n, 2), x and y in px, lie in nests and never in a gap."""
    nests = canvas.noise(28) + 0.25 * canvas.noise(6) + 0.08 * canvas.noise(1.5)
    gaps = canvas.noise(9) + 0.5 * canvas.noise(18)
    edge = float(np.quantile(gaps, 1 - look.gaps))
    for x, y in figures:
        window = canvas.window(x, y, 40)
        near = np.exp(-(window.dx_um**2 + window.dy_um**2) / (2 * 14**2))
        nests[window.area] += 3 * near
        gaps[window.area] -= 4 * near
    tumour = step(float(np.quantile(nests, 1 - look.tumour)) - nests, 0.05)
    gap = step(edge - gaps + 0.06 * canvas.textures[COARSE_UM], 0.03)
    angle, fibres = _fibres(canvas, look)
    return Ground(tumour, gap, angle, fibres)


def _fibres(canvas: Canvas, look: Look) -> tuple[Map, Map]:
    """Direction and texture of wavy fibres: long-grained noise, turned and bent by a smooth displacement."""
    y, x = np.mgrid[: canvas.height, : canvas.width].astype(np.float32)
    cosine, sine = math.cos(look.fibre_angle), math.sin(look.fibre_angle)
    bend = (9 * canvas.noise(30) + 2.2 * canvas.noise(9) + 0.5 * canvas.noise(2.5)) / canvas.um_per_px
    along, across = x * cosine + y * sine, y * cosine - x * sine + bend
    slope_y, slope_x = np.gradient(across)
    side = math.ceil(math.hypot(canvas.height, canvas.width))
    grain = np.zeros((side, side), np.float32)
    for long_um, thick_um, weight in ((14, 1.2, 0.6), (7, 0.5, 0.6), (4, 0.25, 0.5)):
        sigma_x, sigma_y = long_um / canvas.um_per_px, max(thick_um / canvas.um_per_px, 0.4)
        # Stretching short noise along x is the same as blurring it far, and quicker.
        columns = math.ceil(side / (sigma_x / 3)) + 2
        part = canvas.rng.standard_normal((side, columns), dtype=np.float32)
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), sigmaX=3, sigmaY=sigma_y), np.float32)
        part = np.asarray(cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC), np.float32)
        grain += weight * part / max(float(part.std()), 1e-6)
    fibres = cv2.remap(grain, along, across, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.arctan2(-slope_x, slope_y).astype(np.float32), np.asarray(fibres, np.float32)


def stain_ground(canvas: Canvas, look: Look, ground: Ground, cells: Points) -> None:
    """Stain cytoplasm around the tumour `cells` (n, 2) and stroma, and cut the gaps out."""
    fine, middle, coarse = (canvas.textures[um] for um in (FINE_UM, MIDDLE_UM, COARSE_UM))
    patchy = canvas.noise(12)
    shade, border_um = _cell_sheet(canvas, cells)
    thin = look.cleft_um * (1 + 0.9 * patchy) + 0.12 * middle + 0.12 * coarse
    cleft = step(border_um - thin, 0.12) * np.clip(0.75 + 0.5 * canvas.noise(6), 0.15, 1)
    membrane = np.exp(-(((border_um - thin - 0.35) / 0.4) ** 2))
    foam = np.clip(np.roll(middle, 97, 1) + 0.6 * np.roll(coarse, 31, 0) + 0.5 * patchy - 1.5, 0, 1.5)
    sheet_eosin = look.cytoplasm * (1 + 0.15 * shade + 0.2 * fine + 0.13 * middle + 0.09 * coarse + 0.1 * patchy)
    sheet_eosin += 0.3 * look.cytoplasm * membrane - 0.5 * look.cytoplasm * foam
    sheet_eosin *= 1 - 0.85 * cleft
    sheet_blue = (look.basophilia + 0.04 * shade + 0.04 * middle + 0.05 * coarse + 0.06 * fine + 0.05 * membrane) * (
        1 - 0.85 * cleft
    ) - 0.06 * foam
    # Bundles run in and out of the plane of the cut, so that their grain is strong in one place and faint in the next.
    strands = ground.fibres * np.clip(0.85 + 0.3 * canvas.noise(9), 0.3, 1.4)
    slit = step(1.45 - strands - 0.5 * patchy - 0.35 * coarse, 0.2)
    stroma_eosin = (
        look.cytoplasm * (1.1 + 0.26 * strands + 0.14 * fine + 0.1 * middle + 0.15 * patchy) * (1 - 0.75 * slit)
    )
    stroma_blue = (0.3 * look.basophilia + 0.04 * strands + 0.03 * middle) * (1 - 0.8 * slit)
    nest, tissue = ground.tumour, 1 - ground.gap
    rim = 0.35 * look.cytoplasm * np.exp(-(((ground.gap - 0.25) / 0.2) ** 2)) * (ground.gap > 0.02)
    canvas.eosin += np.clip(nest * sheet_eosin + (1 - nest) * stroma_eosin, 0.04, None) * tissue + rim
    canvas.haematoxylin += np.clip(nest * sheet_blue + (1 - nest) * stroma_blue, 0.0, None) * tissue + 0.01


def _cell_sheet(canvas: Canvas, cells: Points) -> tuple[Map, Map]:
    """A shade per cell (deviation 1) and the distance in µm to the nearest cell border, by bent Voronoi cells."""
    if len(cells) < 2:
        return np.zeros_like(canvas.eosin), np.full_like(canvas.eosin, 99)
    half = 2
    rows, columns = math.ceil(canvas.height / half), math.ceil(canvas.width / half)
    y, x = np.mgrid[:rows, :columns] * float(half)
    bend_x, bend_y = (canvas.noise(3.5)[::half, ::half] * 1.4 / canvas.um_per_px for _ in range(2))
    queries = np.stack([x + bend_x, y + bend_y], axis=-1).reshape(-1, 2)
    distance, index = cKDTree(cells).query(queries, k=2)
    border = ((distance[:, 1] - distance[:, 0]) / 2 * canvas.um_per_px).astype(np.float32).reshape(rows, columns)
    shade = canvas.rng.normal(0, 1, len(cells)).astype(np.float32)[index[:, 0]].reshape(rows, columns)
    full = (columns * half, rows * half)
    resized = (
        np.asarray(cv2.resize(item, full, interpolation=cv2.INTER_LINEAR), np.float32) for item in (shade, border)
    )
    shade, border = (item[: canvas.height, : canvas.width] for item in resized)
    return shade, border


def paint_red_cell(canvas: Canvas, look: Look, x_px: float, y_px: float) -> None:
    """Paint one red blood cell: a bright eosin disc, a little paler in the middle, without a nucleus."""
    rng = canvas.rng
    radius = rng.uniform(2.3, 3.2)
    window = canvas.window(x_px, y_px, radius + 1.5)
    u, v = window.turned(rng.uniform(0, math.pi))
    distance = np.hypot(u, v / rng.uniform(0.6, 1.0)) - radius
    dip = np.exp(-(np.hypot(u, v) ** 2) / 2)
    canvas.paint(window, step(distance, 0.15), 0.04, look.cytoplasm * (1.5 - 0.3 * dip))
