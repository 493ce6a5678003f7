"""Loops of the graph that bound memory: over blocks of an image, and over batches of places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

#: From the first row and column of a block, and its rows and columns, to its values (rows, columns, channels).
OfBlock = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]


def ceil_div(value: tf.Tensor, by: int | tf.Tensor) -> tf.Tensor:
    """Whole number of parts of size `by` that cover `value`, int32."""
    return -(-value // by)


def reflected(first: tf.Tensor | int, count: tf.Tensor | int, size: tf.Tensor) -> tf.Tensor:
    """Indices first, first + 1, … into an axis that is continued by reflection with the edge repeated, without end.

    Args: first, int32 of any shape, may be negative; count; size of the axis, at least 1.
    Returns: int32 (*shape, count) in [0, size).
    """
    index = tf.math.floormod(tf.convert_to_tensor(first)[..., None] + tf.range(count), 2 * size)
    return tf.minimum(index, 2 * size - 1 - index)


def part(image: tf.Tensor, rows: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Pixels of an image (H, W, 3) at index rows (h,) and columns (w,): (h, w, 3)."""
    return tf.gather(tf.gather(image, rows, axis=0), columns, axis=1)


def in_blocks(down: tf.Tensor, across: tf.Tensor, most: int, channels: int, run: OfBlock, grid: int = 1) -> tf.Tensor:
    """Compute a map (down, across, channels) block by block.

    All blocks are of one size, at most `most` a side; the last ones reach beyond the map, and what they give there is
    dropped.
    Args: down, across, size of the map, int32, at least 1; most; channels; run; grid, which divides most: blocks begin
        at multiples of it.  Returns: float32.
    """
    n_down, n_across = ceil_div(down, most), ceil_div(across, most)
    rows, columns = ceil_div(down, n_down * grid) * grid, ceil_div(across, n_across * grid) * grid
    found = tf.TensorArray(tf.float32, n_down * n_across, element_shape=(None, None, channels))

    def step(i: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        block = run(i // n_across * rows, i % n_across * columns, rows, columns)
        return i + 1, found.write(i, block)

    # One block at a time: blocks that run side by side would each take their memory.
    _, found = tf.while_loop(lambda i, _: i < n_down * n_across, step, (0, found), parallel_iterations=1)
    blocks = tf.reshape(found.stack(), (n_down, n_across, rows, columns, channels))
    whole = tf.reshape(tf.transpose(blocks, (0, 2, 1, 3, 4)), (n_down * rows, n_across * columns, channels))
    return whole[:down, :across]


def in_batches(
    count: tf.Tensor,
    size: int,
    shapes: Sequence[tuple[int, ...]],
    run: Callable[[tf.Tensor, tf.Tensor], Sequence[tf.Tensor]],
) -> list[tf.Tensor]:
    """Compute rows batch by batch; of no rows there is no batch.

    Args: count of rows; size of a batch; shapes of what one row gives; run, from the first row and the one after the
        last to float32 tensors (n, *shape).
    Returns: float32 tensors (count, *shape).
    """

    def step(start: tf.Tensor, *done: tf.Tensor) -> list[tf.Tensor]:
        stop = tf.minimum(start + size, count)
        return [stop, *(tf.concat(pair, axis=0) for pair in zip(done, run(start, stop), strict=True))]

    nothing = [tf.zeros((0, *shape)) for shape in shapes]
    invariants = [tf.TensorShape(()), *(tf.TensorShape((None, *shape)) for shape in shapes)]
    done = tf.while_loop(
        lambda start, *_: start < count, step, [0, *nothing], shape_invariants=invariants, parallel_iterations=1
    )
    return list(done[1:])
