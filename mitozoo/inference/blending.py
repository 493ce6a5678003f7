"""Maps of fields of any size from overlapping tiles, blended so that a seam leaves no trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

#: From tiles uint8 (B, tile_px, tile_px, 3) to maps float32 (B, tile_px, tile_px, channels).
OfTiles = Callable[[np.ndarray], np.ndarray]


def tent(tile_px: int, step_px: int) -> np.ndarray:
    """Weights of a tile's lines: 1 in the middle, falling in a straight line over what two tiles share.

    Args: tile_px; step_px from one tile to the next, between half of tile_px and tile_px.
    Returns: float32 (tile_px,) above 0; those of neighbours that are step_px apart add to 1.
    """
    shared = tile_px - step_px
    if not shared:
        return np.ones(tile_px, np.float32)
    place = np.arange(tile_px) + 0.5
    # At most half of a tile is shared with each neighbour, so the two ramps never meet.
    return np.minimum(1.0, np.minimum(place, tile_px - place) / shared).astype(np.float32)


def starts(size_px: int, tile_px: int, step_px: int) -> list[int]:
    """First lines of the tiles that cover an axis, beginning half the shared part before it; may be negative."""
    rim = (tile_px - step_px) // 2
    return [k * step_px - rim for k in range(max(1, -(-size_px // step_px)))]


def blended(
    field: np.ndarray, run: OfTiles, *, tile_px: int, overlap: float, channels: int, batch_size: int = 1
) -> np.ndarray:
    """Run a network over a field in tiles.

    Beyond its edge the field is continued by reflection, and tiles reach over the edge by half of what they share, so
    that nothing of the field lies at a tile's rim.

    Args: field uint8 (H, W, 3); run; tile_px; overlap, share of a tile that the next one sees too, 0 to 0.5; channels
        of the maps; batch_size, tiles at a time.
    Returns: float32 (H, W, channels).
    """
    height, width = field.shape[:2]
    step_px = round(tile_px * (1 - overlap))
    rows, columns = starts(height, tile_px, step_px), starts(width, tile_px, step_px)
    rim = (tile_px - step_px) // 2
    lack = [max(0, lines[-1] + tile_px - size) for lines, size in ((rows, height), (columns, width))]
    padded = np.pad(field, ((rim, lack[0]), (rim, lack[1]), (0, 0)), mode="symmetric")
    line = tent(tile_px, step_px)
    weight = (line[:, None] * line[None])[..., None]
    total = np.zeros((*padded.shape[:2], channels), np.float32)
    sums = np.zeros((*padded.shape[:2], 1), np.float32)
    for batch in _batches([(y + rim, x + rim) for y in rows for x in columns], batch_size):
        tiles = np.stack([padded[y : y + tile_px, x : x + tile_px] for y, x in batch])
        for (y, x), found in zip(batch, run(tiles), strict=True):
            total[y : y + tile_px, x : x + tile_px] += weight * found
            sums[y : y + tile_px, x : x + tile_px] += weight
    inner = slice(rim, rim + height), slice(rim, rim + width)
    return np.asarray(total[inner] / sums[inner])


def _batches(items: list[tuple[int, int]], size: int) -> Iterator[list[tuple[int, int]]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]
