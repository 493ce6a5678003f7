import math

import numpy as np
import pytest

from mitozoo.evaluation.bootstrap import auc_interval, count_intervals, draws, paired_test, resample_sums
from mitozoo.evaluation.curves import roc_auc


def test_draws_are_as_many_as_cases_and_the_same_for_a_seed():
    first = np.concatenate(list(draws(7, 50, seed=3)))
    assert first.shape == (50, 7)
    assert (first.sum(axis=1) == 7).all()
    assert (first == np.concatenate(list(draws(7, 50, seed=3)))).all()
    assert (first != np.concatenate(list(draws(7, 50, seed=4)))).any()


def test_chunks_do_not_change_the_draws():
    whole, chunked = list(draws(5, 40, seed=1)), list(draws(5, 40, seed=1, width=1_000_000))
    assert (len(whole), len(chunked)) == (1, 10)
    assert (np.concatenate(whole) == np.concatenate(chunked)).all()


def test_equal_cases_have_no_spread():
    got = count_intervals(np.tile([8, 2, 4], (10, 1)))
    assert (got["precision"].low, got["precision"].high) == (pytest.approx(0.8), pytest.approx(0.8))
    assert (got["recall"].low, got["recall"].high) == (pytest.approx(8 / 12), pytest.approx(8 / 12))
    assert (got["f1"].low, got["f1"].high) == (pytest.approx(16 / 22), pytest.approx(16 / 22))


def test_two_cases_have_three_resamples():
    # The pooled precision is 1 (first twice), 1/2 (both) or 0 (second twice), with chances 1/4, 1/2, 1/4.
    got = count_intervals(np.array([[1, 0, 0], [0, 1, 0]]), bootstraps=2000, seed=5)
    assert (got["precision"].low, got["precision"].high) == (0, 1)
    sums = resample_sums(np.array([[1.0], [0.0]]), 4000, seed=5)[:, 0]
    assert [np.mean(sums == value) for value in (0, 1, 2)] == pytest.approx([0.25, 0.5, 0.25], abs=0.03)


def test_many_cases_agree_with_the_normal_interval():
    rng = np.random.default_rng(0)
    hit = (rng.uniform(size=400) < 0.7).astype(int)
    got = count_intervals(np.stack([hit, 0 * hit, 1 - hit], axis=1), bootstraps=4000)["recall"]
    half = 1.96 * math.sqrt(hit.mean() * (1 - hit.mean()) / 400)
    assert got.low == pytest.approx(hit.mean() - half, abs=0.006)
    assert got.high == pytest.approx(hit.mean() + half, abs=0.006)


def test_one_case_and_no_truth_have_no_interval():
    assert all(
        math.isnan(item.low) and math.isnan(item.high) for item in count_intervals(np.array([[5, 1, 1]])).values()
    )
    assert math.isnan(count_intervals(np.array([[0, 1, 0], [0, 2, 0]]))["recall"].low)


def test_auc_interval_is_the_quantile_of_repeated_examples():
    rng = np.random.default_rng(2)
    cases = np.repeat(np.arange(6), 8)
    positive, scores = rng.uniform(size=48) < 0.5, rng.integers(0, 9, size=48)
    by_hand = []
    for drawn in np.concatenate(list(draws(6, 200, seed=9))):
        chosen = np.concatenate([np.flatnonzero(cases == case) for case in np.repeat(np.arange(6), drawn)])
        by_hand.append(roc_auc(positive[chosen], scores[chosen]))
    got = auc_interval(positive, scores, cases, bootstraps=200, seed=9)
    assert (got.low, got.high) == pytest.approx(tuple(np.quantile(by_hand, [0.025, 0.975])))


def test_paired_test_of_equal_models():
    table = np.random.default_rng(1).integers(1, 9, size=(12, 3))
    got = paired_test(table, table)
    assert (got.difference, got.interval.low, got.interval.high, got.p_value) == (0, 0, 0, 1)


def test_paired_test_of_a_model_that_is_better_in_every_case():
    better, worse = np.tile([9, 1, 1], (12, 1)), np.tile([5, 5, 5], (12, 1))
    got = paired_test(better, worse, bootstraps=999)
    assert got.difference == pytest.approx(0.9 - 0.5)
    assert got.interval.low == pytest.approx(0.4)
    assert got.p_value == pytest.approx(2 / 1000)
    back = paired_test(worse, better, bootstraps=999)
    assert (back.difference, back.p_value) == (pytest.approx(-0.4), pytest.approx(2 / 1000))


def test_paired_test_knows_pairs():
    # Cases differ much, models by one hit a case: unpaired intervals overlap, the paired difference is sure.
    first = np.array([[size, 0, 100 - size] for size in range(10, 90, 5)])
    second = first + [-1, 0, 1]
    got = paired_test(first, second, metric="recall")
    assert got.difference == pytest.approx(0.01)
    assert got.interval.low == pytest.approx(0.01)
    assert count_intervals(first)["recall"].low < count_intervals(second)["recall"].high


def test_paired_test_is_fair_when_nothing_differs():
    # Under no difference the p value falls below 0.2 in about a fifth of the trials.
    rng = np.random.default_rng(4)
    low = 0
    for trial in range(100):
        hits = rng.binomial(20, 0.6, size=(2, 30))
        tables = [np.stack([hit, 0 * hit, 20 - hit], axis=1) for hit in hits]
        low += paired_test(*tables, metric="recall", bootstraps=200, seed=trial).p_value < 0.2
    assert 8 <= low <= 36


def test_paired_test_refuses_tables_of_different_cases():
    with pytest.raises(
        ValueError, match=r"Two tables of one shape \(cases, 3\) are needed, not \(2, 3\) and \(3, 3\)."
    ):
        paired_test(np.ones((2, 3)), np.ones((3, 3)))
