"""Where cells are placed: a field of tissue, its painted cells and its free places."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
from scipy import ndimage

from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.candidates import nuclei
from mitozoo.data.composing.blending import WINDOW_PX, Densities, densities
from mitozoo.data.dataset import Field
from mitozoo.data.field_masks import painted_mask_of
from mitozoo.data.tissue import tissue_mask

#: No two cells are placed nearer to each other than this, nor to a labelled mitotic figure.
APART_PX = 80.0
#: How far the paint's colour reaches beyond it: JPEG keeps colour in blocks.
PAINT_RIM_PX = 4
_LEAST_TISSUE = 0.9


@dataclasses.dataclass
class Ground:
    """A field that cells are placed into.

    Attributes: field; pixels uint8 (H, W, 3) at 0.25 µm per pixel, changed by every cell that is placed; factor from
    the field's own pixels to these; paint bool (H, W), wider by its rim; painted, centres of the painted cells; mask
    uint8 (H, W), 255 where chromatin was placed; taken, centres that are used.
    """

    field: Field
    pixels: np.ndarray
    factor: float
    paint: np.ndarray
    painted: list[tuple[float, float, float]]
    mask: np.ndarray
    taken: list[tuple[float, float]] = dataclasses.field(default_factory=list)
    _tissue: np.ndarray | None = None
    _nuclei: np.ndarray | None = None

    @classmethod
    def of(cls, item: Field, pixels: np.ndarray, factor: float) -> Ground:
        """Args: a field and what `at_40x` gives of it. Labelled mitotic figures that the field has are kept free."""
        paint = painted_mask_of(item, pixels)
        if paint.any():
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * PAINT_RIM_PX + 1,) * 2)
            paint = cv2.dilate(paint.astype(np.uint8), disc) > 0
        painted = [(x * factor, y * factor, radius * factor) for x, y, radius in item.excluded]
        taken = [((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) for x, y in item.mitoses]
        return cls(item, pixels, factor, paint, painted, np.zeros(pixels.shape[:2], np.uint8), taken)

    @property
    def tissue(self) -> np.ndarray:
        """Share of tissue around each square of 16 px."""
        if self._tissue is None:
            self._tissue = ndimage.uniform_filter(tissue_mask(self.pixels).astype(np.float32), 5)
        return self._tissue

    @property
    def nuclei(self) -> np.ndarray:
        """Places of the field's nuclei, (n, 2)."""
        if self._nuclei is None:
            self._nuclei = nuclei(self.pixels, UM_PER_PX_40X)[:, :2]
        return self._nuclei

    def inside(self, x: float, y: float) -> bool:
        """Whether a whole window fits around a place."""
        half = WINDOW_PX // 2 + 1
        return half <= x < self.pixels.shape[1] - half and half <= y < self.pixels.shape[0] - half

    def free(self, x: float, y: float) -> bool:
        """Whether a cell may be placed here: on tissue, apart from all others and from painted cells."""
        others = [*self.taken, *((u, v) for u, v, _ in self.painted)]
        return (
            self.inside(x, y)
            and self.tissue[int(y) // 16, int(x) // 16] >= _LEAST_TISSUE
            and all(np.hypot(x - u, y - v) >= APART_PX for u, v in others)
        )

    def places(self, wanted: int, generator: np.random.Generator) -> list[tuple[float, float]]:
        """Free places, most of them at nuclei that the cell will replace; fewer than wanted where there are few."""
        out: list[tuple[float, float]] = []
        half = WINDOW_PX // 2 + 1
        height, width = self.pixels.shape[:2]
        if min(height, width) <= 2 * half:
            return out
        for attempt in range(12 * wanted):
            if len(out) == wanted:
                break
            if attempt % 4 and len(self.nuclei):
                x, y = self.nuclei[generator.integers(len(self.nuclei))] + generator.uniform(-3, 3, 2)
            else:
                x, y = generator.uniform(half, width - half), generator.uniform(half, height - half)
            if self.free(x, y):
                out.append((float(x), float(y)))
        return out

    def around(self, x: float, y: float, size_px: int) -> tuple[slice, slice]:
        """Rows and columns of a square around a place; the square is moved inside where it reaches out."""
        rows, columns = (
            slice(start := int(np.clip(np.floor(at + 1) - size_px // 2, 0, max(side - size_px, 0))), start + size_px)
            for at, side in ((y, self.pixels.shape[0]), (x, self.pixels.shape[1]))
        )
        return rows, columns

    def surroundings(self, x: float, y: float) -> Densities:
        """Densities of the tissue around a place, without paint."""
        window = self.around(x, y, 2 * WINDOW_PX)
        return densities(self.pixels[window], ~self.paint[window])

    def allowed(self) -> Callable[[float, float], bool]:
        """Whether a nucleus is ordinary: no painted, labelled or placed cell is near."""
        others = np.array([*self.taken, *((u, v) for u, v, _ in self.painted)], np.float64).reshape(-1, 2)
        return lambda x, y: bool((np.hypot(others[:, 0] - x, others[:, 1] - y) >= WINDOW_PX).all())
