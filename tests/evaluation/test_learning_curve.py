"""Learning curves by hand."""

import csv
import json

import numpy as np
import pytest

from mitozoo.evaluation.learning_curve import answer, enough, learning_curve, write_curves
from mitozoo.training.outcome import Outcome
from mitozoo.training.transfer import Finished, Trial

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


def finished(start, repeat, shares, cases, figures, scores):
    """Held-out cells of one repeat: as many mitotic as not, with the given mitotic scores."""
    labels = np.array([1, 2, 0, 0])
    scores = np.array(scores)
    # An atypical share of 0.3 counts as mitotic too.
    probabilities = np.column_stack([1 - scores, 0.7 * scores, 0.3 * scores])
    names = np.array([f"r{repeat} a", f"r{repeat} b"] * 2)
    outcome = Outcome(labels, probabilities, names, np.full(4, "labelled"), np.full(4, repeat), None)
    return Finished(Trial(start, repeat, shares, tuple(f"case {i}" for i in range(cases))), figures, outcome)


@pytest.fixture
def study():
    return [
        finished("source", 0, (0.0,), 0, 0, [0.9, 0.4, 0.1, 0.6]),
        finished("source", 1, (0.0,), 0, 0, [0.9, 0.9, 0.1, 0.1]),
        finished("source", 0, (0.1, 0.2), 1, 10, [0.9, 0.9, 0.1, 0.1]),
        finished("source", 1, (0.1, 0.2), 1, 20, [0.9, 0.9, 0.1, 0.6]),
        finished("source", 0, (1.0,), 5, 60, [0.9, 0.9, 0.1, 0.1]),
        finished("source", 1, (1.0,), 7, 80, [0.9, 0.9, 0.1, 0.1]),
        finished("scratch", 0, (0.1, 0.2), 1, 10, [0.1, 0.1, 0.1, 0.1]),
        finished("scratch", 1, (0.1, 0.2), 1, 20, [0.1, 0.9, 0.1, 0.1]),
    ]


def test_points_by_hand(study):
    points = learning_curve(study, CLASSES)
    assert [(p.start, p.shares, p.cases, p.figures) for p in points] == [
        ("source", (0.0,), 0, 0),
        ("source", (0.1, 0.2), 1, 15),
        ("source", (1.0,), 6, 70),
        ("scratch", (0.1, 0.2), 1, 15),
    ]
    # Without labels: 3 of 4 found, one false: precision 3/4, recall 3/4; repeats 1/2 and 1.
    assert (points[0].precision, points[0].recall, points[0].f1) == (0.75, 0.75, 0.75)
    assert points[0].repeats == (0.5, 1.0)
    # 4 of 4 found, one false: precision 4/5, F1 8/9.
    assert points[1].f1 == pytest.approx(8 / 9)
    assert points[2].f1 == 1 and points[2].auc == 1
    # Every resample of cases is perfect too.
    assert (points[2].f1_interval.low, points[2].f1_interval.high) == (1, 1)
    # 1 of 4, none false: F1 2/5. Ranks: 0.9 above all four others, three ties of 0.1 with each of four at one half.
    assert points[3].f1 == pytest.approx(0.4)
    assert points[3].auc == pytest.approx((4 + 3 * 4 * 0.5) / 16)


def test_repeats_whose_shares_fall_differently_are_paired_by_share():
    one = [finished("source", 0, (0.1,), 1, 5, [1, 1, 0, 0]), finished("source", 0, (0.2,), 2, 9, [1, 1, 0, 0])]
    two = [finished("source", 1, (0.1, 0.2), 1, 6, [1, 1, 0, 0])]
    points = learning_curve(one + two, CLASSES)
    assert [(p.shares, p.cases, p.figures) for p in points] == [((0.1,), 1, 5.5), ((0.2,), 1.5, 7.5)]


def test_how_many_are_enough(study):
    points = learning_curve(study, CLASSES)
    assert enough(points, "source") is points[2]
    assert enough(points, "scratch") is None
    assert answer(points) == (
        "From the source: within 0.02 of the best F1 from 70 mitotic figures of 6 cases on (F1 1.000).\n"
        "From scratch: no training came within 0.02 of the best F1."
    )
    only = learning_curve(study[1:2], CLASSES)
    assert answer(only) == "From the source: within 0.02 of the best F1 without any label (F1 1.000)."


def test_files(study, tmp_path):
    points = learning_curve(study, CLASSES)
    paths = write_curves(points, tmp_path, title="a to b", about={"source": "a"})
    content = json.loads(paths[0].read_text())
    assert content["source"] == "a" and len(content["points"]) == 4
    rows = list(csv.DictReader(paths[1].open()))
    assert rows[1]["shares"] == "0.1 0.2" and rows[1]["f1"] == "0.8889" and rows[0]["f1_repeats"] == "0.5000 1.0000"
    assert paths[2].read_bytes()[:4] == b"\x89PNG"
