"""Pieces of the graph against SciPy and against the decoders' own NumPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from mitozoo.export.serving.blocks import in_batches, in_blocks, reflected
from mitozoo.export.serving.merging import groups, mean_of_groups, strongest_first, strongest_of_groups
from mitozoo.export.serving.peaks import is_highest, middles, neighbourhood, smoothed
from mitozoo.inference.merging import merge_hits


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_axis_goes_on_by_reflection(size):
    wanted = np.pad(np.arange(size), (12, 9), mode="symmetric")
    np.testing.assert_array_equal(reflected(-12, size + 21, tf.constant(size)), wanted)
    np.testing.assert_array_equal(reflected(tf.constant([-12, 0]), 3, size), [wanted[:3], wanted[12:15]])


@pytest.mark.parametrize(
    ("down", "across", "most", "grid"), [(1, 1, 4, 1), (7, 10, 4, 1), (8, 3, 8, 1), (88, 9, 32, 8), (41, 161, 16, 4)]
)
def test_blocks_cover_a_map_once_and_begin_on_the_grid(down, across, most, grid):
    def number(top, left, rows, columns):
        y, x = tf.range(top, top + rows), tf.range(left, left + columns)
        checks = [
            tf.debugging.assert_less_equal(tf.maximum(rows, columns), most),
            tf.debugging.assert_equal([top % grid, left % grid], [0, 0]),
        ]
        with tf.control_dependencies([check for check in checks if check is not None]):
            return tf.cast(y[:, None] * 100 + x[None], tf.float32)[..., None]

    found = tf.function(lambda a, b: in_blocks(a, b, most, 1, number, grid))(tf.constant(down), tf.constant(across))
    np.testing.assert_array_equal(found[..., 0], np.arange(down)[:, None] * 100 + np.arange(across))


@pytest.mark.parametrize("count", [0, 1, 6, 7])
def test_batches_cover_rows_once(count):
    rows = tf.random.stateless_normal((count, 2), seed=(1, 2))
    sizes = []

    def run(start, stop):
        sizes.append(int(stop - start))
        return [rows[start:stop] * 2, rows[start:stop, 0]]

    twice, first = in_batches(tf.constant(count), 3, [(2,), ()], run)
    np.testing.assert_array_equal(twice, rows * 2)
    np.testing.assert_array_equal(first, rows[:, 0])
    assert sizes == {0: [], 1: [1], 6: [3, 3], 7: [3, 3, 1]}[count]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("count", [0, 1, 40])
def test_groups_are_those_of_the_decoder(count, seed):
    generator = np.random.default_rng(seed)
    # Whole numbers, so that many places, scores and distances are equal.
    xy, scores = generator.integers(0, 12, (count, 2)).astype(float), generator.integers(0, 5, count) / 4
    order, group = (item.numpy() for item in groups(tf.constant(xy), tf.constant(scores), tf.constant(3.0, tf.float64)))
    wanted = merge_hits(xy, scores, 3.0)
    assert [list(order[group == i]) for i in range(group.max(initial=-1) + 1)] == [list(item) for item in wanted]
    np.testing.assert_array_equal(strongest_of_groups(order, group), [item[0] for item in wanted])
    means = mean_of_groups(tf.constant(xy), order, group)
    np.testing.assert_allclose(means, np.array([xy[item].mean(axis=0) for item in wanted]).reshape(-1, 2))


def test_equal_scores_go_by_y_then_x():
    xy, scores = [[5.0, 1.0], [2.0, 3.0], [1.0, 1.0], [9.0, 9.0]], [0.5, 0.5, 0.5, 0.9]
    assert strongest_first(tf.constant(xy), tf.constant(scores)).numpy().tolist() == [3, 2, 0, 1]


@pytest.mark.parametrize("shape", [(1, 1), (3, 9), (20, 14)])
def test_smoothing_is_scipys(shape):
    table = np.random.default_rng(0).random((*shape, 3), np.float32)
    for width in (1, 3, 5):
        wanted = ndimage.uniform_filter(table, size=(width, width, 1), mode="nearest")
        np.testing.assert_array_equal(smoothed(tf.constant(table), width), wanted)


@pytest.mark.parametrize("shape", [(1, 1), (3, 9), (20, 14)])
def test_peaks_are_scipys(shape):
    table = (np.random.default_rng(1).integers(0, 4, shape) / 4).astype(np.float32)
    np.testing.assert_array_equal(is_highest(tf.constant(table), 5), table == ndimage.maximum_filter(table, size=5))


def test_middles_of_plateaus_are_scipys():
    generator = np.random.default_rng(2)
    snake = np.zeros((30, 30), bool)
    snake[2, 2:28] = snake[2:28, 27] = snake[27, 5:28] = snake[10:28, 5] = True
    for top in (snake, np.ones((17, 9), bool), np.zeros((4, 4), bool), *(generator.random((5, 40, 30)) < 0.35)):
        labels, count = ndimage.label(top, np.ones((3, 3)))
        wanted = np.round(ndimage.center_of_mass(top, labels, range(1, count + 1))).astype(int).reshape(-1, 2)
        assert sorted(middles(tf.constant(top)).numpy().tolist()) == sorted(wanted.tolist())


def test_a_neighbourhood_at_the_corner():
    table = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    values, inside = neighbourhood(table, tf.constant([[0, 0], [2, 1]]), 1)
    np.testing.assert_array_equal(values[0], [[0, 0, 0], [0, 1, 2], [0, 3, 4]])
    np.testing.assert_array_equal(values[1], [[3, 4, 0], [5, 6, 0], [0, 0, 0]])
    np.testing.assert_array_equal(inside, np.asarray(values) > 0)
