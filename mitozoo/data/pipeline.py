"""tf.data pipelines of windows around cells, the same for the same seed and epoch however many threads there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from mitozoo.data.augment import (
    PlaceCell,
    ScannerJitter,
    StainJitter,
    StainTransfer,
    Transplant,
    stain_statistics,
)
from mitozoo.data.cells import Cells

#: Radius of what a cell keeps around itself where it is put into other surroundings: a metaphase plate, or the two
#: plates of a telophase.
LEAST_PX, MOST_PX = 18.0, 34.0


@dataclass(frozen=True, kw_only=True)
class WindowSettings:
    """How windows are cut.

    Attributes: window_px; max_offset_px of the cell from the window's centre; pool, factor by which the window is
    reduced by averaging; rotate: every cell also as a copy at any angle; turn: every window at any angle; mirror; zoom,
    largest relative change of size; stain, hue, brightness, see `StainJitter`; transfer, share of the windows that take
    the stain of another cell, see `StainTransfer`, by any share of the way up to transfer_reach (above 1: beyond it,
    to stains that nobody has shown); scanner, see `ScannerJitter`; transplant, share of the cells that are put into the
    surroundings of another, in their own stain, see `Transplant`; scale, that of the true transform.
    """

    window_px: int = 128
    max_offset_px: float = 32.0
    pool: int = 1
    rotate: bool = True
    turn: bool = False
    mirror: bool = True
    zoom: float = 0.1
    stain: float = 0.3
    hue: float = 0.1
    brightness: float = 0.05
    transfer: float = 0.0
    transfer_reach: float = 1.0
    scanner: float = 0.0
    transplant: float = 0.0
    scale: float = 0.5

    @property
    def restains(self) -> bool:
        """Whether windows, or surroundings, take the stain of others, so that the stains of all cells are needed."""
        return bool(self.transfer or self.transplant)


def balanced_indices(labels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Delete at random from the larger classes until all have as many as the smallest; shuffled.

    Args: labels (n,) class numbers; generator.  Returns: (classes present * smallest,) indices.
    Source: Aubreville et al. 2017, section 4.3.
    """
    groups = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    smallest = min(len(group) for group in groups)
    kept = np.concatenate([generator.choice(group, smallest, replace=False) for group in groups])
    return generator.permutation(kept)


def drawn_indices(labels: np.ndarray, draws: int, generator: np.random.Generator) -> np.ndarray:
    """Draw cells so that every class that is present comes as often, each cell again only after all of its class.

    Serves few and uneven cells, of which deletion would leave next to none.

    Args: labels (n,) class numbers; draws, how many in all; generator.  Returns: (draws,) indices, shuffled.
    """
    groups = [np.flatnonzero(labels == c) for c in np.unique(labels)]
    shares = np.full(len(groups), draws // len(groups))
    shares[: draws % len(groups)] += 1
    drawn = []
    for group, share in zip(groups, generator.permutation(shares), strict=True):
        rounds = [generator.permutation(group) for _ in range(-(-int(share) // len(group)))]
        drawn.append(np.concatenate([group[:0], *rounds])[:share])
    return generator.permutation(np.concatenate(drawn))


def training_windows(
    cells: Cells,
    settings: WindowSettings,
    *,
    batch_size: int,
    seed: int,
    stage: int,
    epoch: int,
    rows: np.ndarray | None = None,
    balanced: bool = True,
    draws: int = 0,
) -> tf.data.Dataset:
    """One epoch of augmented windows of the cells in `rows` (default: all), balanced by random deletion.

    With `draws` that many cells are drawn instead, every class of every origin as often (`drawn_indices`).

    Returns: a data set of (window float32 (B, p, p, 3) in [0, 1], {"theta": (B, 2, 3), "logits": (B,) labels}); the
    same for the same seed, stage and epoch. With `rotate` each cell comes twice, as it is and at any angle.
    """
    generator = np.random.default_rng([seed, stage, epoch])
    rows = np.arange(len(cells)) if rows is None else rows
    if draws:
        # Of one class, what was mined and what was labelled come as often, and so do places of mining; but what the
        # last round mined is little, wherever it was.
        origins = ["harder" if str(origin).startswith("harder") else origin for origin in cells.origins[rows]]
        kinds = np.unique(
            np.array([f"{cells.labels[i]} {origin}" for i, origin in zip(rows, origins, strict=True)]),
            return_inverse=True,
        )[1]
        index = rows[drawn_indices(kinds, draws, generator)]
    else:
        index = rows[balanced_indices(cells.labels[rows], generator)] if balanced else generator.permutation(rows)
    turned = np.zeros(len(index), bool)
    if settings.rotate:
        index, turned = np.repeat(index, 2), np.tile([False, True], len(index))
        order = generator.permutation(len(index))
        index, turned = index[order], turned[order]
    uniform = generator.random((len(index), 14), dtype=np.float32)
    uniform[~(turned | settings.turn), 2] = 0.0
    others = None
    if settings.restains or settings.scanner:
        # Drawn after all else, so that recipes without them see the windows that they always saw.
        uniform = np.concatenate([uniform, generator.random((len(index), 8), dtype=np.float32)], axis=1)
        others = rows[generator.integers(0, len(rows), len(index))]
    if settings.transplant:
        uniform = np.concatenate([uniform, generator.random((len(index), 3), dtype=np.float32)], axis=1)
    return _windows(cells, settings, index, uniform, batch_size, others)


def test_windows(cells: Cells, settings: WindowSettings, *, batch_size: int, seed: int) -> tf.data.Dataset:
    """All cells once, in order, each at a random offset given by the seed, otherwise as they are."""
    plain = WindowSettings(
        window_px=settings.window_px,
        max_offset_px=settings.max_offset_px,
        pool=settings.pool,
        scale=settings.scale,
        zoom=0.0,
        stain=0.0,
        hue=0.0,
        brightness=0.0,
    )
    uniform = np.random.default_rng([seed]).random((len(cells), 14), dtype=np.float32)
    uniform[:, 2] = 0.0
    uniform[:, 3] = 0.0
    return _windows(cells, plain, np.arange(len(cells)), uniform, batch_size)


def _windows(
    cells: Cells,
    settings: WindowSettings,
    index: np.ndarray,
    uniform: np.ndarray,
    batch_size: int,
    others: np.ndarray | None = None,
) -> tf.data.Dataset:
    """Cut windows; columns of `uniform`: offset x, y, angle, mirror, zoom, nine for the stain; then six for the
    scanner and two for the stain of another cell, whose row is in `others`, where there are such; then three for its
    surroundings.
    """
    labels = tf.constant(cells.labels, tf.int32)
    place = PlaceCell(settings.window_px)
    jitter = StainJitter(settings.stain, settings.hue, settings.brightness)
    scanner, restain = ScannerJitter(settings.scanner), StainTransfer()
    transplant, stains = Transplant(), None
    if settings.restains:
        stains = tf.constant(stain_statistics(cells.canvases) if cells.stains is None else cells.stains)

    def canvases(rows: tf.Tensor) -> tf.Tensor:
        # Taken by NumPy, from where they lie: a constant would be one more copy of all.
        images = tf.numpy_function(lambda wanted: cells.canvases[wanted], [rows], tf.uint8, stateful=False)
        return tf.ensure_shape(images, (None, *cells.canvases.shape[1:]))

    def moved(window: tf.Tensor, offset: tf.Tensor, numbers: tf.Tensor, own: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
        """The cells of a share of the windows in the surroundings of others, which take their stain."""
        some = tf.where(numbers[:, 22] < settings.transplant)[:, 0]
        offset, numbers, own, other = (tf.gather(part, some) for part in (offset, numbers, own, other))
        # The other's own cell lies under this one.
        angle = (numbers[:, 23] if settings.turn or settings.rotate else 0.0 * numbers[:, 23]) * np.float32(2.0 * np.pi)
        around = place(canvases(other), offset, angle, tf.zeros_like(angle, tf.bool), tf.ones_like(angle))
        around = restain(around, tf.gather(stains, other), tf.gather(stains, own), tf.ones_like(angle))
        radius = LEAST_PX + (MOST_PX - LEAST_PX) * numbers[:, 24]
        mixed = transplant(tf.gather(window, some), tf.cast(tf.round(around), tf.uint8), offset, radius)
        return tf.tensor_scatter_nd_update(window, some[:, None], mixed)

    def draw(images: tf.Tensor, numbers: tf.Tensor, own: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        offset = (2.0 * numbers[:, :2] - 1.0) * settings.max_offset_px
        mirror = tf.logical_and(settings.mirror, numbers[:, 3] >= 0.5)
        zoom = tf.exp((2.0 * numbers[:, 4] - 1.0) * np.float32(np.log1p(settings.zoom)))
        angle = numbers[:, 2] * np.float32(2.0 * np.pi)
        window = place(images, offset, angle, mirror, zoom)
        if settings.transplant:
            window = moved(window, offset, numbers, own, other)
        if others is not None:
            window = scanner(window, numbers[:, 14:20])
        if settings.transfer:
            share = tf.where(numbers[:, 20] < settings.transfer, settings.transfer_reach * numbers[:, 21], 0.0)
            window = restain(window, tf.gather(stains, own), tf.gather(stains, other), share)
        window = jitter(window, numbers[:, 5:14])
        if settings.pool > 1:
            window = tf.nn.avg_pool2d(window, settings.pool, settings.pool, "VALID")
        return window, offset * (2.0 / settings.window_px)

    def cut(rows: tf.Tensor, numbers: tf.Tensor, other: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        window, place_true = draw(canvases(rows), numbers, rows, other)
        zero = tf.zeros_like(place_true[:, 0])
        scale = zero + np.float32(settings.scale)
        theta = tf.stack([scale, zero, place_true[:, 0], zero, scale, place_true[:, 1]], axis=-1)
        return window, {"theta": tf.reshape(theta, (-1, 2, 3)), "logits": tf.gather(labels, rows)}

    partners = index if others is None else others
    columns = (index.astype(np.int32), uniform, partners.astype(np.int32))
    data = tf.data.Dataset.from_tensor_slices(columns).batch(batch_size)
    data = data.map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.prefetch(tf.data.AUTOTUNE)
