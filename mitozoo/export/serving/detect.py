"""Graph of the "detect" decoder, whose network it runs.

It is the twin of `mitozoo.inference.decoders.detect`.
"""

from __future__ import annotations

import tensorflow as tf

from mitozoo.base.errors import RecipeError
from mitozoo.export.serving.blocks import ceil_div, in_batches, part, reflected
from mitozoo.export.serving.graph import Found, Search
from mitozoo.export.serving.merging import groups, strongest_of_groups
from mitozoo.inference.decoders.detect import Detect


def build(decoder: Detect) -> Search:
    """Return the search of one image. Raises: RecipeError for a decoder with a stain normaliser."""
    if decoder.normaliser is not None:
        raise RecipeError(
            "A model that learnt with stain normalisation cannot be exported: measuring a stain is not in the graph. "
            "Train with tiles.normalise=none, or serve it with 'mitozoo predict'."
        )

    def search(image: tf.Tensor, cut: tf.Tensor, radius_px: tf.Tensor) -> Found:
        xy, score = _detections(decoder, image)
        keep = score >= cut
        limits = tf.cast(tf.reverse(tf.shape(image)[:2], [0]), tf.float64)
        keep &= tf.reduce_all((xy > -0.5) & (xy < limits - 0.5), axis=1)
        xy, score = tf.boolean_mask(xy, keep), tf.boolean_mask(score, keep)
        xy = tf.clip_by_value(xy, 0.0, limits - 1.0)
        first = strongest_of_groups(*groups(xy, score, radius_px))
        score = tf.gather(score, first)
        return Found(tf.gather(xy, first), tf.stack([1.0 - score, score], axis=1))

    return search


def _starts(length_px: tf.Tensor, tile_px: int, step_px: int) -> tf.Tensor:
    """Where tiles begin along a side of at least tile_px, int32: every step_px, the last one flush with the end."""
    last = length_px - tile_px
    return tf.concat([tf.range(ceil_div(last, step_px)) * step_px, [last]], axis=0)


def _detections(decoder: Detect, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Centres float64 (n, 2) and scores float64 (n,) of what the tiles see whole; -1 where a tile saw less."""
    side = decoder.tile_px
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    # A field smaller than a tile is continued by reflection.
    down, across = tf.maximum(height, side), tf.maximum(width, side)
    rows, columns = _starts(down, side, decoder.step_px), _starts(across, side, decoder.step_px)
    corners = tf.reshape(tf.stack(tf.meshgrid(columns, rows), axis=-1), (-1, 2))
    most = decoder.model.output["scores"].shape[1]

    def look(start: tf.Tensor, stop: tf.Tensor) -> list[tf.Tensor]:
        def tile(corner: tf.Tensor) -> tf.Tensor:
            return part(image, reflected(corner[1], side, height), reflected(corner[0], side, width))

        pixels = tf.map_fn(tile, corners[start:stop], tf.uint8, parallel_iterations=1)
        found = decoder.look(tf.ensure_shape(pixels, (None, side, side, 3)))
        corner = tf.cast(corners[start:stop, None], tf.float32)
        whole = _whole(decoder, found["boxes"], corner, tf.cast(tf.stack([across, down]), tf.float32))
        score = tf.where(whole, tf.cast(found["scores"], tf.float32), -1.0)
        return [_centres(found["boxes"], found["masks"]) + corner, score]

    xy, score = in_batches(tf.shape(corners)[0], decoder.batch_size, [(most, 2), (most,)], look)
    return tf.cast(tf.reshape(xy, (-1, 2)), tf.float64), tf.cast(tf.reshape(score, (-1,)), tf.float64)


def _whole(decoder: Detect, boxes: tf.Tensor, corner: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Whether boxes (n, m, 4) stay clear of those edges of a tile that lie inside the field."""
    side = float(decoder.tile_px)
    low = tf.where(corner > 0, decoder.rim_px, -float("inf"))
    high = tf.where(corner + side < size, side - decoder.rim_px, float("inf"))
    return tf.reduce_all((boxes[..., :2] >= low) & (boxes[..., 2:] <= high), axis=-1)


def _centres(boxes: tf.Tensor, masks: tf.Tensor) -> tf.Tensor:
    """Centroids float32 (n, m, 2) of masks over their boxes, or the middle of a box whose mask is empty."""
    inside = tf.cast(masks >= 0.5, tf.float32)
    area = tf.reduce_sum(inside, axis=(2, 3))
    shares = []
    for axis, size in ((2, masks.shape[3]), (3, masks.shape[2])):
        line = (tf.range(size, dtype=tf.float32) + 0.5) / size
        shares.append(tf.reduce_sum(tf.reduce_sum(inside, axis=axis) * line, axis=-1) / tf.maximum(area, 1.0))
    share = tf.where((area > 0)[..., None], tf.stack(shares, axis=-1), 0.5)
    return boxes[..., :2] + share * (boxes[..., 2:] - boxes[..., :2]) - 0.5
