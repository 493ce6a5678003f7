import numpy as np
import pytest

from mitozoo.base.points import CLASSES
from mitozoo.evaluation.held_out import held_out_reports, location_error, one_to_one

#: 2 mitotic figures, 1 atypical, 6 others.
LABELS = np.array([0, 1, 0, 2, 0, 0, 1, 0, 0])


def test_one_other_cell_for_each_mitotic_figure():
    kept = one_to_one(LABELS, CLASSES, seed=3)
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert {1, 3, 6} <= set(kept.tolist())
    assert (LABELS[kept] == 0).sum() == 3
    assert one_to_one(LABELS, CLASSES, seed=3).tolist() == kept.tolist()
    assert len({tuple(one_to_one(LABELS, CLASSES, seed=seed)) for seed in range(20)}) > 1


def test_all_others_where_there_are_fewer():
    assert one_to_one(np.array([1, 1, 0, 1]), CLASSES).tolist() == [0, 1, 2, 3]


def test_reports_on_all_cells_and_on_a_balanced_part():
    # Mitotic figures score 0.9, the atypical one 0.2; two of the six others score 0.7.
    score = np.array([0.7, 0.9, 0.1, 0.2, 0.1, 0.7, 0.9, 0.1, 0.1])
    probabilities = np.stack([1 - score, score, 0 * score], axis=1)
    reports = held_out_reports(LABELS, probabilities, CLASSES, np.array(list("aabbccdde")), seed=0)
    counts = reports["all"].mitotic
    assert (counts.tp, counts.fp, counts.fn) == (2, 2, 1)
    kept = one_to_one(LABELS, CLASSES, seed=0)
    balanced = reports["one-to-one"]
    assert (balanced.mitotic.tp, balanced.mitotic.fn, balanced.patches) == (2, 1, 6)
    assert balanced.mitotic.fp == int((score[kept][LABELS[kept] == 0] == 0.7).sum())


def test_location_error_of_mitotic_figures_alone():
    error = np.array([99.0, 1, 99, 3, 99, 99, 2, 99, 99])
    found = location_error(error, LABELS, CLASSES)
    # Sorted 1, 2, 3: the 95th percentile lies 0.9 of the way from the second to the third.
    assert found == {"median_px": 2.0, "p95_px": pytest.approx(2.9), "cells": 3}


def test_location_error_of_nothing():
    found = location_error(np.array([5.0]), np.array([0]), CLASSES)
    assert np.isnan(found["median_px"]) and np.isnan(found["p95_px"]) and found["cells"] == 0


def test_nothing_mitotic_was_held_out():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    reports = held_out_reports(np.array([0, 0]), probabilities, ("non_mitotic", "mitotic_figure"), np.array(["a", "b"]))
    assert list(reports) == ["all"]
    assert (reports["all"].mitotic.fp, reports["all"].mitotic.fn) == (1, 0)
