"""Places that a heat map proposes in an image: for mining and for searching alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import tensorflow as tf
from scipy import ndimage
from scipy.spatial import cKDTree

#: Tissue around a tile that the network sees beyond it: more than its convolutions reach. A network that reaches
#: further has an attribute `halo_px`, a multiple of its coarsest stride.
HALO_PX = 64
#: Longest side of a tile: a field of 2084 px and a tile of a slide are four, so that their pixels as floats keep a
#: search of a field under 1 GB. A network whose layers take more memory has an attribute `tile_px`, a multiple of its
#: stride.
TILE_PX = 1536
#: Tiles, or batches of cells, that are run side by side: the many small operations of one do not keep two cores busy.
SIDE_BY_SIDE = 2
#: Tiles begin at multiples of this: the coarsest stride of any network that proposes divides it.
GRID_PX = 64


def peaks(heat: np.ndarray, stride_px: int, radius_px: float, cut: float) -> np.ndarray:
    """Local maxima of a heat map, refined by the centre of mass of the 3x3 positions around each.

    Args: heat (h, w) in [0, 1]; stride_px from one position to the next, the first at (stride_px - 1) / 2; radius_px,
    two are not sought closer together than this along an axis; cut, lower ones are left out.
    Returns: float (n, 3) of x_px, y_px, heat, by falling heat, then by y and x.
    """
    reach = max(1, round(radius_px / stride_px))
    top = (heat == ndimage.maximum_filter(heat, size=2 * reach + 1, mode="constant")) & (heat >= cut)
    # Positions side by side that are equally high are one place: the one nearest to their middle stands for them.
    plateaus, count = ndimage.label(top, np.ones((3, 3)))
    middle = np.asarray(ndimage.center_of_mass(top, plateaus, range(1, count + 1))).reshape(-1, 2)
    rows, columns = np.round(middle).astype(int).T
    padded = np.pad(heat, 1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))[rows, columns].astype(np.float64)
    mass = np.maximum(windows.sum(axis=(1, 2)), 1e-12)
    step = np.array([-1.0, 0.0, 1.0])
    x = columns + (windows.sum(axis=1) @ step) / mass
    y = rows + (windows.sum(axis=2) @ step) / mass
    first = (stride_px - 1) / 2
    found = np.column_stack([x * stride_px + first, y * stride_px + first, heat[rows, columns]]).reshape(-1, 3)
    return found[np.lexsort((found[:, 0], found[:, 1], -found[:, 2]))]


def strongest_nearby(xy: np.ndarray, reach_px: float, most: int) -> np.ndarray:
    """Which places have fewer than `most` stronger ones in the square around them.

    A rule that looks at the surroundings alone gives the same answer in a field and in a tile of a slide.

    Args: xy (n, 2), by falling strength; reach_px, from the middle of the square to its side; most, at least 1.
    Returns: bool (n,).
    """
    stronger = np.zeros(len(xy), int)
    if len(xy):
        pairs = cKDTree(xy).query_pairs(reach_px, p=np.inf, output_type="ndarray")
        np.add.at(stronger, pairs.max(axis=1), 1)
    return stronger < most


class Proposer:
    """A network that gives heat logits, run over images of any size in tiles that do not change its answer."""

    def __init__(
        self,
        network: keras.Model,
        stride_px: int,
        *,
        radius_px: float = 24.0,
        cut: float = 0.02,
        tile_px: int | None = None,
    ) -> None:
        """Prepare.

        Args: network from (B, H, W, 3) in [0, 1] to logits (B, H/stride, W/stride); stride_px, radius_px and cut as in
        `peaks`; tile_px, a multiple of the stride, longest side of the tiles, which bounds memory; None is the
            network's.
        """
        self.network, self.stride_px, self.radius_px, self.cut = network, stride_px, radius_px, cut
        self.tile_px = tile_px or getattr(network, "tile_px", TILE_PX)
        self.halo_px = getattr(network, "halo_px", HALO_PX)
        self._run = tf.function(self.chance, reduce_retracing=True)

    def chance(self, tile: tf.Tensor) -> tf.Tensor:
        """Heat float (h, w) in [0, 1] of a tile uint8 (H, W, 3) whose sides are multiples of the stride."""
        return tf.sigmoid(self.network(tf.cast(tile[None], tf.float32) / 255.0, training=False)[0])

    @property
    def reach_px(self) -> float:
        """How far from a place its heat, and the higher ones that it gives way to, depend on the image."""
        return self.halo_px + self.radius_px

    @property
    def grid(self) -> int:
        """Positions of the heat map that tiles begin at multiples of, so that poolings fall on the same pixels."""
        return max(1, GRID_PX // self.stride_px)

    def steps(self, length: int) -> int:
        """Of an axis of so many positions, those that each tile covers: all about the same, since rims cost."""
        tiles = -(-length // (self.tile_px // self.stride_px))
        return -(-length // (tiles * self.grid)) * self.grid

    def heat(self, pixels: np.ndarray) -> np.ndarray:
        """Heat map of an image uint8 (H, W, 3): float32 (ceil(H/stride), ceil(W/stride)) in [0, 1]."""
        height, width = pixels.shape[:2]
        down, across = -(-height // self.stride_px), -(-width // self.stride_px)
        out = np.empty((down, across), np.float32)
        rim = self.halo_px // self.stride_px
        high, wide = self.steps(down), self.steps(across)

        def fill(corner: tuple[int, int]) -> None:
            top, left = corner
            y0, x0 = max(top - rim, 0), max(left - rim, 0)
            y1, x1 = min(top + high + rim, down), min(left + wide + rim, across)
            part = pixels[y0 * self.stride_px : y1 * self.stride_px, x0 * self.stride_px : x1 * self.stride_px]
            lack = [(y1 - y0) * self.stride_px - part.shape[0], (x1 - x0) * self.stride_px - part.shape[1]]
            if any(lack):
                part = np.pad(part, ((0, lack[0]), (0, lack[1]), (0, 0)), mode="edge")
            found = self._run(tf.constant(part)).numpy()
            rows, columns = slice(top, min(top + high, down)), slice(left, min(left + wide, across))
            out[rows, columns] = found[top - y0 :, left - x0 :][: rows.stop - top, : columns.stop - left]

        corners = [(top, left) for top in range(0, down, high) for left in range(0, across, wide)]
        with ThreadPoolExecutor(SIDE_BY_SIDE) as threads:
            list(threads.map(fill, corners))
        return out

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Places in an image uint8 (H, W, 3): float (n, 3) of x_px, y_px, heat, by falling heat."""
        found = peaks(self.heat(pixels), self.stride_px, self.radius_px, self.cut)
        limits = [pixels.shape[1] - 1, pixels.shape[0] - 1]
        found[:, :2] = np.clip(found[:, :2], 0, limits)
        return found
