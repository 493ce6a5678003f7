"""Graph of the decoder of models that classify every pixel, whose network parts it runs.

It is the twin of `mitozoo.inference.decoders.segment`.
"""

from __future__ import annotations

import cv2
import numpy as np
import tensorflow as tf

from mitozoo.base.errors import RecipeError
from mitozoo.export.serving.blocks import ceil_div, part, reflected
from mitozoo.export.serving.graph import Found, Search
from mitozoo.export.serving.merging import groups, strongest_of_groups
from mitozoo.export.serving.peaks import connected
from mitozoo.inference.blending import tent
from mitozoo.inference.blobs import LEVELS
from mitozoo.inference.decoders.segment import Segment


def build(decoder: Segment) -> Search:
    """Return the search of one image. Raises: RecipeError for a decoder with a stain normaliser."""
    if decoder.normaliser is not None:
        raise RecipeError(
            "A model that learnt with stain normalisation cannot be exported: measuring a stain is not in the graph. "
            "Train with tiles.normalise=none, or serve it with 'mitozoo predict'."
        )

    def search(image: tf.Tensor, cut: tf.Tensor, radius_px: tf.Tensor) -> Found:
        chances = _fused(decoder, _maps(decoder, image))
        xy, mean, highest, area = _blobs(chances, _level(decoder, chances))
        score = mean if decoder.score == "mean" else highest
        keep = (area >= decoder.min_area_px) & (score >= cut)
        xy, score = tf.boolean_mask(xy, keep), tf.boolean_mask(score, keep)
        first = strongest_of_groups(*groups(xy, score, radius_px))
        score = tf.gather(score, first)
        return Found(tf.gather(xy, first), tf.stack([1.0 - score, score], axis=1))

    return search


def _maps(decoder: Segment, image: tf.Tensor) -> tf.Tensor:
    """Chances float32 (H, W, maps), in small tiles where the image is small."""
    sizes = [decoder.small_px, decoder.tile_px]
    small = tf.reduce_max(tf.shape(image)[:2]) <= decoder.small_px
    return tf.cond(small, *(lambda size=size: _blended(decoder, image, size) for size in sizes))


def _blended(decoder: Segment, image: tf.Tensor, size: int) -> tf.Tensor:
    """Chances float32 (H, W, maps), as `mitozoo.inference.blending.blended`; a row of tiles at a time."""
    step, kinds = round(size * (1 - decoder.overlap)), len(decoder.outputs)
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    rim = (size - step) // 2
    line = tf.constant(tent(size, step))
    weight = (line[:, None] * line[None])[..., None]
    down, across = tf.maximum(ceil_div(height, step), 1), tf.maximum(ceil_div(width, step), 1)

    def tile(row: tf.Tensor, column: tf.Tensor) -> tf.Tensor:
        pixels = part(image, reflected(row * step - rim, size, height), reflected(column * step - rim, size, width))
        return decoder.chances(tf.ensure_shape(pixels, (size, size, 3))[None])[0] * weight

    def over_columns(row: tf.Tensor) -> tf.Tensor:
        tiles = tf.map_fn(lambda column: tile(row, column), tf.range(across), tf.float32, parallel_iterations=1)
        return _overlap_add(tf.transpose(tiles, (1, 3, 0, 2)), step)

    # (rows of tiles, lines, maps, width) → lines of the whole.
    bands = tf.map_fn(over_columns, tf.range(down), tf.float32, parallel_iterations=1)
    total = tf.transpose(_overlap_add(tf.transpose(bands, (2, 3, 0, 1)), step), (2, 1, 0))
    sums = [_overlap_add(tf.tile(line[None], (count, 1)), step)[rim:] for count in (down, across)]
    total = total[rim : rim + height, rim : rim + width] / (sums[0][:height, None, None] * sums[1][None, :width, None])
    return tf.ensure_shape(total, (None, None, kinds))


def _overlap_add(tiles: tf.Tensor, step: int) -> tf.Tensor:
    """Add tiles (…, tiles, tile_px) that begin `step` apart: (…, line)."""
    return tf.signal.overlap_and_add(tiles, step)


def _fused(decoder: Segment, maps: tf.Tensor) -> tf.Tensor:
    """One smooth map float32 (H, W)."""
    both = maps.shape[-1] == 2
    one = decoder.fusion * maps[..., 0] + (1 - decoder.fusion) * maps[..., 1] if both else maps[..., 0]
    if not decoder.sigma_px:
        return one
    reach = int(np.ceil(3 * decoder.sigma_px))
    kernel = cv2.getGaussianKernel(2 * reach + 1, decoder.sigma_px, cv2.CV_32F)[:, 0]
    for axis in (0, 1):
        size = tf.shape(one)[axis]
        index = _mirrored(tf.range(-reach, size + reach), size)
        wide = tf.gather(one, index, axis=axis)
        shifted = [wide[i : i + size] if axis == 0 else wide[:, i : i + size] for i in range(2 * reach + 1)]
        one = tf.add_n([value * share for value, share in zip(shifted, kernel, strict=True)])
    return one


def _mirrored(index: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Indices into an axis that is mirrored without repeating its edge; of one line that line."""
    period = tf.maximum(2 * size - 2, 1)
    index = tf.math.floormod(index, period)
    return tf.where(index < size, index, period - index)


def _level(decoder: Segment, chances: tf.Tensor) -> tf.Tensor:
    """The level from which pixels count, float32."""
    if decoder.level:
        return tf.constant(decoder.level, tf.float32)
    levels = tf.minimum(tf.cast(chances * LEVELS, tf.int32), LEVELS - 1)
    histogram = tf.cast(tf.math.bincount(tf.reshape(levels, (-1,)), minlength=LEVELS, maxlength=LEVELS), tf.float64)
    middles = (tf.range(LEVELS, dtype=tf.float64) + 0.5) / LEVELS
    total = tf.reduce_sum(histogram)
    under, first = tf.cumsum(histogram) / total, tf.cumsum(histogram * middles) / total
    between = tf.math.divide_no_nan((first[-1] * under - first) ** 2, under * (1 - under))
    best = tf.where(between >= tf.reduce_max(between) * (1 - 1e-12))[:, 0]
    level = (tf.cast(best[0] + best[-1], tf.float64) / 2 + 1) / LEVELS
    flat = tf.math.count_nonzero(histogram) < 2
    floor = tf.constant(decoder.floor, tf.float64)
    return tf.cast(tf.where(flat, floor, tf.maximum(level, floor)), tf.float32)


def _blobs(chances: tf.Tensor, level: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Centres float64 (n, 2), mean and highest chance float64 (n,), and areas int32 (n,) of the connected parts."""
    at, number, count = connected(chances >= level)
    value, place = tf.cast(tf.gather_nd(chances, at), tf.float64), tf.cast(at, tf.float64)
    area = tf.math.unsorted_segment_sum(tf.ones_like(number), number, count)
    mass = tf.math.unsorted_segment_sum(value, number, count)
    y, x = (tf.math.unsorted_segment_sum(value * place[:, i], number, count) / tf.maximum(mass, 1e-12) for i in (0, 1))
    highest = tf.math.unsorted_segment_max(value, number, count)
    return tf.stack([x, y], axis=1), mass / tf.cast(area, tf.float64), highest, area
