"""Compose one field: mitotic figures over painted cells and at free places, and as many ordinary nuclei."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mitozoo.base.points import MITOTIC_CLASSES, NON_MITOTIC
from mitozoo.base.units import UM_PER_PX_40X, area_mm2
from mitozoo.data.chromatin import FALLBACK_RADIUS_PX, chromatin
from mitozoo.data.composing.blending import FEATHER_PX, RADIUS_PX, WINDOW_PX, Blend, blended, outline
from mitozoo.data.composing.cutouts import Cutout, field_controls
from mitozoo.data.composing.ground import Ground
from mitozoo.data.formats.icpr12_painted import painted_mask

#: Places that are tried for every cell; the one with the least seam is taken.
TRIES = 7
#: A nucleus that a cell replaces is covered as far as it lies within this radius.
_REPLACED_PX = 21.0
#: Share of the controls that are nuclei of the field itself: there are many more of them than patches have.
OWN_SHARE = 0.3
#: A control has no chromatin to measure: its radius is that of an ordinary nucleus.
CONTROL_RADIUS_PX = 12.0
#: Yellow pixels that may be left of a painted cell.
_PAINT_LEFT_PX = 3
#: Quality of the JPEG that every composed field passes through, as tissue and patches did: from, to.
_JPEG = (85, 95)


@dataclass(frozen=True)
class Placed:
    """One cell that was placed: centre of its chromatin (of the paste for a control) in pixels at 0.25 µm.

    Attributes: origin: the cutout's kind, with "painted " before it over a painted cell; strong: its chromatin was
    found.
    """

    x_px: float
    y_px: float
    label: str
    case: str
    origin: str
    source: str
    radius_px: float
    strong: bool


@dataclass(frozen=True)
class Composed:
    """One composed field: pixels uint8 (H, W, 3), mask uint8 (H, W), cells, excluded circles (x, y, radius)."""

    pixels: np.ndarray
    mask: np.ndarray
    cells: tuple[Placed, ...]
    excluded: tuple[tuple[float, float, float], ...]


class Stock:
    """Cutouts that are handed out in random order, each again only after all others."""

    def __init__(self, cutouts: Sequence[Cutout], generator: np.random.Generator) -> None:
        """Args: cutouts, at least one; generator of the order."""
        self.cutouts, self.generator = cutouts, generator
        self._order: list[int] = []

    def next(self, room_px: float = 0.0) -> Cutout | None:
        """The next cutout with that much tissue around it, in a random orientation; None where there is none."""
        for _ in range(2 * len(self.cutouts)):
            if not self._order:
                self._order = self.generator.permutation(len(self.cutouts)).tolist()
            cutout = self.cutouts[self._order.pop()]
            if cutout.room_px >= room_px:
                return cutout.turned(self.generator)
        return None


def compose_field(
    ground: Ground, figures: Stock, controls: Stock | None, per_mm2: float, generator: np.random.Generator
) -> Composed:
    """Place `per_mm2` mitotic figures into a field, over its painted cells first, and as many controls.

    Controls are nuclei beside the figures of patches and, by `OWN_SHARE`, of the field itself; only these where the
    patches have none, and over painted cells, where those of patches would show too little tissue.
    """
    own = field_controls(ground.field, ground.pixels.copy(), ground.allowed(), 40, generator)
    own_stock = Stock(own, generator) if own else None
    cells, uncovered = _cover(ground, figures, own_stock, generator)
    height, width = ground.pixels.shape[:2]
    tissue = float((ground.tissue > 0.5).mean())
    wanted = int(per_mm2 * area_mm2(height * width, UM_PER_PX_40X) * tissue + generator.random())
    mitotic = sum(cell.label in MITOTIC_CLASSES for cell in cells)
    missing = {True: wanted - mitotic, False: wanted - (len(cells) - mitotic)}
    # By turns: where places run out, they do so for both.
    for turn in range(2 * max(0, *missing.values())):
        of_patches = controls is not None and (own_stock is None or generator.random() >= OWN_SHARE)
        stock = figures if turn % 2 == 0 else controls if of_patches else own_stock
        if stock is None or turn // 2 >= missing[turn % 2 == 0]:
            continue
        cutout = stock.next()
        placed = _at_best_place(ground, cutout, generator) if cutout else None
        if placed is not None:
            cells.append(placed)
    quality = int(generator.integers(_JPEG[0], _JPEG[1] + 1))
    _, data = cv2.imencode(".jpg", ground.pixels[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, quality))
    pixels = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1]
    return Composed(np.ascontiguousarray(pixels), ground.mask, tuple(cells), tuple(uncovered))


def _cover(
    ground: Ground, figures: Stock, own: Stock | None, generator: np.random.Generator
) -> tuple[list[Placed], list[tuple[float, float, float]]]:
    """Cover painted cells, by turns with a mitotic figure and an ordinary nucleus, so that what is left of the paint
    tells nothing.

    Returns: what was placed, and the circles that could not be covered.
    """
    cells: list[Placed] = []
    uncovered: list[tuple[float, float, float]] = []
    first = int(generator.integers(2))
    for turn, index in enumerate(generator.permutation(len(ground.painted))):
        spot = ground.painted[index]
        stock = figures if turn % 2 == first else own
        placed = _over_paint(ground, spot, stock, generator) if stock else None
        if placed is None:
            uncovered.append(spot)
        else:
            cells.append(placed)
    return cells, uncovered


def _alpha(cutout: Cutout, paint: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    covered = cutout.mask | paint
    reach = min(cutout.room_px, WINDOW_PX / 2 - 1)
    if cutout.kind == "field":
        reach = WINDOW_PX / 2 - 1
    return outline(covered, cutout.kept_out, generator.uniform(*RADIUS_PX), reach, generator)


def _over_paint(
    ground: Ground, spot: tuple[float, float, float], stock: Stock, generator: np.random.Generator
) -> Placed | None:
    """Cover a painted cell; None where it lies at the side of the field or paint would be left."""
    x, y, radius = spot
    if not ground.inside(x, y):
        return None
    window = ground.around(x, y, WINDOW_PX)
    line = np.arange(WINDOW_PX) - (WINDOW_PX - 1) / 2
    near = np.hypot(line[:, None], line[None]) < radius + FEATHER_PX
    paint = ground.paint[window]
    best: tuple[Blend, Cutout, np.ndarray] | None = None
    for _ in range(TRIES // 2):
        cutout = stock.next(WINDOW_PX / 2 - 2) if stock.cutouts[0].kind != "patch" else stock.next(50)
        if cutout is None:
            return None
        alpha = _alpha(cutout, paint & near, generator)
        blend = blended(ground.pixels[window], paint, cutout.pixels, cutout.tissue, ground.surroundings(x, y), alpha)
        if painted_mask(blend.pixels)[near].sum() <= _PAINT_LEFT_PX and (best is None or blend.seam < best[0].seam):
            best = blend, cutout, alpha
    return _put(ground, window, *best, origin=f"painted {best[1].kind}") if best else None


def _at_best_place(ground: Ground, cutout: Cutout, generator: np.random.Generator) -> Placed | None:
    """Place a cell at that of several free places where its seam shows least."""
    best: tuple[float, tuple[slice, slice], Blend, np.ndarray] | None = None
    for x, y in ground.places(TRIES, generator):
        window = ground.around(x, y, WINDOW_PX)
        paint = ground.paint[window]
        alpha = _alpha(cutout, _replaced(ground.pixels[window]), generator)
        blend = blended(ground.pixels[window], paint, cutout.pixels, cutout.tissue, ground.surroundings(x, y), alpha)
        if best is None or blend.seam < best[0]:
            best = blend.seam, window, blend, alpha
    return _put(ground, best[1], best[2], cutout, best[3], origin=cutout.kind) if best else None


def _replaced(window: np.ndarray) -> np.ndarray:
    """The nucleus in the middle of a window, bool (S, S), so that no half of it looks out from under the new cell."""
    centre = (window.shape[0] - 1) / 2
    nucleus = chromatin(window, centre, centre)
    rows, columns = np.indices(nucleus.mask.shape)
    return nucleus.mask & nucleus.found & (np.hypot(columns - centre, rows - centre) < _REPLACED_PX)


def _put(
    ground: Ground, window: tuple[slice, slice], blend: Blend, cutout: Cutout, alpha: np.ndarray, *, origin: str
) -> Placed:
    ground.pixels[window] = blend.pixels
    top, left = window[0].start, window[1].start
    x = y = (WINDOW_PX - 1) / 2
    radius = CONTROL_RADIUS_PX
    if cutout.label != NON_MITOTIC:
        shown = cutout.mask & (alpha > 0.5)
        ground.mask[window][shown] = 255
        rows, columns = np.nonzero(shown)
        x, y = float(columns.mean()), float(rows.mean())
        radius = float(np.quantile(np.hypot(columns - x, rows - y), 0.98)) + 0.5
        radius = max(radius, FALLBACK_RADIUS_PX)
    ground.taken.append((left + x, top + y))
    ground.paint[window] &= alpha < 0.98
    return Placed(left + x, top + y, cutout.label, cutout.case, origin, cutout.source, radius, cutout.found)
