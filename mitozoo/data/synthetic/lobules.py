"""Where a drawn slide has tissue: islands of lobules with clefts between them.

A lobule is the cell of a jittered grid's Voronoi diagram, rounded and made uneven; each is drawn by itself, so that a
slide of any size costs what its tissue costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from mitozoo.base.errors import DataError
from mitozoo.base.units import area_mm2
from mitozoo.data.slides import Box
from mitozoo.data.synthetic.canvas import Map, smooth_noise

#: Sides of the squares that sites are jittered in; smaller where there is little tissue, so that it has islands.
LARGEST_PITCH_UM, SMALLEST_PITCH_UM = 320.0, 110.0
#: Outlines are worked out on a grid as fine as this.
GRID_UM = 4.0
#: Tissue fades to glass over this width; half the narrowest cleft.
FADE_UM = 6.0
#: Shift of a site from the middle of its square, reach of a lobule beyond its square, room about a site, in squares.
_JITTER, _BEYOND, _MIDDLE = 0.3, 0.35, 0.15
#: Radius of corners, and depth and length of bays in an outline, in squares.
_ROUND, _BAY, _BAY_LONG = 0.04, 0.03, 0.07
#: Lobules of an island, on average; part of a square that a lobule covers, about.
_PER_ISLAND, _COVERED = 10, 0.5


@dataclass(frozen=True)
class Lobule:
    """One lobule.

    Attributes: seed of what is drawn; left, top, of its map in px of the slide; step_px, side of the map's cells;
    depth_um (rows, columns), the distance inwards from its outline, negative outside.
    """

    seed: tuple[int, ...]
    left: int
    top: int
    step_px: int
    depth_um: Map

    def at(self, x_px: NDArray[np.float64], y_px: NDArray[np.float64]) -> Map:
        """Depth in µm at places of the slide, (n,); far outside where the map does not reach."""
        rows = np.floor((y_px + 0.5 - self.top) / self.step_px).astype(int)
        columns = np.floor((x_px + 0.5 - self.left) / self.step_px).astype(int)
        known = (rows >= 0) & (columns >= 0) & (rows < self.depth_um.shape[0]) & (columns < self.depth_um.shape[1])
        found = np.full(np.shape(x_px), -1e6, np.float32)
        found[known] = self.depth_um[rows[known], columns[known]]
        return found

    def deeper(self, than_um: float) -> NDArray[np.float64]:
        """Middles of the map's cells that lie deeper, (n, 2), as x and y in px of the slide."""
        rows, columns = np.nonzero(self.depth_um > than_um)
        middles = np.stack([columns, rows], axis=1) * float(self.step_px) + (self.step_px - 1) / 2
        return np.asarray(middles + (self.left, self.top), np.float64)

    @property
    def box(self) -> Box:
        """The part of the slide that it is drawn in: all of it, with its faded edge."""
        rows, columns = np.nonzero(self.depth_um > -FADE_UM)
        top, left = self.top + int(rows.min()) * self.step_px, self.left + int(columns.min()) * self.step_px
        height, width = (int(np.ptp(index) + 1) * self.step_px for index in (rows, columns))
        return Box(left, top, width, height)

    def depth_in_box(self) -> Map:
        """Depth in µm of every pixel of the box, (height, width)."""
        rows, columns = self.depth_um.shape
        size = (columns * self.step_px, rows * self.step_px)
        full = np.asarray(cv2.resize(self.depth_um, size, interpolation=cv2.INTER_LINEAR), np.float32)
        box = self.box
        top, left = box.y - self.top, box.x - self.left
        return full[top : top + box.height, left : left + box.width]


def overlap(one: Box, other: Box) -> bool:
    """Whether two boxes share a pixel."""
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


class _Grid:
    """The jittered grid of a slide, with a ring of sites around, which shape the lobules at its edge."""

    def __init__(
        self,
        width_px: int,
        height_px: int,
        um_per_px: float,
        pitch_um: float,
        seed: int,
        kept_free: Sequence[Box],
        seam_px: int,
    ) -> None:
        self.um_per_px, self.seed, self.pitch = um_per_px, seed, pitch_um / um_per_px
        self.width_px, self.height_px, self.kept_free = width_px, height_px, kept_free
        self.step_px = max(1, round(GRID_UM / um_per_px))
        size = np.array([width_px, height_px], float)
        if seam_px:
            # Squares share their middles with the seams' crossings, so that these lie deep in lobules.
            parts = max(1, round(seam_px / self.pitch))
            self.pitch = seam_px * max(1, round(self.pitch / seam_px)) / parts
            origin = np.full(2, (-0.5 - self.pitch / 2) % self.pitch)
            self.columns, self.rows = (int(value) for value in (size - origin) / self.pitch)
        else:
            self.columns, self.rows = (int(value) for value in size / self.pitch)
            origin = (size - np.array([self.columns, self.rows]) * self.pitch) / 2
        most = _JITTER / 2 if seam_px else _JITTER
        jitter = np.random.default_rng([seed, 1]).uniform(-most, most, (self.rows + 2, self.columns + 2, 2))
        rows, columns = np.mgrid[-1 : self.rows + 1, -1 : self.columns + 1]
        self.sites = origin + (np.stack([columns, rows], axis=-1) + 0.5 + jitter) * self.pitch
        self.origin = origin

    def reach(self, row: int, column: int) -> Box:
        """The box that a lobule stays in."""
        low = np.maximum(self.origin + (np.array([column, row]) - _BEYOND) * self.pitch, 0)
        high = self.origin + (np.array([column, row]) + 1 + _BEYOND) * self.pitch
        high = np.minimum(high, [self.width_px, self.height_px])
        left, top = (math.ceil(value) for value in low)
        # Whole cells of the map, so that none reaches beyond the slide.
        width, height = (
            int((end - start) / self.step_px) * self.step_px for start, end in zip((left, top), high, strict=True)
        )
        return Box(left, top, width, height)

    def middle(self, row: int, column: int) -> Box:
        """A small box about a site: where it is free, a lobule has room."""
        half = _MIDDLE * self.pitch
        left, top = self.sites[row + 1, column + 1] - half
        return Box(int(left), int(top), *(2 * [math.ceil(2 * half)]))

    def to_corner(self, row: int, column: int, seam_px: int) -> float:
        """Distance in px from a site to the nearest crossing of multiples of `seam_px`."""
        site = self.sites[row + 1, column + 1] + 0.5
        return float(np.hypot(*(site - np.rint(site / seam_px) * seam_px)))

    def lobule(self, row: int, column: int) -> Lobule:
        """The lobule of a square, with its depth from the edges of its Voronoi cell."""
        box, step = self.reach(row, column), self.step_px
        x = box.x + np.arange(box.width // step) * step + (step - 1) / 2
        y = box.y + np.arange(box.height // step) * step + (step - 1) / 2
        places = np.stack(np.meshgrid(x, y), axis=-1)
        site = self.sites[row + 1, column + 1]
        edges = [x - box.x, box.x + box.width - x]
        distances = [np.broadcast_to(edge, places.shape[:2]) for edge in edges]
        distances += [np.broadcast_to(e[:, None], places.shape[:2]) for e in (y - box.y, box.y + box.height - y)]
        near = self.sites[max(row - 1, 0) : row + 4, max(column - 1, 0) : column + 4].reshape(-1, 2)
        for other in near:
            away = other - site
            length = float(np.hypot(*away))
            if length > 0:
                distances.append(((site + other) / 2 - places) @ away / length)
        for free in self.kept_free:
            if overlap(box, free):
                beside = np.maximum(free.x - places[..., 0], places[..., 0] - (free.x + free.width))
                above = np.maximum(free.y - places[..., 1], places[..., 1] - (free.y + free.height))
                distances.append(np.maximum(beside, above))
        depth_um = np.stack(distances) * self.um_per_px
        # The smooth minimum of the distances rounds the corners.
        least = depth_um.min(axis=0)
        round_um = _ROUND * self.pitch * self.um_per_px
        rounded = least - round_um * np.log(np.exp(-(depth_um - least) / round_um).sum(axis=0))
        rng = np.random.default_rng([self.seed, 2, row, column])
        bays = smooth_noise(rng, len(y), len(x), _BAY_LONG * self.pitch / step)
        depth = np.asarray(rounded - _BAY * self.pitch * self.um_per_px * np.clip(1 + bays, 0, None), np.float32)
        return Lobule((self.seed, 3, row, column), box.x, box.y, step, depth)


def lay_lobules(
    width_px: int,
    height_px: int,
    um_per_px: float,
    tissue_mm2: float,
    seed: int,
    kept_free: Sequence[Box],
    seam_px: int = 0,
) -> list[Lobule]:
    """Lay out so much tissue, exact to a cell of the outlines' grid, outside of the boxes `kept_free`.

    Where `seam_px` is not 0, islands begin where multiples of it cross.
    Raises: DataError where it does not fit.
    """
    if tissue_mm2 <= 0:
        return []
    suiting_um = min(math.sqrt(tissue_mm2 * 1e6 / 8 / _COVERED), min(width_px, height_px) * um_per_px / 4)
    pitch_um = float(np.clip(suiting_um, SMALLEST_PITCH_UM, LARGEST_PITCH_UM))
    grid = _Grid(width_px, height_px, um_per_px, pitch_um, seed, kept_free, seam_px)
    pitch_um = grid.pitch * um_per_px
    cell_mm2 = area_mm2(grid.step_px**2, um_per_px)
    wanted = max(1, round(tissue_mm2 / cell_mm2))
    rng = np.random.default_rng([seed, 4])
    islands = max(1, round(tissue_mm2 * 1e6 / (_COVERED * pitch_um**2) / _PER_ISLAND))
    found: list[Lobule] = []
    cells = 0
    for row, column in _grown(grid, islands, rng, seam_px):
        lobule = grid.lobule(row, column)
        found.append(lobule)
        cells += int((lobule.depth_um > FADE_UM).sum())
        if cells >= wanted:
            break
    if cells < wanted:
        raise DataError(
            f"Only {cells * cell_mm2:.2g} of {tissue_mm2:g} mm² of tissue fit into {width_px}×{height_px} px at "
            f"{um_per_px:g} µm per pixel. Ask for less, or for a larger slide."
        )
    depths = np.concatenate([lobule.depth_um.ravel() for lobule in found])
    edge = float(np.partition(depths, len(depths) - wanted)[len(depths) - wanted])
    # The least deep cell still belongs to the tissue.
    edge = float(np.nextafter(np.float32(edge), np.float32(-1e6)))
    return [replace(item, depth_um=item.depth_um - np.float32(edge)) for item in found if item.depth_um.max() > edge]


def _grown(grid: _Grid, islands: int, rng: np.random.Generator, seam_px: int) -> Iterator[tuple[int, int]]:
    """The squares that tissue may be in, in the order in which islands grow over them."""
    open_ = {
        (row, column)
        for row in range(grid.rows)
        for column in range(grid.columns)
        if not any(overlap(grid.middle(row, column), box) for box in grid.kept_free)
    }
    edges: list[list[tuple[int, int]]] = [[] for _ in range(islands)]
    while open_:
        edge = edges[int(rng.integers(islands))]
        if edge:
            square = edge.pop(int(rng.integers(len(edge))))
        else:
            # A new island, or one that is walled in goes on elsewhere.
            starts = sorted(open_)
            if seam_px:
                starts = sorted(starts, key=lambda item: grid.to_corner(item[0], item[1], seam_px))[
                    : -(-len(starts) // 10)
                ]
            square = starts[int(rng.integers(len(starts)))]
        if square not in open_:
            continue
        open_.remove(square)
        yield square
        row, column = square
        edge += [(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)]
