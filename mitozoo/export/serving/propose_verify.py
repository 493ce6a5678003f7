"""Graph of the "propose-verify" decoder, whose network parts it runs.

It is the twin of `mitozoo.inference.decoders.propose_verify`.
"""

from __future__ import annotations

import tensorflow as tf

from mitozoo.export.serving.blocks import ceil_div, in_batches, in_blocks, part, reflected
from mitozoo.export.serving.graph import Found, Search
from mitozoo.export.serving.merging import groups, strongest_first, strongest_of_groups
from mitozoo.export.serving.peaks import is_highest, middles, neighbourhood
from mitozoo.inference.decoders.propose_verify import ProposeVerify
from mitozoo.models.proposals import Proposer


def build(decoder: ProposeVerify) -> Search:
    """Return the search of one image."""

    def search(image: tf.Tensor, cut: tf.Tensor, radius_px: tf.Tensor) -> Found:
        heat = _heat(decoder.proposer, image)
        xy = _places(decoder, image, heat)
        probabilities = _verified(decoder, image, xy)
        keep = 1.0 - probabilities[:, 0] >= cut
        xy, probabilities = tf.boolean_mask(xy, keep), tf.boolean_mask(probabilities, keep)
        first = strongest_of_groups(*groups(xy, 1.0 - probabilities[:, 0], radius_px))
        return Found(tf.gather(xy, first), tf.gather(probabilities, first), heat)

    return search


def _heat(proposer: Proposer, image: tf.Tensor) -> tf.Tensor:
    """Heat map float32 (ceil(H / stride), ceil(W / stride)), in tiles with a rim that do not change it."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    stride, rim = proposer.stride_px, proposer.halo_px // proposer.stride_px
    down, across = ceil_div(height, stride), ceil_div(width, stride)

    def block(top: tf.Tensor, left: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        y0, x0 = tf.maximum(top - rim, 0), tf.maximum(left - rim, 0)
        y1, x1 = tf.minimum(top + rows + rim, down), tf.minimum(left + columns + rim, across)
        lines = [
            tf.minimum(tf.range(first * stride, last * stride), size - 1)
            for first, last, size in ((y0, y1, height), (x0, x1, width))
        ]
        found = proposer.chance(part(image, *lines))[top - y0 :, left - x0 :][:rows, :columns]
        lack = [rows - tf.shape(found)[0], columns - tf.shape(found)[1]]
        return tf.pad(found, [[0, lack[0]], [0, lack[1]]])[..., None]

    return in_blocks(down, across, proposer.tile_px // stride, 1, block, proposer.grid)[..., 0]


def _places(decoder: ProposeVerify, image: tf.Tensor, heat: tf.Tensor) -> tf.Tensor:
    """The places that are verified, float64 (n, 2) of x and y, by falling heat."""
    proposer = decoder.proposer
    reach = max(1, round(proposer.radius_px / proposer.stride_px))
    at = middles(is_highest(heat, 2 * reach + 1) & (heat >= proposer.cut))
    score = tf.gather_nd(heat, at)
    values, _ = neighbourhood(tf.cast(heat, tf.float64), at, 1)
    step = tf.constant([-1.0, 0.0, 1.0], tf.float64)
    mass = tf.maximum(tf.reduce_sum(values, axis=(1, 2)), 1e-12)
    offsets = [tf.reduce_sum(tf.reduce_sum(values, axis=axis) * step, axis=1) / mass for axis in (1, 2)]
    xy = (tf.cast(tf.reverse(at, [1]), tf.float64) + tf.stack(offsets, axis=1)) * proposer.stride_px
    xy = xy + (proposer.stride_px - 1) / 2
    limits = tf.cast(tf.reverse(tf.shape(image)[:2], [0]) - 1, tf.float64)
    order = strongest_first(xy, score)
    xy, score = tf.clip_by_value(tf.gather(xy, order), 0.0, limits), tf.gather(score, order)
    inside = tf.reduce_min(tf.minimum(xy, limits - xy), axis=1) >= decoder.edge_px
    xy, score = tf.boolean_mask(xy, inside), tf.boolean_mask(score, inside)
    strong = _strongest_nearby(xy, decoder.near_px, decoder.near_most)
    return tf.boolean_mask(xy, strong | (score >= decoder.sure_heat))


def _strongest_nearby(xy: tf.Tensor, reach_px: float, most: int) -> tf.Tensor:
    """Which places, by falling strength, have fewer than `most` stronger ones in the square around them, bool (n,)."""
    count = tf.shape(xy)[0]

    def stronger(start: tf.Tensor, stop: tf.Tensor) -> list[tf.Tensor]:
        apart = tf.reduce_max(tf.abs(xy[start:stop, None] - xy[None]), axis=-1)
        before = tf.range(count)[None] < tf.range(start, stop)[:, None]
        return [tf.reduce_sum(tf.cast((apart <= reach_px) & before, tf.float32), axis=1)]

    return in_batches(count, 256, [()], stronger)[0] < most


def _cells(image: tf.Tensor, xy: tf.Tensor, size_px: int) -> tf.Tensor:
    """Squares uint8 (n, size_px, size_px, 3) around places float64 (n, 2), continued by reflection."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    corner = tf.cast(tf.floor(xy + 1.0), tf.int32) - size_px // 2
    columns, rows = reflected(corner[:, 0], size_px, width), reflected(corner[:, 1], size_px, height)
    return tf.gather(tf.reshape(image, (-1, 3)), rows[:, :, None] * width + columns[:, None, :])


def _verified(decoder: ProposeVerify, image: tf.Tensor, xy: tf.Tensor) -> tf.Tensor:
    """Class probabilities float64 (n, classes), as `ProposeVerify.verify`."""
    classes, size_px = decoder.verifiers[0].output_shape[-1], decoder.cell_px

    def first_look(start: tf.Tensor, stop: tf.Tensor) -> list[tf.Tensor]:
        return [decoder.view(_cells(image, xy[start:stop], size_px), 0)]

    found = tf.cast(in_batches(tf.shape(xy)[0], decoder.batch_size, [(classes,)], first_look)[0], tf.float64)
    looks = decoder.other_looks()
    if not looks:
        return found
    again = tf.where(1.0 - found[:, 0] >= decoder.first_cut)
    chosen = tf.gather_nd(xy, again)

    def other_looks(start: tf.Tensor, stop: tf.Tensor) -> list[tf.Tensor]:
        cells = _cells(image, chosen[start:stop], size_px)
        return [tf.add_n([decoder.view(cells, view, by) for view, by in looks])]

    others = in_batches(tf.shape(chosen)[0], decoder.batch_size, [(classes,)], other_looks)[0]
    mean = (tf.gather_nd(found, again) + tf.cast(others, tf.float64)) / (1 + len(looks))
    return tf.tensor_scatter_nd_update(found, again, mean)
