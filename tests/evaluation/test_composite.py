import numpy as np
import pytest

from mitozoo.base.errors import DataError
from mitozoo.evaluation.composite import Composite, combine, patch_rest_mm2, patch_scores


def composite(hits=(0.9, 0.8, 0.6, 0.0), around=(0.7, 0.3), fields=(0.95, 0.5, 0.2), mitoses=20):
    """4 patches with 0.1 mm² around, fields of 2 mm²."""
    return Composite(np.array(hits), np.array(around), 0.1, np.array(fields), 2.0, mitoses)


def test_at_a_threshold():
    row = composite().at(0.5)
    # 3 of 4 patches hit: 15 of 20. Patches: 1 false in 0.1 mm², 10 a mm²; fields: 2 in 2 mm², 1 a mm². The worse one
    # makes 20 false positives on the fields.
    assert row == {
        "threshold": 0.5,
        "recall": 0.75,
        "fp_per_mm2_fields": 1.0,
        "fp_per_mm2_patches": pytest.approx(10.0),
        "f1": pytest.approx(30 / (15 + 20 + 20)),
    }


def test_the_fields_may_be_the_worse_place():
    row = composite(around=()).at(0.5)
    assert row["f1"] == pytest.approx(30 / (15 + 2 + 20))


def test_a_score_at_the_threshold_counts():
    assert composite().at(0.6)["recall"] == 0.75 and composite().at(0.61)["recall"] == 0.5


def test_best_threshold():
    # Above 0.7 nothing is left around and 1 in the fields: 20 / (10 + 1 + 20); between 0.5 and 0.7 the recall is
    # higher, but so are the false positives: 30 / 55.
    best = composite().best()
    assert 0.7 < best["threshold"] <= 0.8 and best["f1"] == pytest.approx(20 / 31)


def test_thresholds_at_recalls():
    rows = composite().at_recalls((0.25, 0.5, 0.75, 0.9))
    assert [(row["threshold"], row["recall"]) for row in rows] == [(0.9, 0.25), (0.8, 0.5), (0.6, 0.75)]


def test_rounding_asks_for_no_patch_more():
    assert 0.55 * 100 > 55
    hits = np.arange(100, 0, -1) / 100
    assert [row["threshold"] for row in composite(hits=hits).at_recalls((0.55,))] == [pytest.approx(0.46)]


def test_scores_near_and_far_from_the_centre():
    # 30 px is near, 40 px neither, 41 px far.
    xy = np.array([(64, 94), (34, 64), (64, 104), (105, 64), (64, 95)])
    best, far = patch_scores(xy, np.array([0.4, 0.6, 0.99, 0.5, 0.98]), (64, 64))
    assert best == 0.6 and far.tolist() == [0.5]
    assert patch_scores(np.zeros((0, 2)), np.zeros(0), (64, 64))[0] == 0.0


def test_rest_of_a_patch():
    assert patch_rest_mm2(128, 128, 0.25) == pytest.approx((16384 - np.pi * 1600) * 0.0625e-6)


def test_folds_add():
    both = combine([composite(), composite(hits=(0.5,), around=(0.9,), fields=(), mitoses=5)])
    assert both.hits.tolist() == [0.9, 0.8, 0.6, 0.0, 0.5] and both.around.tolist() == [0.7, 0.3, 0.9]
    assert (both.around_mm2, both.fields_mm2, both.mitoses, len(both.fields)) == (pytest.approx(0.2), 4.0, 25, 3)


@pytest.mark.parametrize("missing", [{"hits": ()}, {"around_mm2": 0.0}, {"fields_mm2": 0.0}])
def test_nothing_to_measure_on(missing):
    parts = {"hits": (0.5,), "around": (), "around_mm2": 0.1, "fields": (), "fields_mm2": 2.0, "mitoses": 1, **missing}
    with pytest.raises(DataError) as caught:
        Composite(**{key: np.array(value) if isinstance(value, tuple) else value for key, value in parts.items()})
    assert str(caught.value) == "The measure needs at least one patch and fields, with an area. Give both."
