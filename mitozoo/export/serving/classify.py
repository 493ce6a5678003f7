"""Graph of the "classify" decoder, whose network parts it runs.

It is the twin of `mitozoo.inference.decoders.classify`.
"""

from __future__ import annotations

import tensorflow as tf

from mitozoo.export.serving.blocks import ceil_div, in_blocks, part, reflected
from mitozoo.export.serving.graph import Found, Search
from mitozoo.export.serving.merging import groups, strongest_of_groups
from mitozoo.export.serving.peaks import is_highest, neighbourhood, smoothed
from mitozoo.inference.decoders.classify import Classify


def build(decoder: Classify) -> Search:
    """Return the search of one image."""
    width = 2 * (decoder.plateau_px // decoder.step_px // 2) + 1
    core_width = max(width - 2, 1)

    def search(image: tf.Tensor, cut: tf.Tensor, radius_px: tf.Tensor) -> Found:
        table = _probability_map(decoder, image)
        score = 1.0 - smoothed(table, width)[..., 0]
        core = smoothed(table, core_width)
        at = tf.cast(tf.where(is_highest(score, width) & (score >= tf.cast(cut, tf.float32))), tf.int32)
        xy = _centroids(1.0 - table[..., 0], at, width // 2) * decoder.step_px - 0.5
        first = strongest_of_groups(*groups(xy, tf.gather_nd(score, at), radius_px))
        limits = tf.cast(tf.reverse(tf.shape(image)[:2], [0]) - 1, tf.float64)
        found = tf.gather(tf.gather_nd(core, at), first)
        return Found(tf.clip_by_value(tf.gather(xy, first), 0.0, limits), tf.cast(found, tf.float64))

    return search


def _probability_map(decoder: Classify, image: tf.Tensor) -> tf.Tensor:
    """Class probabilities (h, w, classes) of the windows centred at multiples of the step (less half a pixel)."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    down, across = ceil_div(height, decoder.step_px) + 1, ceil_div(width, decoder.step_px) + 1
    phases, stride, rim = decoder.phases, decoder.stride_px, decoder.window_px // 2
    classes = decoder.head.output_shape[-1]

    def phase(y: int, x: int) -> tf.Tensor:
        def block(top: tf.Tensor, left: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
            extents = [(n - 1) * stride + decoder.window_px for n in (rows, columns)]
            first = (top * stride + y * decoder.step_px - rim, left * stride + x * decoder.step_px - rim)
            pixels = part(image, reflected(first[0], extents[0], height), reflected(first[1], extents[1], width))
            return tf.ensure_shape(decoder.block_probabilities(pixels), (None, None, classes))

        return in_blocks(ceil_div(down, phases), ceil_div(across, phases), decoder.block, classes, block)

    maps = tf.stack([tf.stack([phase(y, x) for x in range(phases)], axis=2) for y in range(phases)], axis=1)
    shape = tf.shape(maps)
    return tf.reshape(maps, (shape[0] * phases, shape[2] * phases, classes))[:down, :across]


def _centroids(mass: tf.Tensor, at: tf.Tensor, reach: int) -> tf.Tensor:
    """Centres of mass of a map (h, w) in the squares around places int32 (n, 2): float64 (n, 2) of column and row."""
    values, inside = neighbourhood(tf.cast(mass, tf.float64), at, reach)
    empty = tf.reduce_all(values == 0.0, axis=(1, 2), keepdims=True)
    values = tf.where(empty, tf.cast(inside, tf.float64), values)
    line = tf.range(-reach, reach + 1, dtype=tf.float64)
    whole = tf.reduce_sum(values, axis=(1, 2))
    x = tf.reduce_sum(values * line[None, None, :], axis=(1, 2)) / whole
    y = tf.reduce_sum(values * line[None, :, None], axis=(1, 2)) / whole
    return tf.cast(tf.reverse(at, [1]), tf.float64) + tf.stack([x, y], axis=1)
