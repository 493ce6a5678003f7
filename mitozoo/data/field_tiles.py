"""tf.data pipelines of tiles of fields with targets, the same for the same seed and epoch however many threads."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import tensorflow as tf

from mitozoo.base.errors import DataError, RecipeError, UnknownNameError
from mitozoo.data.stain_normalisation import KINDS
from mitozoo.data.targets import (
    DISC_RADIUS_PX,
    IGNORED,
    INNER_PX,
    OUTER_RATIO,
    discs,
    ellipses,
    random_ellipses,
    random_radii,
    random_rings,
    rings,
    with_ignored,
)
from mitozoo.data.tile_colour import TileColour
from mitozoo.data.training_fields import TrainingFields

#: Ways to rotate and of how many equal steps of a turn they are; "any" has no steps.
ROTATIONS = {"none": 1, "right-angles": 4, "45-degrees": 8, "16-angles": 16, "any": 0}
#: Where a mitotic figure lies in the tile around it: anywhere, or in the middle or half-way to one of the eight sides
#: and corners (translations in nine directions: Sebai et al. 2020, section IV.A).
SHIFTS = ("any", "nine")
SHAPES = ("disc", "ellipse")
#: Columns of a plan: field, centre x and y, angle, mirror, zoom; then random numbers for shapes, scanner, stain.
_PLACE = 6


@dataclass(frozen=True, kw_only=True)
class TileSettings:
    """How tiles are cut and what their targets are.

    Attributes: tile_px, side (or width) of a tile; tile_height_px, its height, 0 for a square; positive_share of the
    tiles that are cut around a mitotic figure, which lies at least margin_px inside; shift, one of `SHIFTS`; hard_share
    of the others that are centred on hard places, where there are some: what a stage mined, and with look_alikes cells
    that are labelled as not mitotic; rotate, one of `ROTATIONS`; mirror; zoom,
    largest relative change of size; stain, hue, brightness, see `augment.StainJitter`; transfer, share of the tiles
    that take the stain of another field; scanner, see `augment.ScannerJitter`; contrast, saturation, tint and noise,
    see `tile_colour`; normalise, "none", "macenko" or "reinhard", by the stain of the whole field; shape of the weak
    labels, one of
    `SHAPES`; disc_px, range of a disc's radius; inner_px and outer_ratio, ranges of the concentric labels; points, most
    mitotic figures of a tile; strong_share of the fields with pixel masks whose masks are used, the others have centres
    only, drawn the same for every seed.
    """

    tile_px: int = 256
    tile_height_px: int = 0
    positive_share: float = 0.5
    hard_share: float = 0.5
    look_alikes: bool = False
    margin_px: float = 16.0
    shift: str = "any"
    rotate: str = "none"
    mirror: bool = False
    zoom: float = 0.0
    stain: float = 0.0
    hue: float = 0.0
    brightness: float = 0.0
    transfer: float = 0.0
    scanner: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    tint: float = 0.0
    noise: float = 0.0
    normalise: str = "none"
    shape: str = "disc"
    disc_px: tuple[float, float] = DISC_RADIUS_PX
    inner_px: tuple[float, float] = INNER_PX
    outer_ratio: tuple[float, float] = OUTER_RATIO
    points: int = 16
    strong_share: float = 1.0

    def __post_init__(self) -> None:
        """Check."""
        if self.tile_px < 16 or self.height_px < 16:
            raise RecipeError(f"A tile has at least 16 px a side, got {self.tile_px} x {self.height_px}.")
        if not all(0 <= share <= 1 for share in (self.positive_share, self.hard_share, self.strong_share)):
            raise RecipeError("positive_share, hard_share and strong_share are shares between 0 and 1.")
        if self.rotate not in ROTATIONS:
            raise UnknownNameError("way to rotate", self.rotate, ROTATIONS)
        if self.shift not in SHIFTS:
            raise UnknownNameError("way to shift", self.shift, SHIFTS)
        if self.shape not in SHAPES:
            raise UnknownNameError("shape of weak labels", self.shape, SHAPES)
        if self.normalise not in ("none", *KINDS):
            raise UnknownNameError("stain normalisation", self.normalise, ("none", *KINDS))

    @property
    def height_px(self) -> int:
        """Height of a tile."""
        return self.tile_height_px or self.tile_px


def training_tiles(
    fields: TrainingFields,
    settings: TileSettings,
    *,
    batch_size: int,
    tiles: int,
    seed: int,
    stage: int,
    epoch: int,
) -> tf.data.Dataset:
    """One epoch of augmented tiles.

    Returns: batches of (image float32 (B, h, w, 3) in [0, 1], targets): "points" float32 (B, M, 3), x, y and radius in
    pixels of the mitotic figures whose centre is inside, rows of -1 where there is none; "mask", "weak" and
    "concentric" uint8 (B, h, w), 1, 0 or `IGNORED`; "strong" float32 (B,), 1 where "mask" comes from a pixel mask. The
    same for the same seed, stage and epoch.
    Raises: DataError where positive tiles are wanted and no field has a mitotic figure.
    """
    generator = np.random.default_rng([seed, stage, epoch])
    plan = _plan(fields, settings, tiles, generator)
    return _tiles(fields, settings, plan, batch_size, augmented=True)


def test_tiles(
    fields: TrainingFields, settings: TileSettings, *, batch_size: int, seed: int = 0, overlap: float = 0.0
) -> tf.data.Dataset:
    """All tiles of a grid over all fields in order, as they are; those with a mitotic figure come first.

    Args: overlap, share of a tile that the next one sees too, 0 to 0.9; seed of the weak labels' shapes.
    Returns: as `training_tiles`.
    """
    if not 0 <= overlap <= 0.9:
        raise RecipeError(f"The overlap of tiles is a share between 0 and 0.9, got {overlap:g}.")
    rows = []
    for number, image in enumerate(fields.images):
        for y in grid_starts(image.shape[0], settings.height_px, overlap):
            for x in grid_starts(image.shape[1], settings.tile_px, overlap):
                centre = x + (settings.tile_px - 1) / 2, y + (settings.height_px - 1) / 2
                rows.append((number, *centre, 0.0, 0.0, 1.0))
    table = np.array(rows, np.float64).reshape(-1, _PLACE)
    half = np.array([settings.tile_px, settings.height_px]) / 2
    has = np.array([(np.abs(fields.points[int(row[0])] - row[1:3]) < half).all(axis=1).any() for row in table], bool)
    table = table[np.argsort(~has, kind="stable")]
    uniform = np.random.default_rng([seed]).random((len(table), 24))
    return _tiles(fields, settings, np.hstack([table, uniform]), batch_size, augmented=False)


# Not a test: pytest collects by name.
test_tiles.__test__ = False  # type: ignore[attr-defined]


def grid_step(tile_px: int, overlap: float) -> int:
    """Pixels from one tile to the next, of which a share is seen by both."""
    return max(1, round(tile_px * (1 - overlap)))


def grid_starts(length_px: int, tile_px: int, overlap: float) -> list[int]:
    """First pixels of tiles along an axis; the last tile ends with the axis, so that it may overlap more."""
    if length_px <= tile_px:
        return [0]
    last = length_px - tile_px
    return [*range(0, last, grid_step(tile_px, overlap)), last]


def _plan(fields: TrainingFields, settings: TileSettings, tiles: int, generator: np.random.Generator) -> np.ndarray:
    """Where the tiles of an epoch are cut, float64 (tiles, _PLACE + 24), shuffled."""
    every = [(number, x, y) for number, points in enumerate(fields.points) for x, y in points]
    positive = round(tiles * settings.positive_share)
    if positive and not every:
        raise DataError("No field has a labelled mitotic figure to cut a tile around. Give other data.")
    chosen = _cycled(np.array(every, np.float64).reshape(-1, 3), positive, generator)
    half = np.array([settings.tile_px, settings.height_px]) / 2
    reach = np.maximum(half - settings.margin_px, 0.0)
    shifts = generator.uniform(-1, 1, (positive, 2))
    if settings.shift == "nine":
        shifts = (np.floor((shifts + 1) * 1.5).clip(0, 2) - 1) / 2
    chosen[:, 1:] += reach * shifts
    empty = _negative_places(fields, settings, tiles - positive, generator)
    table = np.zeros((tiles, _PLACE + 24))
    table[:, :3] = np.concatenate([chosen, empty])
    turns = generator.random(tiles)
    steps = ROTATIONS[settings.rotate]
    table[:, 3] = 2 * np.pi * (np.floor(turns * steps) / steps if steps else turns)
    table[:, 4] = (generator.random(tiles) < 0.5) & settings.mirror
    table[:, 5] = np.exp((2 * generator.random(tiles) - 1) * np.log1p(settings.zoom))
    table[:, _PLACE:] = generator.random((tiles, 24))
    return table[generator.permutation(tiles)]


def _cycled(rows: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` rows, each again only after all others."""
    rounds = [generator.permutation(len(rows)) for _ in range(-(-count // max(len(rows), 1)))]
    index = np.concatenate([np.zeros(0, int), *rounds])[:count]
    return rows[index].copy()


def _negative_places(
    fields: TrainingFields, settings: TileSettings, count: int, generator: np.random.Generator
) -> np.ndarray:
    """Centres of tiles that need not show a mitotic figure, (count, 3) of field, x and y: hard places, then any."""
    kinds = [fields.hard, *([fields.look_alikes] if settings.look_alikes else [])]
    known = [(number, x, y) for kind in kinds for number, places in enumerate(kind) for x, y in places]
    hard = round(count * settings.hard_share) if known else 0
    first = _cycled(np.array(known, np.float64).reshape(-1, 3), hard, generator)
    first[:, 1:] += generator.uniform(-0.25, 0.25, (hard, 2)) * settings.tile_px
    sizes = np.array([image.shape[:2] for image in fields.images], np.float64)
    areas = sizes.prod(axis=1)
    number = generator.choice(len(fields), count - hard, p=areas / areas.sum())
    low = np.array([settings.height_px, settings.tile_px]) / 2
    span = np.maximum(sizes[number] - 2 * low, 0.0)
    places = np.where(span > 0, low + generator.random(span.shape) * span, sizes[number] / 2)
    return np.concatenate([first, np.column_stack([number, places[:, ::-1]])])


class _Cutter:
    """Cuts tiles and draws their targets."""

    def __init__(self, fields: TrainingFields, settings: TileSettings) -> None:
        self.fields, self.settings = fields, settings
        self.strong = strong_fields(fields, settings.strong_share)

    def __call__(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Images, points, masks, weak and concentric labels of a batch of rows of the plan."""
        found = [self.one(row) for row in rows]
        return tuple(np.stack(column) for column in zip(*found, strict=True))

    def one(self, row: np.ndarray) -> tuple[np.ndarray, ...]:
        """One tile."""
        number, s = int(row[0]), self.settings
        size = s.tile_px, s.height_px
        to_image = tile_to_image(size, row[1:3], row[3], row[4] > 0, row[5])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        image = cv2.warpAffine(self.fields.images[number], to_image, size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        mask = cv2.warpAffine(
            self.fields.labels[number], to_image, size, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT, borderValue=IGNORED,
        )  # fmt: skip
        to_tile = cv2.invertAffineTransform(to_image)
        points = self.fields.points[number] @ to_tile[:, :2].T + to_tile[:, 2]
        excluded = self.fields.excluded[number]
        circles = np.column_stack([excluded[:, :2] @ to_tile[:, :2].T + to_tile[:, 2], excluded[:, 2] * row[5]])
        weak, concentric, radius = self._drawn(points, row[_PLACE:])
        outside = mask == IGNORED
        for labels in (weak, concentric):
            labels[outside] = IGNORED
        if not self.strong[number]:
            mask = np.full_like(mask, IGNORED)
        table = np.full((s.points, 3), -1.0, np.float32)
        inside = ((points > -0.5) & (points < np.array(size) - 0.5)).all(axis=1)
        kept = np.flatnonzero(inside)[: s.points]
        table[: len(kept)] = np.column_stack([points[kept], radius[kept]])
        return image, table, with_ignored(mask, circles), with_ignored(weak, circles), with_ignored(concentric, circles)

    def _drawn(self, points: np.ndarray, uniform: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Weak and concentric labels, and the radius of each mitotic figure's box."""
        s = self.settings
        # A few random numbers make as many as there are figures, the same wherever the tile is computed.
        own = np.random.default_rng((uniform[:2] * 2**32).astype(np.uint64)).random((len(points), 5))
        inner, outer = random_rings(own[:, 3:], s.inner_px, s.outer_ratio)
        concentric = rings(s.height_px, s.tile_px, points, inner, outer)
        if s.shape == "ellipse":
            axes, angles = random_ellipses(own[:, :3])
            return ellipses(s.height_px, s.tile_px, points, axes, angles), concentric, axes.max(axis=1)
        radius = random_radii(own[:, 0], s.disc_px)
        return discs(s.height_px, s.tile_px, points, radius), concentric, radius


def strong_fields(fields: TrainingFields, share: float) -> np.ndarray:
    """Which fields (n,) give their masks: all that have no mitotic figure, and a share of the others with a mask."""
    having = np.array([len(points) > 0 for points in fields.points], bool) & fields.strong
    order = np.random.default_rng(0).permutation(np.flatnonzero(having))
    kept = fields.strong.copy()
    kept[order[round(share * len(order)) :]] = False
    return kept


def tile_to_image(size: tuple[int, int], centre: np.ndarray, angle: float, mirror: bool, zoom: float) -> np.ndarray:
    """The transform (2, 3) that says for a tile's pixel (x, y, 1) where it lies in the image.

    Args: size, width and height of the tile; centre (x, y) in the image that the tile's middle shows; angle in radians;
        mirror, left and right; zoom, above 1 enlarges.
    """
    cos, sin, sign = np.cos(angle) / zoom, np.sin(angle) / zoom, -1.0 if mirror else 1.0
    linear = np.array([[sign * cos, -sin], [sign * sin, cos]])
    middle = (np.array(size) - 1) / 2
    return np.column_stack([linear, np.asarray(centre) - linear @ middle])


def _tiles(
    fields: TrainingFields, settings: TileSettings, plan: np.ndarray, batch_size: int, *, augmented: bool
) -> tf.data.Dataset:
    cutter = _Cutter(fields, settings)
    shape = settings.height_px, settings.tile_px
    strong = tf.constant(cutter.strong.astype(np.float32))
    colour = TileColour(fields, settings, augmented=augmented)

    def cut(rows: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        kinds = [tf.uint8, tf.float32, tf.uint8, tf.uint8, tf.uint8]
        image, points, *maps = tf.numpy_function(cutter, [rows], kinds, stateful=False)
        image = tf.ensure_shape(image, (None, *shape, 3))
        number = tf.cast(rows[:, 0], tf.int32)
        image = colour(image, number, tf.cast(rows[:, _PLACE + 2 :], tf.float32))
        names = ("mask", "weak", "concentric")
        found = {name: tf.ensure_shape(value, (None, *shape)) for name, value in zip(names, maps, strict=True)}
        found["points"] = tf.ensure_shape(points, (None, settings.points, 3))
        return image, {**found, "strong": tf.gather(strong, number)}

    data = tf.data.Dataset.from_tensor_slices(plan).batch(batch_size)
    data = data.map(cut, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return data.prefetch(tf.data.AUTOTUNE)
