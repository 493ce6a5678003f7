"""Labels by overlap: a table by hand."""

import numpy as np
import pytest

from mitozoo.models.layers.rcnn.matching import IGNORED, NEGATIVE, POSITIVE, matcher, with_best

#: One tile: six boxes, two truths and a row that is none.
OVERLAPS = np.array([[[0.29, 0, -1], [0.3, 0.1, -1], [0.69, 0, -1], [0.2, 0.7, -1], [0.1, 0, -1], [0.9, 0.8, -1]]])


@pytest.mark.parametrize(
    ("limits", "wanted"),
    [
        ((0.3, 0.7), [NEGATIVE, IGNORED, IGNORED, POSITIVE, NEGATIVE, POSITIVE]),
        ((0.5, 0.5), [NEGATIVE, NEGATIVE, POSITIVE, POSITIVE, NEGATIVE, POSITIVE]),
    ],
)
def test_labels_by_hand(limits, wanted):
    matched, labels = matcher(*limits)(OVERLAPS.astype("float32"))
    assert np.array(labels).tolist() == [wanted]
    assert np.array(matched).tolist() == [[0, 0, 0, 1, 0, 0]]


def test_without_any_truth_all_are_negative():
    matched, labels = matcher(0.3, 0.7)(-np.ones((2, 4, 3), "float32"))
    assert np.array(labels).tolist() == [[NEGATIVE] * 4] * 2
    assert np.array(matched).tolist() == [[0] * 4] * 2


def test_the_best_of_every_truth_is_positive_and_rows_of_none_force_nothing():
    overlaps = np.array([[[0.1, 0, -1], [0.5, 0.0, -1], [0.2, 0, -1], [0.5, 0, -1], [0, 0, -1]]], "float32")
    labels = with_best(overlaps, np.array([[NEGATIVE, IGNORED, NEGATIVE, IGNORED, NEGATIVE]]))
    # The second truth overlaps nothing, so it has no best; the first has two that are equally good.
    assert np.array(labels).tolist() == [[NEGATIVE, POSITIVE, NEGATIVE, POSITIVE, NEGATIVE]]
