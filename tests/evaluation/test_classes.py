import math

import numpy as np
import pytest

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.evaluation.classes import class_indices, evaluate_patches
from mitozoo.evaluation.confusion import accuracy, balanced_accuracy, class_scores, confusion
from mitozoo.evaluation.counts import Counts

# Truth, probabilities of (non, mitotic, atypical): classified as non, mitotic (wrong), mitotic, non (wrong but mitotic
# score 0.55), atypical, mitotic (wrong kind).
LABELS = [NON_MITOTIC, NON_MITOTIC, MITOTIC_FIGURE, MITOTIC_FIGURE, ATYPICAL, ATYPICAL]
PROBABILITIES = np.array(
    [[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.1, 0.7, 0.2], [0.45, 0.3, 0.25], [0.1, 0.2, 0.7], [0.2, 0.6, 0.2]]
)
CASES = ["a", "a", "a", "b", "b", "b"]


def report(**settings):
    return evaluate_patches(LABELS, PROBABILITIES, CLASSES, CASES, bootstraps=200, **settings)


def test_confusion_matrix_by_hand():
    assert report().matrix.tolist() == [[1, 1, 0], [1, 1, 0], [0, 1, 1]]
    assert confusion([0, 0, 1, 2], [0, 1, 1, 0], 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]


def test_class_scores_by_hand():
    got = report()
    assert [item.counts for item in got.scores] == [Counts(1, 1, 1), Counts(1, 2, 1), Counts(1, 0, 1)]
    assert [item.support for item in got.scores] == [2, 2, 2]
    assert got.accuracy == 0.5
    assert got.balanced_accuracy == 0.5
    assert got.macro == pytest.approx(((1 / 2 + 1 / 3 + 1) / 3, 1 / 2, (1 / 2 + 2 / 5 + 2 / 3) / 3))


def test_mitotic_against_the_rest_by_hand():
    got = report()
    # Mitotic scores: 0.1, 0.7 | 0.9, 0.55, 0.9, 0.8.
    assert got.mitotic == Counts(4, 1, 0)
    assert got.mitotic_auc == pytest.approx((4 + 3) / 8)
    assert got.mitotic_ap == pytest.approx(0.75 + 0.25 * 4 / 5)
    assert report(threshold=0.75).mitotic == Counts(3, 0, 1)
    assert report(threshold=0.8).mitotic == Counts(3, 0, 1)


def test_atypical_against_normal_by_hand():
    got = report().atypical
    # Atypical shares 2/9, 5/11 (normal) and 7/9, 1/4 (atypical): one of two atypical found, both normal right.
    assert got.counts == Counts(1, 0, 1)
    assert got.normal == 2
    assert got.balanced_accuracy == pytest.approx(0.75)
    assert got.roc_auc == pytest.approx((2 + 1) / 4)


def test_intervals_are_over_cases():
    got = report()
    assert (got.cases, got.patches) == (2, 6)
    # Case a alone: 2 of 3 right; case b alone: 1 of 3.
    assert got.intervals["accuracy"].low == pytest.approx(1 / 3)
    assert got.intervals["accuracy"].high == pytest.approx(2 / 3)
    # Case b alone has no negative and no false positive.
    assert got.intervals["mitotic_precision"].low == pytest.approx(0.5)
    assert got.intervals["mitotic_precision"].high == pytest.approx(1)
    assert set(got.intervals) == {
        "accuracy",
        "balanced_accuracy",
        "macro_f1",
        "mitotic_precision",
        "mitotic_recall",
        "mitotic_f1",
        "mitotic_auc",
        "atypical_balanced_accuracy",
    }


def test_two_classes_have_no_atypical():
    got = evaluate_patches([0, 1], np.array([[0.8, 0.2], [0.1, 0.9]]), CLASSES[:2], ["a", "b"], bootstraps=20)
    assert got.atypical is None
    assert "atypical_balanced_accuracy" not in got.intervals
    assert got.mitotic == Counts(1, 0, 0)


def test_no_mitosis_among_the_truth():
    got = evaluate_patches([0, 0], np.array([[0.8, 0.1, 0.1], [0.1, 0.5, 0.4]]), CLASSES, ["a", "b"], bootstraps=20)
    assert math.isnan(got.mitotic_auc)
    assert math.isnan(got.atypical.balanced_accuracy)
    assert got.balanced_accuracy == 0.5
    assert got.mitotic == Counts(0, 1, 0)


def test_scores_of_stacked_matrices():
    tables = np.array([[[2, 0], [0, 2]], [[1, 3], [0, 0]]])
    assert accuracy(tables).tolist() == [1, 0.25]
    assert balanced_accuracy(tables).tolist() == [1, 0.25]
    assert class_scores(tables)[1][1] == pytest.approx([0.25, math.nan], nan_ok=True)


def test_indices_and_names_are_the_same():
    assert class_indices(LABELS, CLASSES).tolist() == class_indices(np.array([0, 0, 1, 1, 2, 2]), CLASSES).tolist()


def test_unknown_class():
    with pytest.raises(UnknownNameError) as error:
        evaluate_patches(["mitotic_figur"], np.ones((1, 3)) / 3, CLASSES, ["a"])
    assert str(error.value) == "No class named 'mitotic_figur'. Did you mean 'mitotic_figure'?"
    with pytest.raises(UnknownNameError, match="No class named '3'"):
        class_indices(np.array([3]), CLASSES)


def test_patches_that_cannot_be_measured():
    with pytest.raises(DataError) as error:
        evaluate_patches([], np.zeros((0, 3)), CLASSES, [])
    assert str(error.value) == "There is no labelled patch to measure on. Check the folder and its labels."
    with pytest.raises(DataError) as error:
        evaluate_patches([0, 1], np.ones((1, 3)) / 3, CLASSES, ["a", "b"])
    assert str(error.value) == ("2 labels of 3 classes need probabilities (2, 3) and 2 cases, not (1, 3) and 2.")
    with pytest.raises(
        DataError, match="A probability is outside 0 to 1. Give the output after the sigmoid or softmax."
    ):
        evaluate_patches([0], np.array([[2.0, -1.0, 0.0]]), CLASSES, ["a"])
