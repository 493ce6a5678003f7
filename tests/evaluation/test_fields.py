import math
import time
import tracemalloc

import numpy as np
import pytest

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.evaluation.counts import Counts
from mitozoo.evaluation.fields import FieldFound, FieldTruth, evaluate_fields
from mitozoo.evaluation.groups import worst


def row(*places):
    return np.array([[place, 50.0] for place in places]).reshape(-1, 2)


def truth(name, case, places=(), **more):
    return FieldTruth(name, case, row(*places), **{"um_per_px": 0.25, "area_mm2": 0.5, **more})


def found(name, places=(), scores=()):
    return FieldFound(name, row(*places), np.array(scores, dtype=float))


# Case one: two fields. Case two: one field without detections. Case three: nothing there, nothing found.
TRUTHS = [
    truth("1a", "one", (100, 300), domain="scanner A"),
    truth("1b", "one", (100,), domain="scanner B"),
    truth("2a", "two", (100, 500), domain="scanner B"),
    truth("3a", "three", domain="scanner B"),
]
FOUND = [
    found("1a", (110, 90, 700), (0.9, 0.6, 0.8)),
    found("1b", (100, 900), (0.7, 0.3)),
    found("3a"),
]


def test_counts_by_hand():
    got = evaluate_fields(TRUTHS, FOUND, threshold=0.5, bootstraps=100)
    # 1a: 110 hits 100; 90 is a second hit, 700 wrong; 300 missed. 1b: 100 hit, 900 below the threshold. 2a: missed.
    assert got.counts == Counts(2, 2, 3)
    assert got.fp_per_mm2 == 2 / 2.0
    assert [(item.name, item.fields, item.truths, item.found, item.counts) for item in got.cases] == [
        ("one", 2, 3, 4, Counts(2, 2, 1)),
        ("three", 1, 0, 0, Counts(0, 0, 0)),
        ("two", 1, 2, 0, Counts(0, 0, 2)),
    ]
    assert got.cases[0].domain == "scanner A, scanner B"
    assert got.cases[0].fp_per_mm2 == 2.0
    assert math.isnan(got.cases[1].counts.f1)
    assert [(item.name, item.counts) for item in got.domains] == [
        ("scanner A", Counts(1, 2, 1)),
        ("scanner B", Counts(1, 0, 2)),
    ]
    assert got.fields == 4


def test_curve_and_summaries_by_hand():
    got = evaluate_fields(TRUTHS, FOUND, bootstraps=100)
    assert got.curve.thresholds.tolist() == [0.9, 0.8, 0.7, 0.6, 0.3]
    assert got.curve.tp.tolist() == [1, 1, 2, 2, 2]
    assert got.curve.fp.tolist() == [0, 1, 1, 2, 3]
    assert got.average_precision == pytest.approx(0.2 + 0.2 * 2 / 3)
    assert math.isnan(got.fp_at_recall[0.5])
    assert got.curve.counts_at(0.5) == got.counts


def test_agreement_by_case():
    got = evaluate_fields(TRUTHS, FOUND, bootstraps=100).agreement
    # Found − truth: one 4 − 3, three 0 − 0, two 0 − 2.
    assert got.bias == pytest.approx(-1 / 3)
    assert got.high - got.low == pytest.approx(2 * 1.96 * math.sqrt(7 / 3))


def test_domains_by_hand():
    a, b = evaluate_fields(TRUTHS, FOUND, bootstraps=500).domains
    # Scanner A has one case, which cannot be drawn again. Of B's three, case one has 1 of 1, two 0 of 2, three nothing.
    assert (a.cases, a.fields, a.truths, a.area_mm2, a.fp_per_mm2) == (1, 1, 2, 0.5, 4.0)
    assert math.isnan(a.intervals["f1"].low)
    assert (b.cases, b.fields, b.truths, b.area_mm2, b.fp_per_mm2) == (3, 3, 3, 1.5, 0.0)
    assert (b.intervals["recall"].low, b.intervals["recall"].high) == (0, 1)
    assert (b.intervals["precision"].low, b.intervals["precision"].high) == (1, 1)


def test_the_worst_domain():
    got = evaluate_fields(TRUTHS, FOUND, bootstraps=10)
    # F1 of A: 2 / (2 + 2 + 1), of B: 2 / (2 + 0 + 2).
    assert [row.counts.f1 for row in got.domains] == pytest.approx([0.4, 0.5])
    assert worst(got.domains).name == "scanner A"
    assert worst(got.domains[:1]) is None
    # Case three has no F1, so it cannot be the worst.
    assert worst(got.cases).name == "two"


def test_calibration_by_hand():
    got = evaluate_fields(TRUTHS, FOUND, bootstraps=10)
    # Right: 0.9 and 0.7; wrong: 0.8, 0.6 and 0.3, the last of them below the threshold.
    assert got.calibration.number.tolist() == [0, 0, 0, 1, 0, 0, 1, 1, 1, 1]
    np.testing.assert_array_equal(got.calibration.observed[[3, 6, 7, 8, 9]], [0, 0, 1, 0, 1])
    assert got.calibration.ece == pytest.approx((0.1 + 0.8 + 0.3 + 0.6 + 0.3) / 5)
    assert got.counted_ece == pytest.approx((0.1 + 0.8 + 0.3 + 0.6) / 4)
    # The second hit at 0.6 is neither right nor wrong.
    many = evaluate_fields(TRUTHS, FOUND, "amida13", bootstraps=10)
    assert many.calibration.ece == pytest.approx((0.1 + 0.8 + 0.3 + 0.3) / 4)


def test_scores_that_are_no_probabilities_have_no_calibration():
    got = evaluate_fields(TRUTHS[:1], [found("1a", (100,), (3.5,))], threshold=2.0, bootstraps=10)
    assert (got.counts, got.calibration) == (Counts(1, 0, 1), None)
    assert math.isnan(got.counted_ece)


def test_images_that_were_not_searched_are_named_and_not_counted():
    more = [*TRUTHS, truth("4a", "four", (100,), searched=False), truth("5a", "five", labelled=False, searched=False)]
    got = evaluate_fields(more, FOUND, bootstraps=10)
    assert (got.unsearched, got.skipped, got.counts, got.fields) == (("4a",), ("5a",), Counts(2, 2, 3), 4)
    with pytest.raises(DataError) as error:
        evaluate_fields(more[4:], [])
    assert str(error.value) == (
        "None of the labelled images was searched, so nothing can be measured. Search them first."
    )


def test_many_to_one_counts_the_second_hit_as_nothing():
    got = evaluate_fields(TRUTHS, FOUND, "amida13", bootstraps=100)
    assert got.counts == Counts(2, 1, 3)
    assert got.cases[0].found == 4
    assert got.protocol.name == "amida13"


def test_intervals_over_cases():
    got = evaluate_fields(TRUTHS, FOUND, bootstraps=500)
    # Recall of case one alone 2/3, of case two alone 0.
    assert got.intervals["recall"].low == 0
    assert got.intervals["recall"].high == pytest.approx(2 / 3)
    again = evaluate_fields(TRUTHS, FOUND, bootstraps=500)
    assert again.intervals == got.intervals


def test_order_of_images_and_detections_does_not_matter():
    mixed = [FieldFound(item.name, item.xy[::-1], item.scores[::-1]) for item in FOUND[::-1]]
    first, second = evaluate_fields(TRUTHS, FOUND, bootstraps=50), evaluate_fields(TRUTHS[::-1], mixed, bootstraps=50)
    assert first.cases == second.cases
    assert first.intervals == second.intervals
    assert first.average_precision == second.average_precision


def test_unlabelled_fields_are_skipped_and_named():
    more = [*TRUTHS, truth("4a", "four", labelled=False)]
    got = evaluate_fields(more, [*FOUND, found("4a", (10, 20), (0.9, 0.9))], bootstraps=50)
    assert got.skipped == ("4a",)
    assert got.counts == Counts(2, 2, 3)
    assert got.area_mm2 == 2.0
    assert [item.name for item in got.cases] == ["one", "three", "two"]


def test_excluded_circles():
    # 700 is wrong but lies in the circle (its edge too); so does the missed truth at 300 of another circle.
    masked = [truth("1a", "one", (100, 300), excluded=((690, 50, 10), (300, 40, 20)))]
    got = evaluate_fields(masked, [FOUND[0]], threshold=0.65, bootstraps=10)
    assert got.counts == Counts(1, 0, 0)
    assert (got.ignored, got.excluded_truths) == (1, 1)
    assert got.curve.fp.tolist() == [0, 1]


def test_unknown_area_and_domain():
    got = evaluate_fields([truth("a", "a", (1,), area_mm2=math.nan)], [], bootstraps=10)
    assert math.isnan(got.fp_per_mm2) and math.isnan(got.area_mm2)
    assert got.domains[0].name == "not given"
    assert got.counts == Counts(0, 0, 1)
    assert got.average_precision == 0
    assert math.isnan(got.intervals["f1"].low)


def test_unknown_image():
    with pytest.raises(DataError) as error:
        evaluate_fields(TRUTHS, [found("1c", (1,), (1,))])
    assert str(error.value) == (
        "There are detections for '1c', but no image of that name in the truth. Did you mean '1b'? "
        "Use the same names in both, or leave that image out."
    )


@pytest.mark.parametrize(
    ("truths", "detections", "message"),
    [
        (
            [TRUTHS[0], TRUTHS[0]],
            [],
            "Image '1a' has more than one truth. Give every image once, under its own name.",
        ),
        (
            TRUTHS,
            [FOUND[0], FOUND[0]],
            "Image '1a' has more than one set of detections. Give every image once, under its own name.",
        ),
        (
            [truth("x", "x", labelled=False)],
            [],
            "None of the 1 images is labelled, so nothing can be measured. Give the label file.",
        ),
        (
            TRUTHS,
            [found("1b", (5,), (math.nan,))],
            "Image '1b': A score is not a finite number. Correct or remove its detection.",
        ),
        (
            TRUTHS,
            [found("1b", (5, 6), (0.5,))],
            "Image '1b': 2 detections need 2 scores, not 1.",
        ),
        (
            [truth("x", "x", (1,), um_per_px=None)],
            [],
            "Image 'x': Protocol 'default' measures in µm, but the spacing of the image is not known. "
            "Give it with --um-per-px (0.25 is usual at 40x).",
        ),
    ],
)
def test_what_cannot_be_measured(truths, detections, message):
    with pytest.raises(DataError) as error:
        evaluate_fields(truths, detections)
    assert str(error.value) == message


def test_unknown_protocol():
    with pytest.raises(UnknownNameError, match="No protocol named 'midogg'. Did you mean 'midog'?"):
        evaluate_fields(TRUTHS, FOUND, "midogg")


def test_a_thousand_fields_are_quick_and_small():
    rng = np.random.default_rng(0)
    truths, detections = [], []
    for index in range(1000):
        mitoses = rng.uniform(0, 2000, (5, 2))
        truths.append(FieldTruth(str(index), f"case {index % 50}", mitoses, 0.25, 0.25))
        xy = np.concatenate([mitoses[:4] + 3, rng.uniform(0, 2000, (96, 2))])
        detections.append(FieldFound(str(index), xy, rng.uniform(size=100)))
    tracemalloc.start()
    start = time.perf_counter()
    got = evaluate_fields(truths, detections, threshold=0.0)
    seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 4000 <= got.counts.tp <= 4100
    assert got.counts.tp + got.counts.fp == 100_000
    assert seconds < 10
    assert peak < 100e6
