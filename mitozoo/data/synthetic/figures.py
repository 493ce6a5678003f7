"""Mitotic figures in their phases: chromatin without a membrane in a rounded, cleared cell.

Shapes are distances in µm, negative inside, joined by their minimum; a noise on the distance makes the edge ragged.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, Cell
from mitozoo.data.synthetic.canvas import COARSE_UM, FINE_UM, MIDDLE_UM, Canvas, Floats, Map, Window, step
from mitozoo.data.synthetic.look import Look
from mitozoo.data.synthetic.nuclei import outline

#: No figure reaches further from its centre, cell body aside.
REACH_UM = 12.0


def bar(along: Floats, across: Floats, length_um: float, thick_um: float, bend: float = 0.0) -> Map:
    """A rounded bar with full length and thickness; `bend` in 1/µm curves it towards positive `across`."""
    beyond = np.maximum(np.abs(along) - (length_um - thick_um) / 2, 0)
    return np.asarray(np.hypot(beyond, across - bend * along**2) - thick_um / 2, np.float32)


def _metaphase(window: Window, rng: np.random.Generator) -> Map:
    """The plate from the side, with a few arms out of line."""
    along, across = window.turned(rng.uniform(0, math.pi))
    length, thick = rng.uniform(6.5, 10), rng.uniform(2.2, 3.3)
    bend = rng.normal(0, 0.012)
    shape = bar(along, across, length, thick, bend)
    for _ in range(rng.integers(4, 9)):
        shift = rng.uniform(-0.5, 0.5) * length
        tilt = rng.normal(math.pi / 2, 0.5)
        shape = np.minimum(shape, _stick(along - shift, across - bend * shift**2, tilt, rng.uniform(1.5, 3.8), 0.75))
    return shape


def _stick(along: Floats, across: Floats, tilt: float, length_um: float, thick_um: float) -> Map:
    """A chromosome arm centred on the origin of its coordinates, turned by `tilt` radians."""
    cosine, sine = math.cos(tilt), math.sin(tilt)
    return bar(along * cosine + across * sine, across * cosine - along * sine, length_um, thick_um)


def _prometaphase(window: Window, rng: np.random.Generator) -> Map:
    """A clump of condensed chromosomes, dense in the middle and loose outside."""
    size = rng.uniform(2.5, 3.7)
    stretch = rng.uniform(0.6, 1.0)
    along, across = window.turned(rng.uniform(0, math.pi))
    core = rng.uniform(0.5, 0.9) * size
    shape = np.asarray(np.hypot(along, across / stretch) - core, np.float32)
    for _ in range(rng.integers(14, 24)):
        turn, out = rng.uniform(0, 2 * math.pi), size * math.sqrt(rng.uniform(0.1, 1))
        x, y = out * math.cos(turn), out * math.sin(turn) * stretch
        tilt = turn + rng.normal(0, 0.6)
        shape = np.minimum(shape, _stick(along - x, across - y, tilt, rng.uniform(1.6, 3.0), rng.uniform(0.8, 1.2)))
    return shape


def _ring(window: Window, rng: np.random.Generator) -> Map:
    """The plate from the pole: a ring with a pale middle."""
    along, across = window.turned(rng.uniform(0, math.pi))
    radius, thick = rng.uniform(2.7, 3.5), rng.uniform(1.7, 2.3)
    distance = np.hypot(along, across / rng.uniform(0.75, 1.0))
    shape = np.asarray(np.abs(distance - radius) - thick / 2, np.float32)
    for turn in rng.uniform(0, 2 * math.pi, rng.integers(8, 14)):
        x, y = (radius + 0.6) * math.cos(turn), (radius + 0.6) * math.sin(turn)
        shape = np.minimum(shape, _stick(along - x, across - y, turn, rng.uniform(1.4, 2.8), 0.8))
    return shape


def _two_plates(window: Window, rng: np.random.Generator, apart_um: float, sizes: tuple[float, float]) -> Map:
    """Two parallel plates, `apart_um` between their middles, each of its own length; turned at random."""
    along, across = window.turned(rng.uniform(0, math.pi))
    thick, bend = rng.uniform(1.9, 2.6), rng.uniform(-0.01, 0.04)
    shape = np.full_like(along, 99)
    for side, length in zip((-1, 1), sizes, strict=True):
        lean = rng.normal(0, 0.1)
        u, v = along + lean * across * side, side * across - apart_um / 2
        shape = np.minimum(shape, bar(u, v, length, thick, bend))
        for _ in range(rng.integers(2, 5)):
            shift = rng.uniform(-0.45, 0.45) * length
            tilt = rng.normal(math.pi / 2, 0.4)
            shape = np.minimum(shape, _stick(u - shift, v + 0.6, tilt, rng.uniform(1.5, 2.6), 0.7))
    return shape


def _anaphase(window: Window, rng: np.random.Generator) -> Map:
    length = rng.uniform(6, 8.5)
    return _two_plates(window, rng, rng.uniform(4.5, 7.5), (length, length))


def _telophase(window: Window, rng: np.random.Generator) -> Map:
    length = rng.uniform(4.5, 6.5)
    return _two_plates(window, rng, rng.uniform(9.5, 13.0), (length, length))


def _tripolar(window: Window, rng: np.random.Generator) -> Map:
    """Three plates that meet."""
    start = rng.uniform(0, 2 * math.pi)
    shape = np.full_like(window.dx_um, 99)
    for turn in start + np.array([0, 2.1, 4.2]) + rng.normal(0, 0.15, 3):
        along, across = window.turned(float(turn))
        length = rng.uniform(3.8, 5.2)
        shape = np.minimum(shape, bar(along - length / 2, across, length + 1, rng.uniform(1.8, 2.5)))
    return shape


def _lagging(window: Window, rng: np.random.Generator) -> Map:
    """An anaphase with chromosomes left behind between its plates."""
    shape = _anaphase(window, rng)
    for _ in range(rng.integers(2, 4)):
        along, across = window.turned(rng.uniform(0, math.pi))
        x, y = rng.normal(0, 0.9, 2)
        shape = np.minimum(shape, bar(along - x, across - y, rng.uniform(1.4, 2.4), 0.95))
    return shape


def _uneven(window: Window, rng: np.random.Generator) -> Map:
    """An anaphase that shares its chromatin unevenly."""
    return _two_plates(window, rng, rng.uniform(5, 8), (rng.uniform(7, 8.5), rng.uniform(3, 4.2)))


Shape = Callable[[Window, np.random.Generator], Map]
#: Phase: its shape, label, and how often it is drawn (about the frequencies pathologists report on breast cancer).
PHASES: dict[str, tuple[Shape, str, float]] = {
    "metaphase": (_metaphase, MITOTIC_FIGURE, 0.36),
    "prometaphase": (_prometaphase, MITOTIC_FIGURE, 0.3),
    "ring": (_ring, MITOTIC_FIGURE, 0.06),
    "anaphase": (_anaphase, MITOTIC_FIGURE, 0.1),
    "telophase": (_telophase, MITOTIC_FIGURE, 0.06),
    "tripolar": (_tripolar, ATYPICAL, 0.04),
    "lagging": (_lagging, ATYPICAL, 0.04),
    "uneven": (_uneven, ATYPICAL, 0.04),
}


def paint_mitosis(canvas: Canvas, look: Look, x_px: float, y_px: float, phase: str | None = None) -> Cell:
    """Paint one mitotic figure and mark it in the mask.

    Args: x_px, y_px where; phase, one of `PHASES`, drawn by its frequency if None.
    Returns: the cell, centred on the middle of what was marked.
    """
    rng = canvas.rng
    if phase is None:
        weights = np.array([item[2] for item in PHASES.values()])
        phase = str(rng.choice(list(PHASES), p=weights / weights.sum()))
    shape, label, _ = PHASES[phase]
    window = canvas.window(x_px, y_px, REACH_UM + 2)
    distance = shape(window, rng)
    _paint_body(canvas, look, window, distance)
    ragged = distance + 0.16 * canvas.texture(window, FINE_UM) + 0.26 * canvas.texture(window, MIDDLE_UM)
    cover = step(ragged, rng.choice([0.08, 0.11, 0.15, 0.22]))
    uneven = 0.06 * canvas.texture(window, MIDDLE_UM) + 0.06 * canvas.texture(window, COARSE_UM)
    density = look.chromatin * rng.uniform(0.85, 1.1) * (1 + uneven)
    canvas.paint(window, cover, density, 0.35 * look.cytoplasm)
    chromatin = cover > 0.5
    canvas.mask[window.area][chromatin] = 1
    rows, columns = np.nonzero(chromatin)
    y, x = window.area[0].start + rows.mean(), window.area[1].start + columns.mean()
    return Cell(float(x), float(y), label)


def _paint_body(canvas: Canvas, look: Look, window: Window, chromatin_um: Map) -> None:
    """Paint the rounded cell about the chromatin: pale, finely granular, thin edge, sometimes a retraction halo."""
    rng = canvas.rng
    radius = rng.uniform(6.0, 7.8)
    round_cell = outline(window, rng, (2 * radius, 2 * radius * rng.uniform(0.8, 1.0)), rng.uniform(0, math.pi), 0.03)
    # A cell that is dividing is as long as its plates are apart.
    distance = np.minimum(round_cell, chromatin_um - rng.uniform(1.8, 2.8))
    distance = distance + 0.12 * canvas.texture(window, MIDDLE_UM) + 0.12 * canvas.texture(window, COARSE_UM)
    fine, middle = canvas.texture(window, FINE_UM), canvas.texture(window, MIDDLE_UM)
    if rng.uniform() < 0.4:
        halo = rng.uniform(0.3, 0.85) * step(distance - rng.uniform(0.6, 1.4), 0.25)
        canvas.paint(window, halo, 0.02, 0.08)
    level = look.cytoplasm * rng.uniform(0.45, 0.8)
    clear = step(2.2 - chromatin_um, 0.5)
    edge = np.exp(-(((distance + 0.3) / 0.3) ** 2))
    eosin = level * (0.8 + 0.2 * clear + 0.22 * fine + 0.25 * middle) + 0.22 * look.cytoplasm * edge
    blue = 0.09 + 0.03 * middle + 0.02 * fine + 0.05 * clear
    canvas.paint(window, 0.92 * step(distance, 0.15), np.clip(blue, 0.01, None), np.clip(eosin, 0.03, None))
