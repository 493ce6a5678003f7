import math

import numpy as np
import pytest

from mitozoo.evaluation.agreement import count_agreement, icc_2_1


def test_icc_of_shrout_and_fleiss():
    # Their table 2: six subjects, four judges; they give ICC(2,1) = 0.29 (mean squares 11.24, 32.49, 1.02).
    ratings = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
    by_hand = (11.24 - 1.02) / (11.24 + 3 * 1.02 + 4 * (32.49 - 1.02) / 6)
    assert icc_2_1(ratings) == pytest.approx(by_hand, abs=1e-3)
    assert round(icc_2_1(ratings), 2) == 0.29


def test_icc_of_equal_and_of_shifted_counts():
    counts = np.array([1.0, 4.0, 9.0])
    assert icc_2_1(np.stack([counts, counts], axis=1)) == pytest.approx(1)
    # A constant shift is a disagreement: mean squares 32.667 (subjects), 6 (raters), 0 (rest).
    shifted = icc_2_1(np.stack([counts, counts + 2], axis=1))
    subjects, raters = 2 * np.var(counts, ddof=1), 3 * 2.0
    assert shifted == pytest.approx(subjects / (subjects + 2 * raters / 3))
    assert shifted < 1


def test_icc_without_spread_or_subjects():
    assert math.isnan(icc_2_1(np.ones((5, 2))))
    assert math.isnan(icc_2_1(np.ones((1, 2))))


def test_bland_altman_by_hand():
    # Differences 1, -1, 3, 1: mean 1, variance (0 + 4 + 4 + 0) / 3.
    got = count_agreement(np.array([4, 6, 2, 8]), np.array([5, 5, 5, 9]))
    assert got.cases == 4
    assert got.bias == 1
    assert got.low == pytest.approx(1 - 1.96 * math.sqrt(8 / 3))
    assert got.high == pytest.approx(1 + 1.96 * math.sqrt(8 / 3))


def test_one_case_has_a_bias_only():
    got = count_agreement(np.array([4]), np.array([6]))
    assert got.bias == 2
    assert math.isnan(got.low) and math.isnan(got.high) and math.isnan(got.icc)
