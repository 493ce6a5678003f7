"""Blobs of maps, worked out by hand, and Otsu's threshold against the plain search."""

import numpy as np
import pytest

from mitozoo.inference.blobs import LEVELS, blobs, histogram_of, otsu, smooth


def plain_otsu(values):
    """The threshold among the levels with the least variance within the two groups."""
    best, where = np.inf, None
    for k in range(1, LEVELS):
        low, high = values[values < k / LEVELS], values[values >= k / LEVELS]
        if len(low) and len(high):
            within = len(low) * low.var() + len(high) * high.var()
            if within < best - 1e-9:
                best, where = within, k / LEVELS
    return where


def test_otsu_is_the_plain_search():
    generator = np.random.default_rng(3)
    values = np.concatenate([generator.normal(0.3, 0.1, 5000), generator.normal(0.7, 0.08, 800)]).clip(0, 0.999)
    values = (np.floor(values * LEVELS) + 0.5) / LEVELS
    assert otsu(histogram_of(values)) == pytest.approx(plain_otsu(values))


def test_otsu_lies_midway_between_two_values():
    assert otsu(histogram_of(np.array([0.0, 0.0, 0.9]))) == pytest.approx(
        0.5 * (0 + 230) / 256 + 0.5 / 256, abs=1 / 256
    )


def test_a_flat_map_has_no_threshold():
    assert otsu(histogram_of(np.full((9, 9), 0.3))) is None


def test_parts_are_measured():
    chances = np.zeros((8, 10), np.float32)
    chances[1, 2:5] = (0.5, 1.0, 0.5)
    chances[6, 8] = chances[5, 7] = 0.6
    chances[3, 0] = 0.4
    found = blobs(chances, 0.5)
    np.testing.assert_allclose(found.xy, [[3, 1], [7.5, 5.5]])
    np.testing.assert_allclose(found.mean, [2 / 3, 0.6], rtol=1e-6)
    np.testing.assert_allclose(found.highest, [1.0, 0.6], rtol=1e-6)
    assert found.area_px.tolist() == [3, 2]


def test_an_empty_map_has_no_part():
    found = blobs(np.zeros((5, 5), np.float32), 0.5)
    assert found.xy.shape == (0, 2) and len(found.mean) == len(found.area_px) == 0


def test_smoothing_keeps_the_sum_and_spreads_as_a_gaussian():
    chances = np.zeros((31, 31), np.float32)
    chances[15, 15] = 1.0
    found = smooth(chances, 2.0)
    assert found.sum() == pytest.approx(1.0, rel=1e-5)
    line = found.sum(axis=0)
    assert np.sqrt((line * (np.arange(31) - 15) ** 2).sum()) == pytest.approx(2.0, rel=0.03)
    assert smooth(chances, 0.0) is chances
