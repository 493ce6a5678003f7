"""Graph of the "locate-classify" decoder, whose network parts it runs.

It is the twin of `mitozoo.inference.decoders.locate_classify`.
"""

from __future__ import annotations

import tensorflow as tf

from mitozoo.export.serving.blocks import ceil_div, in_batches, in_blocks, part, reflected
from mitozoo.export.serving.graph import Found, Search
from mitozoo.export.serving.merging import groups, mean_of_groups, strongest_of_groups
from mitozoo.inference.decoders.locate_classify import LocateClassify, centres


def build(decoder: LocateClassify) -> Search:
    """Return the search of one image."""
    rim = (decoder.window_px - decoder.stride_px) // 2
    classes = decoder.classifier.output_shape[-1]

    def search(image: tf.Tensor, cut: tf.Tensor, radius_px: tf.Tensor) -> Found:
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        down, across = ceil_div(height, decoder.stride_px), ceil_div(width, decoder.stride_px)
        extents = [(n - 1) * decoder.stride_px + decoder.window_px for n in (down, across)]
        padded = part(image, reflected(-rim, extents[0], height), reflected(-rim, extents[1], width))
        theta, corners = _locate(decoder, padded, down, across)
        probabilities = _first_look(decoder, padded, corners, theta, classes)
        keep = 1.0 - probabilities[:, 0] >= tf.cast(cut, tf.float32)
        theta, corners, probabilities = (tf.boolean_mask(item, keep) for item in (theta, corners, probabilities))
        xy = centres(theta, corners, decoder.window_px)
        hits = groups(xy, 1.0 - probabilities[:, 0], radius_px / 2)
        first = mean_of_groups(probabilities, *hits)
        xy, second = _second_look(decoder, padded, tf.gather(xy, strongest_of_groups(*hits)), classes)
        both = decoder.first_weight * first + (1 - decoder.first_weight) * second
        chosen = strongest_of_groups(*groups(xy - rim, 1.0 - both[:, 0], radius_px))
        xy, both = tf.gather(xy - rim, chosen), tf.gather(both, chosen)
        limits = tf.cast([width, height], tf.float32)
        inside = tf.reduce_all((xy > -1.0) & (xy < limits), axis=1)
        xy = tf.clip_by_value(tf.boolean_mask(xy, inside), 0.0, limits - 1.0)
        return Found(tf.cast(xy, tf.float64), tf.cast(tf.boolean_mask(both, inside), tf.float64))

    return search


def _locate(
    decoder: LocateClassify, padded: tf.Tensor, down: tf.Tensor, across: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Theta (n, 2, 3) and upper left corners (n, 2) x, y of all windows."""
    stride = decoder.stride_px
    height, width = tf.shape(padded)[0], tf.shape(padded)[1]

    def block(top: tf.Tensor, left: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
        extents = [(n - 1) * stride + decoder.window_px for n in (rows, columns)]
        # A block that reaches beyond the image sees its edge again; what it gives there is dropped.
        lines = [
            tf.minimum(tf.range(n * stride, n * stride + extent), size - 1)
            for n, extent, size in ((top, extents[0], height), (left, extents[1], width))
        ]
        return tf.reshape(decoder.locate_block(part(padded, *lines)), (rows, columns, 6))

    theta = tf.reshape(in_blocks(down, across, decoder.block_windows, 6, block), (-1, 2, 3))
    x, y = tf.meshgrid(tf.range(across) * stride, tf.range(down) * stride)
    corners = tf.reshape(tf.stack([x, y], axis=-1), (-1, 2))
    return theta, tf.cast(corners, tf.float32)


def _first_look(
    decoder: LocateClassify, padded: tf.Tensor, corners: tf.Tensor, theta: tf.Tensor, classes: int
) -> tf.Tensor:
    def run(start: tf.Tensor, stop: tf.Tensor) -> list[tf.Tensor]:
        return [decoder.classify_cells(padded, corners[start:stop], theta[start:stop])]

    return in_batches(tf.shape(theta)[0], decoder.batch_size, [(classes,)], run)[0]


def _second_look(
    decoder: LocateClassify, padded: tf.Tensor, xy: tf.Tensor, classes: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Better place (n, 2) and class (n, classes) of cells, with the window centred on each."""
    corners = xy - (decoder.window_px - 1) / 2

    def run(start: tf.Tensor, stop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return decoder.look_again(padded, corners[start:stop])

    step = max(1, decoder.batch_size // 8)
    theta, probabilities = in_batches(tf.shape(xy)[0], step, [(2, 3), (classes,)], run)
    return centres(theta, corners, decoder.window_px), probabilities
