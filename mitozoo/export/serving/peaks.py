"""Peaks of maps, in the graph."""

from __future__ import annotations

import tensorflow as tf


def smoothed(table: tf.Tensor, width: int) -> tf.Tensor:
    """Mean over squares of `width` positions, the edge continued: float32 (h, w, c), as SciPy's uniform_filter.

    The sums are of float64 and each axis is rounded to float32, so that plateaus stay level and peaks are the same.
    """
    for axis in (0, 1):
        count = tf.shape(table)[axis]
        index = tf.clip_by_value(tf.range(-(width // 2), count + width // 2), 0, count - 1)
        padded = tf.cast(tf.gather(table, index, axis=axis), tf.float64)
        shifted = [padded[i : i + count] if axis == 0 else padded[:, i : i + count] for i in range(width)]
        table = tf.cast(tf.add_n(shifted) / width, tf.float32)
    return table


def is_highest(table: tf.Tensor, width: int) -> tf.Tensor:
    """Whether each position of a map float (h, w) is the highest of the square of `width` (odd) around it."""
    highest = tf.nn.max_pool2d(table[None, ..., None], width, 1, "SAME")[0, ..., 0]
    return table == highest


def connected(top: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The connected parts of a mask bool (h, w); positions that touch at their corners are connected.

    Returns: at, int32 (n, 2), row and column of each position of the mask, in order; number, int32 (n,), of the part
        that it belongs to, from 0 in the order of their first positions; how many parts there are, int32.
    """
    at = tf.cast(tf.where(top), tf.int32)
    count = tf.shape(at)[0]
    numbers = tf.scatter_nd(at + 1, tf.range(1, count + 1), tf.shape(top) + 2) - 1
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    beside = tf.stack([tf.gather_nd(numbers, at + 1 + tf.constant(step)) for step in steps], axis=1)
    beside = tf.where(beside < 0, tf.range(count)[:, None], beside)

    def step(_: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        lowest = tf.reduce_min(tf.gather(label, beside), axis=1)
        # The label of the label too: parts that are long need few rounds.
        lowest = tf.gather(lowest, lowest)
        return tf.reduce_any(lowest != label), lowest

    _, label = tf.while_loop(lambda changing, _: changing, step, (count > 0, tf.range(count)), parallel_iterations=1)
    _, number = tf.unique(label)
    return at, number, tf.reduce_max(tf.concat([[-1], number], 0)) + 1


def middles(top: tf.Tensor) -> tf.Tensor:
    """The middle of each connected part of a mask bool (h, w): int32 (m, 2) of row and column.

    The middle is the mean of the positions, rounded to even; it need not lie in the part.
    """
    at, number, count = connected(top)
    mean = tf.math.unsorted_segment_mean(tf.cast(at, tf.float64), number, count)
    return tf.cast(tf.round(mean), tf.int32)


def neighbourhood(table: tf.Tensor, at: tf.Tensor, reach: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Squares of 2 reach + 1 positions of a map (h, w) around places int32 (n, 2).

    Returns: values (n, size, size), 0 outside the map; inside, bool of that shape.
    """
    line = tf.range(-reach, reach + 1)
    rows, columns = at[:, 0, None, None] + line[None, :, None], at[:, 1, None, None] + line[None, None, :]
    height, width = tf.shape(table)[0], tf.shape(table)[1]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    flat = tf.clip_by_value(rows, 0, height - 1) * width + tf.clip_by_value(columns, 0, width - 1)
    values = tf.gather(tf.reshape(table, (-1,)), flat)
    return tf.where(inside, values, tf.zeros_like(values)), inside
