"""Tiles of a slide: cores side by side, each with tissue around that its answer needs."""

from __future__ import annotations

from dataclasses import dataclass

from mitozoo.data.slides import Box

#: Side of a core, and the tissue around it where nobody says how far a network and its decoder look.
CORE_PX, HALO_PX = 2048, 256
#: Tiles begin at multiples of this, so that strides fall on the same pixels however a slide is tiled.
GRID_PX = 64


@dataclass(frozen=True)
class Tile:
    """One tile, in pixels of the model's spacing.

    Attributes: number, in order of rows; core, whose cells this tile answers for; region, what is read.
    """

    number: int
    core: Box
    region: Box

    def holds(self, x_px: float, y_px: float) -> bool:
        """Whether a point is this tile's: cores are half open, so that every point has one tile."""
        # A pixel's area reaches half a pixel to each side of its centre.
        x, y = x_px + 0.5, y_px + 0.5
        core = self.core
        return core.x <= x < core.x + core.width and core.y <= y < core.y + core.height


def tiles_of(
    width_px: int, height_px: int, *, core_px: int = CORE_PX, halo_px: int = HALO_PX, shift_px: int = 0
) -> list[Tile]:
    """Cover a slide with tiles.

    Args: size of the slide at the model's spacing; core_px, a multiple of `GRID_PX`; halo_px, likewise; shift_px, by
    which the grid is moved to the upper left, likewise.
    Returns: tiles in order of rows; cores cover every pixel once.
    Raises: ValueError for sizes that are no such multiples.
    """
    for name, value in (("core_px", core_px), ("halo_px", halo_px), ("shift_px", shift_px)):
        if (
            value % GRID_PX
            or value < 0
            or (name == "core_px" and not value)
            or (name == "shift_px" and value >= core_px)
        ):
            raise ValueError(f"{name} must be a multiple of {GRID_PX}, got {value}.")
    tiles: list[Tile] = []
    for top in range(-shift_px, height_px, core_px):
        for left in range(-shift_px, width_px, core_px):
            around = (left, top, left + core_px, top + core_px)
            tiles.append(tile_around(len(tiles), around, halo_px, (width_px, height_px)))
    return tiles


def tile_around(number: int, core: tuple[int, int, int, int], halo_px: int, size: tuple[int, int]) -> Tile:
    """The tile with a core (left, top, right, bottom) and halo_px around, inside a slide of a size."""
    left, top, right, bottom = core
    region = _clipped(left - halo_px, top - halo_px, right + halo_px, bottom + halo_px, *size)
    return Tile(number, _clipped(left, top, right, bottom, *size), region)


def _clipped(left: int, top: int, right: int, bottom: int, width_px: int, height_px: int) -> Box:
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width_px), min(bottom, height_px)
    return Box(left, top, right - left, bottom - top)
