import math

import numpy as np
import pytest

from mitozoo.base.errors import DataError
from mitozoo.evaluation.counts import Counts
from mitozoo.evaluation.curves import (
    average_precision,
    best_f1_threshold,
    binary_curve,
    calibration_curve,
    detection_curve,
    false_positives_at_recall,
    roc_auc,
)
from mitozoo.evaluation.matching import Gains, gains, protocol


def image(scores, right, truths, again=None):
    right = np.array(right, dtype=bool)
    again = np.zeros_like(right) if again is None else np.array(again, dtype=bool)
    return Gains(np.array(scores, dtype=float), right, ~right & ~again, truths)


#: Two images, 5 truths: by falling score hit, hit, wrong, (hit and wrong at 0.6), wrong.
TWO = [image([0.9, 0.7, 0.6], [1, 0, 1], 3), image([0.8, 0.6, 0.2], [1, 0, 0], 2)]


def test_curve_pools_images_and_groups_equal_scores():
    curve = detection_curve(TWO, area_mm2=2.0)
    assert curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6, 0.2]
    assert curve.tp.tolist() == [1, 2, 2, 3, 3]
    assert curve.fp.tolist() == [0, 0, 1, 2, 3]
    assert curve.precision == pytest.approx([1, 1, 2 / 3, 3 / 5, 1 / 2])
    assert curve.recall == pytest.approx([0.2, 0.4, 0.4, 0.6, 0.6])
    assert curve.f1 == pytest.approx([2 / 6, 4 / 7, 4 / 8, 6 / 10, 6 / 11])
    assert curve.fp_per_mm2 == pytest.approx([0, 0, 0.5, 1, 1.5])


def test_summaries_of_a_curve():
    curve = detection_curve(TWO, area_mm2=2.0)
    assert average_precision(curve) == pytest.approx(0.2 * 1 + 0.2 * 1 + 0.2 * 0.6)
    assert best_f1_threshold(curve) == (0.6, pytest.approx(0.6))
    prices = false_positives_at_recall(curve, (0.1, 0.4, 0.5, 0.6, 0.61))
    assert prices == pytest.approx({0.1: 0, 0.4: 0, 0.5: 1, 0.6: 1, 0.61: math.nan}, nan_ok=True)


def test_counts_at_a_threshold_include_the_scores_on_it():
    curve = detection_curve(TWO)
    assert curve.counts_at(0.6) == Counts(3, 2, 2)
    assert curve.counts_at(0.61) == Counts(2, 1, 3)
    assert curve.counts_at(0.95) == Counts(0, 0, 5)
    assert curve.counts_at(0.0) == Counts(3, 3, 2)


def test_duplicates_are_neither_right_nor_wrong():
    curve = detection_curve([image([0.9, 0.8, 0.7], [1, 0, 0], 1, again=[0, 1, 0])])
    assert curve.tp.tolist() == [1, 1, 1]
    assert curve.fp.tolist() == [0, 0, 1]
    assert average_precision(curve) == 1


def test_curve_from_matching():
    rule, truth = protocol("default"), np.array([[0.0, 0.0], [200.0, 0.0]])
    found = np.array([[10.0, 0.0], [0.0, 5.0], [190.0, 0.0], [400.0, 0.0]])
    curve = detection_curve([gains(truth, found, np.array([0.4, 0.8, 0.6, 0.7]), rule, 0.25)])
    assert curve.tp.tolist() == [1, 1, 2, 2]
    assert curve.fp.tolist() == [0, 1, 1, 2]


def test_curve_of_nothing():
    nothing_found = detection_curve([image([], [], 4)])
    assert average_precision(nothing_found) == 0
    assert math.isnan(false_positives_at_recall(nothing_found)[0.5])
    assert math.isnan(average_precision(detection_curve([image([0.5], [0], 0)])))
    assert math.isnan(average_precision(detection_curve([])))
    with pytest.raises(DataError) as error:
        best_f1_threshold(nothing_found)
    assert str(error.value) == (
        "No threshold can be chosen: there is no mitotic figure, or nothing was found at any score. "
        "Use a validation set with mitotic figures, or give --threshold."
    )


def test_unknown_area_gives_no_false_positives_per_mm2():
    assert np.isnan(detection_curve(TWO).fp_per_mm2).all()


def test_thinned_keeps_ends_and_points_of_the_curve():
    rng = np.random.default_rng(0)
    right = rng.uniform(size=20_000) < 0.3
    curve = detection_curve([image(rng.uniform(size=20_000), right, 8000)], area_mm2=10)
    thin = curve.thinned(100)
    assert len(thin.thresholds) <= 202
    assert (thin.thresholds[0], thin.thresholds[-1]) == (curve.thresholds[0], curve.thresholds[-1])
    assert np.diff(thin.recall).max() < 0.02
    assert all(curve.counts_at(at) == thin.counts_at(at) for at in thin.thresholds)
    assert detection_curve(TWO).thinned(100).tp.tolist() == [1, 2, 2, 3, 3]


def test_thinned_without_false_positives():
    curve = detection_curve([image(np.linspace(1, 0, 1000), np.ones(1000), 1000)])
    assert curve.thinned(50).tp[-1] == 1000


def test_auc_by_hand():
    # Pairs: 0.8 beats both; 0.4 ties with 0.4 and beats 0.1: (1 + 1 + 0.5 + 1) / 4.
    assert roc_auc([1, 0, 1, 0], [0.8, 0.4, 0.4, 0.1]) == 0.875
    assert roc_auc([1, 1, 0], [3, 2, 1]) == 1
    assert roc_auc([0, 0, 1], [3, 2, 1]) == 0
    assert roc_auc([0, 1, 0, 1], [1, 1, 1, 1]) == 0.5
    assert math.isnan(roc_auc([1, 1], [0.2, 0.3]))


def test_auc_is_the_share_of_pairs_and_the_area_under_the_roc():
    rng = np.random.default_rng(3)
    for _ in range(30):
        positive, scores = rng.uniform(size=40) < 0.4, rng.integers(0, 8, size=40)
        ups, downs = scores[positive][:, None], scores[~positive][None, :]
        share = np.mean((ups > downs) + 0.5 * (ups == downs))
        assert roc_auc(positive, scores) == pytest.approx(share)
        curve = binary_curve(positive, scores)
        assert np.trapezoid(np.r_[0, curve.recall], np.r_[0, curve.fp_rate]) == pytest.approx(share)


def test_binary_average_precision_by_hand():
    # By falling score: 1, 0, 1: recall 1/2 at precision 1, then 1 at 2/3.
    assert average_precision(binary_curve([1, 0, 1], [0.9, 0.8, 0.7])) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_calibration_by_hand():
    got = calibration_curve([0, 1, 1, 1, 0], [0.1, 0.3, 0.5, 1.0, 0.9], bins=2)
    assert got.edges.tolist() == [0, 0.5, 1]
    assert got.number.tolist() == [2, 3]
    assert got.predicted == pytest.approx([0.2, 0.8])
    assert got.observed == pytest.approx([0.5, 2 / 3])
    assert got.ece == pytest.approx((2 * 0.3 + 3 * (0.8 - 2 / 3)) / 5)


def test_calibration_of_empty_bins_and_bad_probabilities():
    got = calibration_curve([1], [0.95])
    assert got.number.tolist() == [0] * 9 + [1]
    assert np.isnan(got.predicted[:9]).all()
    assert got.ece == pytest.approx(0.05)
    with pytest.raises(DataError, match="A probability is outside 0 to 1. Give the output after the sigmoid or soft"):
        calibration_curve([1], [1.2])
    with pytest.raises(DataError, match="A score is not a finite number. Correct or remove its example."):
        roc_auc([1, 0], [np.nan, 1])
