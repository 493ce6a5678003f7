import math

import numpy as np
import pytest

from mitozoo.evaluation.counts import Counts, micro, precision_recall_f1


def test_counts_add_then_divide():
    total = Counts(3, 1, 0) + Counts(0, 2, 4)
    assert total == Counts(3, 3, 4)
    assert total.precision == 3 / 6
    assert total.recall == 3 / 7
    assert total.f1 == 6 / 13


def test_micro_average_is_not_the_mean_of_f1():
    # F1 of the two is 1 and 0 (mean 0.5); pooled: 9 of 9 + 1 found, none of it wrong but one missed and one false.
    assert micro([Counts(9, 0, 0), Counts(0, 1, 1)]) == Counts(9, 1, 1)
    assert micro([Counts(9, 0, 0), Counts(0, 1, 1)]).f1 == 0.9
    assert micro([]) == Counts(0, 0, 0)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(0, 0, 0), (math.nan, math.nan, math.nan)),
        (Counts(0, 0, 5), (math.nan, 0, 0)),
        (Counts(0, 5, 0), (0, math.nan, 0)),
        (Counts(5, 0, 0), (1, 1, 1)),
    ],
)
def test_nothing_is_nan(counts, expected):
    given = (counts.precision, counts.recall, counts.f1)
    assert given == pytest.approx(expected, nan_ok=True)
    arrays = precision_recall_f1(np.array([counts.tp]), np.array([counts.fp]), np.array([counts.fn]))
    assert [float(value[0]) for value in arrays] == pytest.approx(expected, nan_ok=True)


def test_f1_is_the_harmonic_mean_and_at_most_one():
    rng = np.random.default_rng(0)
    for tp, fp, fn in rng.integers(0, 50, size=(200, 3)).tolist():
        counts = Counts(tp + 1, fp, fn)
        harmonic = 2 / (1 / counts.precision + 1 / counts.recall)
        assert counts.f1 == pytest.approx(harmonic)
        assert 0 <= counts.f1 <= 1
