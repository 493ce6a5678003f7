"""What differs between fields: the tissue's habit, the staining and the scanner."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mitozoo.data.synthetic.canvas import Canvas, smooth_noise

#: Unit stain vectors in optical density, R G B: Ruifrok & Johnston 2001 (Anal Quant Cytol Histol 23:291), and Macenko
#: et al. 2009 (ISBI, doi:10.1109/ISBI.2009.5193250), whose eosin is the redder one of today's slides.
RUIFROK = np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]])
MACENKO = np.array([[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]])


@dataclass(frozen=True)
class Look:
    """One field's habit.

    Attributes: nucleus_um median length of a tumour nucleus; vesicular 0 (dense chromatin) to 1 (pale with a rim);
    nuclear, cytoplasm, chromatin amounts of stain (interphase haematoxylin, eosin, mitotic haematoxylin); basophilia
    haematoxylin of the cytoplasm; spacing_um between tumour cells; cleft_um width of the gaps between
    them; tumour and gaps, parts of the field; inflamed density of lymphocytes; fibre_angle in radians; stains (2, 3)
    unit vectors; glass (3,) level of the empty slide; blur_um deviation of the optics; sharpen strength of the
    scanner's unsharp mask; grain deviation of the sensor noise in grey levels; jpeg_quality.
    """

    nucleus_um: float
    vesicular: float
    nuclear: float
    cytoplasm: float
    chromatin: float
    basophilia: float
    spacing_um: float
    cleft_um: float
    tumour: float
    gaps: float
    inflamed: float
    fibre_angle: float
    stains: NDArray[np.float64]
    glass: NDArray[np.float64]
    blur_um: float
    sharpen: float
    grain: float
    jpeg_quality: int


def draw_look(rng: np.random.Generator) -> Look:
    """Draw one field's habit."""
    blend = rng.uniform([0.6, 0.7], [1.1, 1.15])[:, None]
    stains = (1 - blend) * RUIFROK + blend * MACENKO
    stains = np.clip(stains + rng.normal(0, 0.02, (2, 3)), 0.02, None)
    nucleus_um = rng.uniform(8.5, 11.5)
    return Look(
        nucleus_um=nucleus_um,
        vesicular=rng.uniform(0.35, 1.0),
        nuclear=rng.uniform(0.55, 0.85),
        cytoplasm=rng.uniform(0.75, 1.3),
        chromatin=rng.uniform(2.4, 3.1),
        basophilia=rng.uniform(-0.03, 0.1),
        spacing_um=nucleus_um * rng.uniform(1.05, 1.3),
        cleft_um=rng.uniform(0.1, 0.7),
        tumour=rng.uniform(0.55, 0.85),
        gaps=rng.uniform(0.01, 0.06),
        inflamed=rng.uniform(0.05, 0.35),
        fibre_angle=rng.uniform(0, np.pi),
        stains=stains / np.linalg.norm(stains, axis=1, keepdims=True),
        glass=rng.uniform(236, 248) + rng.normal(0, 1.5, 3),
        blur_um=rng.uniform(0.13, 0.2),
        sharpen=rng.uniform(0.5, 1.1),
        grain=rng.uniform(1.2, 2.4),
        jpeg_quality=int(rng.integers(82, 94)),
    )


def photograph(canvas: Canvas, look: Look) -> NDArray[np.uint8]:
    """Scan the canvas: light through the stains (Beer-Lambert), optics, sensor, JPEG; uint8 RGB (height, width, 3)."""
    stain = np.stack([canvas.haematoxylin, canvas.eosin], axis=-1).clip(0, None)
    light = np.exp(-(stain @ look.stains.astype(np.float32))) * look.glass.astype(np.float32)
    sigma_px = max(look.blur_um / canvas.um_per_px, 0.3)
    light = np.asarray(cv2.GaussianBlur(light, (0, 0), sigma_px), np.float32)
    light += look.sharpen * (light - np.asarray(cv2.GaussianBlur(light, (0, 0), 1.5 * sigma_px), np.float32))
    for channel in range(3):
        light[..., channel] += look.grain * smooth_noise(canvas.rng, canvas.height, canvas.width, 0.55)
    image = np.rint(light.clip(0, 255)).astype(np.uint8)
    _, code = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality])
    return np.ascontiguousarray(np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
