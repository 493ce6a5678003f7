"""How a cell is placed into other tissue: outline, stain, sharpness, feathered seam."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from mitozoo.data.stain import optical_density

#: Side of the window in which one cell is placed, even.
WINDOW_PX = 112
#: Least and most mean radius of an outline.
RADIUS_PX = (15.0, 20.0)
#: Width of the seam: it runs from all of the ground to all of the cell.
FEATHER_PX = 9.0
#: How far the stain of a cell goes towards that of the tissue around its new place.
STAIN_SHARE = 0.85
#: Share of the ratio of densities along the seam that the cell takes over, and its limits.
_SEAM_SHARE, _SEAM_FACTOR = 0.85, (0.65, 1.5)
_FACTOR, _CONTRAST = (0.55, 1.8), (0.7, 1.4)
_GLASS_DENSITY = 0.08
#: Width over which that is smoothed, and the density that is added so that glass has no ratio.
_SEAM_BLUR_PX, _SEAM_SOFT = 8.0, 0.05
_BLACK_DENSITY = 1.8
#: Blur (sigma) or, below zero, sharpening of a cell, of which the one nearest to its new place is taken.
_SHARPNESS = (-0.5, -0.25, 0.0, 0.4, 0.55, 0.7, 0.9, 1.2)


@dataclass(frozen=True)
class Densities:
    """Optical density of tissue: mean (3,) and spread (3,) of the channels, and share of the image that is tissue."""

    mean: np.ndarray
    spread: np.ndarray
    tissue: float


def densities(pixels: np.ndarray, kept: np.ndarray | None = None) -> Densities:
    """Measure the tissue of an image; glass, black padding and what is not `kept` (bool (H, W)) are left out."""
    values = optical_density(pixels)
    level = values.mean(axis=2)
    tissue = (level > _GLASS_DENSITY) & (level < _BLACK_DENSITY)
    if kept is not None:
        tissue &= kept
    chosen = values[tissue] if tissue.sum() > 100 else values.reshape(-1, 3)
    return Densities(chosen.mean(axis=0), chosen.std(axis=0), float(tissue.mean()))


def outline(
    covered: np.ndarray, kept_out: np.ndarray, radius_px: float, reach_px: float, generator: np.random.Generator
) -> np.ndarray:
    """Draw how much of each pixel comes from the cell.

    Args: covered bool (S, S), what must be taken whole (chromatin, paint); kept_out bool (S, S), of which nothing is
        taken; radius_px, mean radius of the irregular outline; reach_px, beyond which nothing is taken.
    Returns: float32 (S, S) in [0, 1].
    """
    size = covered.shape[0]
    line = np.arange(size) - (size - 1) / 2
    away, angle = np.hypot(line[:, None], line[None]), np.arctan2(line[:, None], line[None])
    edge = np.full_like(away, radius_px)
    for wave in range(2, 7):
        edge += radius_px * generator.normal(0, 0.16 / wave) * np.cos(wave * angle + generator.uniform(0, 2 * np.pi))
    inside = away < edge
    if covered.any():
        inside |= ndimage.distance_transform_edt(~covered) < FEATHER_PX / 2 + 1
    inside &= away < reach_px - FEATHER_PX / 2
    if kept_out.any():
        inside &= ndimage.distance_transform_edt(~kept_out) > FEATHER_PX / 2 + 1
    # Both distances count from pixel to pixel: the edge lies half a pixel before the first of the other side.
    within, without = ndimage.distance_transform_edt(inside), ndimage.distance_transform_edt(~inside)
    signed = np.where(inside, within - 0.5, 0.5 - without)
    ramp = np.clip(signed / FEATHER_PX + 0.5, 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)


def restained(pixels: np.ndarray, own: Densities, wanted: Densities) -> np.ndarray:
    """Give optical densities (H, W, 3) of a cell the stain of other tissue, by `STAIN_SHARE` of the way.

    The densities of each channel are multiplied, so that what is nearly white stays so; then the contrast of all
    channels together is brought nearer to that of the tissue.
    """
    factor = np.clip(wanted.mean / np.maximum(own.mean, 0.02), *_FACTOR) ** STAIN_SHARE
    density = optical_density(pixels) * factor
    spread = wanted.spread.mean() / max(float((own.spread * factor).mean()), 1e-3)
    contrast = np.clip(spread, *_CONTRAST) ** (STAIN_SHARE / 2)
    mean = own.mean * factor
    return np.clip((density - mean) * contrast + mean, 0.6 * density, 1.6 * density).astype(np.float32)


def _fineness(density: np.ndarray, kept: np.ndarray) -> float:
    """Strength of the finest detail, relative to that of somewhat coarser detail."""
    grey = np.ascontiguousarray(density.mean(axis=2), np.float32)
    soft, softer = cv2.GaussianBlur(grey, (0, 0), 1.0), cv2.GaussianBlur(grey, (0, 0), 2.5)
    return float((grey - soft)[kept].std() / max(float((soft - softer)[kept].std()), 1e-4))


def sharpened_like(cell: np.ndarray, ground: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Blur or sharpen densities (S, S, 3) until their finest detail is as strong as that of the ground."""
    wanted = _fineness(ground, kept)
    middle = np.zeros(cell.shape[:2], bool)
    middle[cell.shape[0] // 4 : -cell.shape[0] // 4, cell.shape[1] // 4 : -cell.shape[1] // 4] = True
    choices = []
    for amount in _SHARPNESS:
        if amount > 0:
            changed = cv2.GaussianBlur(cell, (0, 0), amount)
        else:
            changed = cv2.addWeighted(cell, 1 - amount, cv2.GaussianBlur(cell, (0, 0), 1.0), amount, 0)
        choices.append((abs(np.log(max(_fineness(changed, middle), 1e-4) / max(wanted, 1e-4))), changed))
    return min(choices, key=lambda choice: choice[0])[1]


@dataclass(frozen=True)
class Blend:
    """A cell in its place.

    Attributes: pixels uint8 (S, S, 3); seam, mean difference of density that was left along it, by the root of
    the spread of the ground there, so that even tissue is not always preferred.
    """

    pixels: np.ndarray
    seam: float


def blended(
    ground: np.ndarray, paint: np.ndarray, cell: np.ndarray, own: Densities, wanted: Densities, alpha: np.ndarray
) -> Blend:
    """Place a cell into a window of ground.

    The cell is stained and sharpened like the ground, then takes over the difference along the seam, smoothly inwards.

    Args: ground uint8 (S, S, 3); paint bool (S, S), ground pixels that say nothing; cell uint8 (S, S, 3); own and
        wanted, the densities around the cell and around its new place; alpha (S, S), see `outline`.
    """
    below = optical_density(ground)
    above = restained(cell, own, wanted)
    if (kept := ~paint).sum() > 400:
        above = sharpened_like(above, below, kept)
    band = ((alpha > 0.02) & (alpha < 0.75) & ~paint).astype(np.float32)
    weight = np.maximum(cv2.GaussianBlur(band, (0, 0), _SEAM_BLUR_PX), 1e-4)[..., None]
    here, there = (
        cv2.GaussianBlur(density * band[..., None], (0, 0), _SEAM_BLUR_PX) / weight for density in (below, above)
    )
    ratio = (here + _SEAM_SOFT) / (there + _SEAM_SOFT)
    # Far from the seam nothing is known of it.
    reach = np.clip(weight / 0.02, 0, 1)
    above = np.clip(above * np.clip(ratio, *_SEAM_FACTOR) ** (_SEAM_SHARE * reach), 0, 2.4)
    left = np.abs(below - above).mean(axis=2)
    spread = float(below[band > 0].std(axis=0).mean()) if band.any() else 1.0
    seam = float((left * band).sum() / max(float(band.sum()), 1.0)) / max(spread, 0.02) ** 0.5
    value = np.clip(256.0 * np.power(10.0, -above) - 1.0, 0, 255)
    mixed = alpha[..., None] * value + (1 - alpha[..., None]) * ground
    return Blend(np.clip(np.round(mixed), 0, 255).astype(np.uint8), seam)
