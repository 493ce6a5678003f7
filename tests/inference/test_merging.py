"""Several hits on one cell."""

import numpy as np
import pytest

from mitozoo.inference.merging import merge_hits


def in_words(xy, scores, radius_px):
    """The same by the definition, without a tree."""
    left = sorted(range(len(xy)), key=lambda i: (-scores[i], xy[i][1], xy[i][0]))
    groups = []
    while left:
        group = [i for i in left if np.hypot(*(xy[i] - xy[left[0]])) <= radius_px]
        groups.append(group)
        left = [i for i in left if i not in group]
    return groups


@pytest.mark.parametrize("seed", range(5))
def test_equals_the_definition(seed):
    generator = np.random.default_rng(seed)
    xy, scores = generator.random((60, 2)) * 100, generator.integers(0, 10, 60) / 10
    assert [group.tolist() for group in merge_hits(xy, scores, 15)] == in_words(xy, scores, 15)


def test_any_order_gives_the_same_points():
    generator = np.random.default_rng(1)
    xy, scores = generator.integers(0, 60, (50, 2)).astype(float), generator.integers(0, 4, 50) / 4

    def points(order):
        return [[tuple(xy[order][i]) for i in group] for group in merge_hits(xy[order], scores[order], 10)]

    first = points(np.arange(50))
    for _ in range(5):
        assert points(generator.permutation(50)) == first


def test_every_hit_is_in_one_group():
    xy = np.random.default_rng(2).random((40, 2)) * 50
    groups = merge_hits(xy, np.ones(40), 12)
    assert sorted(np.concatenate(groups).tolist()) == list(range(40))


def test_the_radius_itself_is_near():
    xy = np.array([[0.0, 0.0], [3.0, 4.0]])
    assert len(merge_hits(xy, np.array([1.0, 0.5]), 5.0)) == 1
    assert len(merge_hits(xy, np.array([1.0, 0.5]), 4.99)) == 2


def test_a_chain_is_not_one_cell():
    # The strongest, in the middle, takes its neighbours; the ends are beyond its radius and stay.
    xy = np.array([[0.0, 0], [8, 0], [16, 0], [24, 0], [32, 0]])
    groups = merge_hits(xy, np.array([0.1, 0.2, 0.9, 0.3, 0.4]), 10)
    assert [group.tolist() for group in groups] == [[2, 3, 1], [4], [0]]


def test_twice_the_same_place():
    assert [g.tolist() for g in merge_hits(np.zeros((2, 2)), np.array([0.2, 0.7]), 0.0)] == [[1, 0]]
