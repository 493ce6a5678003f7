"""Draw one synthetic H&E field with exact labels.

The pictures are for demos and tests: they show that the tools work, never how accurate a model is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from mitozoo.base.errors import DataError
from mitozoo.base.points import Cell
from mitozoo.base.units import UM_PER_PX_40X, area_mm2, check_um_per_px
from mitozoo.data.synthetic.canvas import Canvas, Map
from mitozoo.data.synthetic.figures import REACH_UM, paint_mitosis
from mitozoo.data.synthetic.look import Look, draw_look, photograph
from mitozoo.data.synthetic.look_alikes import paint_look_alike
from mitozoo.data.synthetic.nuclei import fibroblast, lymphocyte, paint_nucleus, tumour_nucleus
from mitozoo.data.synthetic.tissue import Ground, Points, lay_ground, paint_red_cell, stain_ground

#: Figures per mm² where the caller does not say: many, so that small fields have some.
MITOSES_PER_MM2, LOOK_ALIKES_PER_MM2 = 90.0, 110.0
#: Between the centres of two mitoses, of a mitosis and a look-alike (or two), and of a mitosis and another nucleus.
MITOSES_APART_UM, LOOK_ALIKES_APART_UM, CLEAR_UM = 26.0, 20.0, 11.0
#: Smaller fields might miss a figure that lies in their middle; coarser pixels might miss its chromatin.
SMALLEST_PX, SMALLEST_UM, COARSEST_UM_PER_PX = 64, 16.0, 1.0
#: Half a MIDOG box and the shift of a label: boxes lie inside the field.
MARGIN_PX = 27


@dataclass(frozen=True)
class SyntheticField:
    """One drawn field.

    Attributes:
        image: uint8 RGB (height, width, 3).
        cells: every mitotic figure (`mitotic_figure` or `atypical_mitotic_figure`) and every look-alike
            (`non_mitotic`), at the centre of its chromatin in px.
        mask: uint8 (height, width), 1 on the chromatin of mitotic figures.
    """

    image: NDArray[np.uint8]
    cells: tuple[Cell, ...]
    mask: NDArray[np.uint8]


def draw_field(
    size_px: int | tuple[int, int],
    *,
    seed: int,
    um_per_px: float = UM_PER_PX_40X,
    mitoses: int | None = None,
    look_alikes: int | None = None,
) -> SyntheticField:
    """Draw one field of H&E tissue; the same arguments give the same field.

    Args: size_px side, or (height, width); seed >= 0; um_per_px spacing; mitoses, look_alikes how many, or None for a
        number that suits the area.
    Raises: DataError where the field is too small or too coarse for what is asked; InputError for an implausible
        spacing.
    """
    height, width = (size_px, size_px) if isinstance(size_px, int) else size_px
    _check(height, width, check_um_per_px(um_per_px))
    rng = np.random.default_rng(seed)
    look = draw_look(rng)
    canvas = Canvas(height, width, um_per_px, rng)
    places = _place_figures(canvas, mitoses, look_alikes)
    ground = lay_ground(canvas, look, np.concatenate(places))
    cells = paint_tissue(canvas, look, ground, *places)
    image = photograph(canvas, look)
    return SyntheticField(image, tuple(cells), canvas.mask)


def _check(height: int, width: int, um_per_px: float) -> None:
    if um_per_px > COARSEST_UM_PER_PX:
        raise DataError(
            f"At {um_per_px:g} µm per pixel a mitotic figure is too small to draw. "
            f"Ask for {COARSEST_UM_PER_PX:g} µm per pixel or finer."
        )
    smallest = max(SMALLEST_PX, math.ceil(SMALLEST_UM / um_per_px))
    if min(height, width) < smallest:
        raise DataError(
            f"A field of {width}×{height} px at {um_per_px:g} µm per pixel is too small to draw. "
            f"Ask for at least {smallest} px a side."
        )


def _place_figures(canvas: Canvas, mitoses: int | None, look_alikes: int | None) -> tuple[Points, Points]:
    """Places of the mitoses and of the look-alikes, (n, 2) and (m, 2), as x and y in px."""
    area = area_mm2(canvas.height * canvas.width, canvas.um_per_px)
    wanted = []
    for asked, density in ((mitoses, MITOSES_PER_MM2), (look_alikes, LOOK_ALIKES_PER_MM2)):
        likely = max(1, round(area * density * canvas.rng.uniform(0.7, 1.3)))
        wanted.append(likely if asked is None else asked)
    first = _scatter(canvas, wanted[0], MITOSES_APART_UM, REACH_UM, np.zeros((0, 2)), 0)
    second = _scatter(canvas, wanted[1], LOOK_ALIKES_APART_UM, REACH_UM / 2, first, LOOK_ALIKES_APART_UM)
    for found, asked, name in ((first, mitoses, "mitoses"), (second, look_alikes, "look-alikes")):
        if asked is not None and len(found) < asked:
            raise DataError(
                f"Only {len(found)} of {asked} {name} fit into {canvas.width}×{canvas.height} px. "
                "Ask for fewer, or for a larger field."
            )
    return first, second


def _scatter(
    canvas: Canvas, count: int, apart_um: float, margin_um: float, taken: Points, clear_um: float, tries: int = 60
) -> Points:
    """Up to `count` random places `apart_um` from each other, `clear_um` from `taken` and `margin_um` from the edge."""
    size = np.array([canvas.width, canvas.height], float)
    margin = np.minimum(max(margin_um / canvas.um_per_px, MARGIN_PX), (size - 1) / 2)
    apart, clear = apart_um / canvas.um_per_px, clear_um / canvas.um_per_px
    found: list[NDArray[np.float64]] = []
    for place in canvas.rng.uniform(margin, size - 1 - margin, (count * tries, 2)):
        if len(found) == count:
            break
        if all(np.hypot(*(place - other)) >= apart for other in found) and (
            len(taken) == 0 or float(np.hypot(*(taken - place).T).min()) >= clear
        ):
            found.append(place)
    return np.array(found).reshape(-1, 2)


def _fill(canvas: Canvas, spacing_um: Map, taken: Points, clear_um: NDArray[np.float64]) -> Points:
    """Fill the canvas with places about `spacing_um` (h, w) apart, `clear_um` (n,) from `taken` (n, 2).

    Darts are thrown at a grid of buckets, so that each is compared with its neighbours only.
    """
    bucket = float(spacing_um.max()) / canvas.um_per_px
    darts = round(9 * canvas.height * canvas.width / (float(spacing_um.min()) / canvas.um_per_px) ** 2)
    places = canvas.rng.uniform(0, [canvas.width - 1, canvas.height - 1], (darts, 2))
    spacing = spacing_um[np.rint(places[:, 1]).astype(int), np.rint(places[:, 0]).astype(int)] / canvas.um_per_px
    free = np.ones(darts, bool)
    for other, clear in zip(taken, clear_um / canvas.um_per_px, strict=True):
        free &= np.hypot(*(places - other).T) >= clear
    grid: dict[tuple[int, int], list[tuple[float, float]]] = {}
    kept = []
    for (x, y), apart in zip(places[free].tolist(), spacing[free].tolist(), strict=True):
        column, row = int(x / bucket), int(y / bucket)
        near = (grid.get((column + i, row + j), ()) for i in (-1, 0, 1) for j in (-1, 0, 1))
        if all((x - a) ** 2 + (y - b) ** 2 >= apart * apart for group in near for a, b in group):
            grid.setdefault((column, row), []).append((x, y))
            kept.append((x, y))
    return np.array(kept).reshape(-1, 2)


def paint_tissue(canvas: Canvas, look: Look, ground: Ground, mitoses: Points, look_alikes: Points) -> list[Cell]:
    """Paint tissue, ordinary nuclei and then the figures; returns the labelled cells, mitoses first.

    Args: canvas, look and ground; mitoses (n, 2) and look_alikes (m, 2), x and y in px of the canvas.
    """
    rng = canvas.rng
    figures = np.concatenate([mitoses, look_alikes])
    clear_um = np.repeat([CLEAR_UM, CLEAR_UM * 0.6], [len(mitoses), len(look_alikes)])
    crowding = np.clip(1 + 0.15 * canvas.noise(20), 0.75, 1.4)
    spacing_um = look.spacing_um * crowding * (1 + 0.15 * (1 - ground.tumour))
    others = _fill(canvas, np.asarray(spacing_um, np.float32), figures, clear_um)
    nest, gap = (map_coordinates(item, others[:, ::-1].T, order=0) for item in (ground.tumour, ground.gap))
    sheet = np.concatenate([others[(nest > 0.5) & (gap < 0.5)], figures])
    stain_ground(canvas, look, ground, sheet)
    for (x, y), in_nest, in_gap in zip(others, nest, gap, strict=True):
        if in_gap > 0.3 or rng.uniform() < 0.06:
            continue
        _paint_ordinary(canvas, look, ground, float(x), float(y), bool(in_nest > 0.5))
    cells = [paint_look_alike(canvas, look, x, y) for x, y in look_alikes]
    return [paint_mitosis(canvas, look, x, y) for x, y in mitoses] + cells


def _paint_ordinary(canvas: Canvas, look: Look, ground: Ground, x: float, y: float, in_nest: bool) -> None:
    """Paint what belongs here: a tumour nucleus, now and then with a lymphocyte; in stroma spindles and others."""
    rng = canvas.rng
    chance = rng.uniform()
    if in_nest:
        kind = lymphocyte(rng, look) if chance < 0.3 * look.inflamed else tumour_nucleus(rng, look)
        paint_nucleus(canvas, kind, x, y)
    elif chance < look.inflamed:
        paint_nucleus(canvas, lymphocyte(rng, look), x, y)
    elif chance < 0.75:
        angle = float(ground.fibre_angle[round(y), round(x)])
        paint_nucleus(canvas, fibroblast(rng, look, angle), x, y)
    elif chance < 0.8:
        paint_red_cell(canvas, look, x, y)
