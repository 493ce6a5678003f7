"""Several hits on one cell become one point, in the graph: the twin of `mitozoo.inference.merging`."""

from __future__ import annotations

import tensorflow as tf


def strongest_first(xy: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """Order by falling score; equal scores go by y, then x.

    Args: xy float (n, 2); scores float (n,).  Returns: int32 (n,).
    """
    order = tf.argsort(xy[:, 0], stable=True)
    order = tf.gather(order, tf.argsort(tf.gather(xy[:, 1], order), stable=True))
    return tf.gather(order, tf.argsort(-tf.gather(scores, order), stable=True))


def groups(xy: tf.Tensor, scores: tf.Tensor, radius_px: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Group hits around the strongest ones, as `merge_hits`.

    Args: xy float (n, 2); scores float (n,); radius_px float64.
    Returns: order, int32 (n,), as `strongest_first`; group, int32 (n,), of each hit in that order: the groups are
        numbered from 0 by falling score of their strongest hit, which comes first in each.
    """
    order = strongest_first(xy, scores)
    placed = tf.cast(tf.gather(xy, order), tf.float64)
    count = tf.shape(placed)[0]

    def step(number: tf.Tensor, group: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        free = group < 0
        first = tf.argmax(tf.cast(free, tf.int32), output_type=tf.int32)
        offset = placed - placed[first]
        near = tf.reduce_sum(offset * offset, axis=1) <= radius_px * radius_px
        return number + 1, tf.where(free & near, number, group)

    _, group = tf.while_loop(
        lambda _, group: tf.reduce_any(group < 0), step, (0, tf.fill((count,), -1)), parallel_iterations=1
    )
    return order, group


def strongest_of_groups(order: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
    """Index of the strongest hit of each group of `groups`, by falling score, int32 (m,)."""
    number = tf.shape(group)[0]
    # The groups' own count: a segment operation of nothing has no segment.
    count = tf.reduce_max(tf.concat([[-1], group], axis=0)) + 1
    first = tf.math.unsorted_segment_min(tf.range(number), group, count)
    return tf.gather(order, first)


def mean_of_groups(values: tf.Tensor, order: tf.Tensor, group: tf.Tensor) -> tf.Tensor:
    """Mean of values float (n, c) over the groups of `groups`: (m, c)."""
    count = tf.reduce_max(tf.concat([[-1], group], axis=0)) + 1
    return tf.math.unsorted_segment_mean(tf.gather(values, order), group, count)
