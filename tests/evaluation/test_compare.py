import csv
import json
import shutil

import numpy as np
import pytest

from mitozoo.base.errors import DataError, OutputError
from mitozoo.base.points import CLASSES
from mitozoo.evaluation.bootstrap import ap_samples, draws, paired_test
from mitozoo.evaluation.classes import evaluate_patches
from mitozoo.evaluation.compare import compare, unique_names, verdict
from mitozoo.evaluation.compare_page import write_comparison
from mitozoo.evaluation.curves import average_precision, detection_curve
from mitozoo.evaluation.fields import FieldFound, FieldTruth, evaluate_fields
from mitozoo.evaluation.matching import Gains
from mitozoo.evaluation.report import write_report
from mitozoo.evaluation.saved import read_run

#: Places of up to three mitotic figures in every image.
PLACES = np.array([[100.0, 100.0], [300.0, 100.0], [500.0, 100.0]])
FAR = np.array([700.0, 700.0])


def fields_report(folder, hits, model="stn", data="set", protocol="default", shift_px=0.0, threshold=0.5):
    """A report of one image a case, each with three figures.

    Args: hits, case: (scores of the figures found, scores of what is wrong); shift_px, of the labels.
    """
    truths = [FieldTruth(f"{case}.png", case, PLACES + shift_px, 0.25, 1.0) for case in hits]
    found = []
    for case, (right, wrong) in hits.items():
        xy = np.array([*PLACES[: len(right)], *(FAR + 100 * i for i in range(len(wrong)))]).reshape(-1, 2)
        found.append(FieldFound(f"{case}.png", xy, np.array([*right, *wrong], dtype=float)))
    report = evaluate_fields(truths, found, protocol, threshold)
    write_report(report, folder, model, {"model": model, "weights": "0123", "data": data})
    return folder


#: On a: 3 right, 0 wrong at 0.5; on b: 1 right, 1 wrong; on c: 2 right, 0 wrong.
GOOD = {"a": ([0.9, 0.8, 0.7], []), "b": ([0.6], [0.55]), "c": ([0.9, 0.7], [0.2])}
#: On a: 1 right, 1 wrong; on b: 0 right, 2 wrong; on c: 1 right, 0 wrong.
POOR = {"a": ([0.9], [0.8]), "b": ([], [0.7, 0.6]), "c": ([0.65, 0.3], [])}


@pytest.fixture
def two(tmp_path):
    return [fields_report(tmp_path / "good", GOOD), fields_report(tmp_path / "poor", POOR, "cnn12")]


def test_what_a_report_leaves_is_read_back(two):
    run = read_run(two[0])
    assert (run.kind, run.cases, run.threshold, run.truths.tolist()) == ("fields", ("a", "b", "c"), 0.5, [3, 3, 3])
    assert run.counts.tolist() == [[3, 0, 0], [1, 1, 2], [2, 0, 1]]
    part = run.of_cases(["c", "a"])
    assert part.counts.tolist() == [[2, 0, 1], [3, 0, 0]]
    assert part.curve.area_mm2 == 2.0 and part.curve.positives == 6
    lines = (two[0] / "scores.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "case,image,score,outcome"
    assert lines[4:6] == ["b,b.png,0.6,true_positive", "b,b.png,0.55,false_positive"]


def test_numbers_of_fields(two):
    got = compare(two, seed=5)
    first, second = got.rows
    assert (got.cases, got.truths, got.left_out, first.tests) == (("a", "b", "c"), 9, {}, {})
    # 6 of 9 found, 1 wrong; 2 of 9 found, 3 wrong.
    assert (first.values["precision"], first.values["recall"]) == (6 / 7, 6 / 9)
    assert first.values["f1"] == pytest.approx(12 / 16)
    assert second.values["f1"] == pytest.approx(4 / 14)
    # By falling score: two right of two at 0.9, one at 0.8 (3/3), two at 0.7 (5/5), one at 0.6 (6/6), 0.55 wrong.
    assert first.values["average_precision"] == pytest.approx(6 / 9)
    # Right at 0.9 (1/1), wrong at 0.8 and 0.7, right at 0.65 (2/4), wrong at 0.6, right at 0.3 (3/6).
    assert second.values["average_precision"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 9)
    assert second.tests["f1"].difference == pytest.approx(4 / 14 - 12 / 16)
    # The same test as of the two tables of counts.
    tables = np.array([[1, 1, 2], [0, 2, 3], [1, 0, 2]]), np.array([[3, 0, 0], [1, 1, 2], [2, 0, 1]])
    for name in ("precision", "recall", "f1"):
        by_hand = paired_test(*tables, metric=name, seed=5)
        assert second.tests[name].difference == pytest.approx(by_hand.difference)
        assert second.tests[name].p_value == by_hand.p_value
        assert second.tests[name].interval.low == pytest.approx(by_hand.interval.low)
    assert verdict(second.tests["f1"]) == "worse"


def test_the_intervals_are_those_of_the_report(two):
    said = json.loads((two[0] / "report.json").read_text(encoding="utf-8"))["intervals_95"]
    got = compare(two).rows[0].intervals
    for name, interval in said.items():
        assert vars(got[name]) == pytest.approx(interval)


def test_only_shared_cases_count(tmp_path, two):
    wider = fields_report(tmp_path / "wider", {**GOOD, "d": ([], [0.9] * 5)}, "unet")
    got = compare([*two, wider])
    assert got.cases == ("a", "b", "c") and got.left_out == {"unet": ("d",)}
    assert got.rows[2].values == got.rows[0].values
    test = got.rows[2].tests["f1"]
    assert (test.difference, test.p_value, verdict(test)) == (0, 1, "no clear difference")


def test_ap_samples_are_those_of_repeated_cases():
    rng = np.random.default_rng(3)
    case, scores = rng.integers(0, 5, 60), rng.integers(1, 20, 60) / 20
    outcome = rng.integers(0, 3, 60)
    truths = np.bincount(case[outcome == 1], minlength=5) + 2
    by_hand = []
    for drawn in np.concatenate(list(draws(5, 50, seed=2))):
        kept = np.concatenate([np.flatnonzero(case == index) for index in np.repeat(np.arange(5), drawn)])
        gained = Gains(scores[kept], outcome[kept] == 1, outcome[kept] == 2, int(drawn @ truths))
        by_hand.append(average_precision(detection_curve([gained])))
    got = ap_samples(scores, outcome == 1, outcome == 2, case, truths, 50, 2)
    assert got == pytest.approx(by_hand)


def test_draws_do_not_depend_on_the_size_of_the_chunks():
    # Numbers of one comparison are paired only if every one of them draws the same cases.
    whole, parts = (np.concatenate(list(draws(7, 100, seed=1, width=width))) for width in (0, 1_000_000))
    assert (whole == parts).all()


def patches_report(folder, probabilities, classes=CLASSES, labels=(0, 1, 2, 0, 1, 2), threshold=0.5):
    report = evaluate_patches(list(labels), np.array(probabilities), classes, list("aabbcc"), threshold)
    write_report(report, folder, folder.name, {"model": folder.name, "data": "AMi-Br"})
    return folder


RIGHT = [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7], [0.9, 0.1, 0.0], [0.3, 0.4, 0.3], [0.2, 0.3, 0.5]]
#: The second is taken for another cell, the third and the last for normal, the fourth for a mitotic figure.
WRONG = [[0.8, 0.1, 0.1], [0.7, 0.2, 0.1], [0.1, 0.7, 0.2], [0.3, 0.5, 0.2], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3]]


def test_numbers_of_patches(tmp_path):
    got = compare([patches_report(tmp_path / "right", RIGHT), patches_report(tmp_path / "wrong", WRONG)])
    right, wrong = got.rows
    assert got.kind == "patches" and got.truths == 4
    assert set(right.values.values()) == {1.0}
    assert wrong.run.counts.sum(axis=0).tolist() == [3, 1, 1]
    assert wrong.values["f1"] == pytest.approx(3 / 4)
    # Mitotic scores of the positives 0.3, 0.9, 0.9, 0.8; of the others 0.2, 0.7: 7 of 8 pairs are ranked right.
    assert wrong.values["roc_auc"] == pytest.approx(7 / 8)
    assert wrong.values["average_precision"] == pytest.approx((1 + 1 + 1 + 4 / 5) / 4)
    # Recalls of the classes 1/2, 1/2 and 0; of normal and atypical 1 and 0.
    assert wrong.values["balanced_accuracy"] == pytest.approx(1 / 3)
    assert wrong.values["atypical_balanced_accuracy"] == pytest.approx(1 / 2)
    assert wrong.tests["recall"].difference == pytest.approx(-1 / 4)


def test_patches_of_other_classes_are_compared_as_mitotic_or_not(tmp_path):
    two_classes = np.stack([np.array(RIGHT)[:, 0], 1 - np.array(RIGHT)[:, 0]], axis=1)
    labels = (0, 1, 1, 0, 1, 1)
    runs = [
        patches_report(tmp_path / "three", RIGHT),
        patches_report(tmp_path / "two", two_classes, CLASSES[:2], labels),
    ]
    got = compare(runs)
    assert got.metrics == ("f1", "precision", "recall", "average_precision", "roc_auc")
    assert got.rows[1].values["f1"] == 1


def test_files(two, tmp_path):
    paths = write_comparison(compare(two), tmp_path / "out")
    assert [path.name for path in paths] == [
        "compare.json", "compare.csv", "f1.png", "precision_recall.png", "compare.html"
    ]  # fmt: skip
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in paths)
    content = json.loads(paths[0].read_text(encoding="utf-8"))
    assert content["compared_with"] == "stn" and content["protocol"]["name"] == "default"
    assert [model["name"] for model in content["models"]] == ["stn", "cnn12"]
    assert content["models"][1]["counts"] == {"tp": 2, "fp": 3, "fn": 7}
    assert content["models"][1]["minus_first"]["f1"]["difference"] == pytest.approx(4 / 14 - 12 / 16)
    rows = list(csv.DictReader(paths[1].open(encoding="utf-8", newline="")))
    assert [(row["model"], row["metric"]) for row in rows[:5]] == [
        ("stn", "f1"), ("stn", "precision"), ("stn", "recall"), ("stn", "average_precision"), ("cnn12", "f1")
    ]  # fmt: skip
    assert (rows[0]["value"], rows[0]["p_value"], rows[4]["value"]) == ("0.75", "", "0.285714")
    page = paths[-1].read_text(encoding="utf-8")
    assert "Highest F1: stn, 0.750. cnn12 against stn: clearly worse (F1 −0.464" in page
    assert page.count("data:image/png;base64,") == 2 and "http" not in page
    assert "With fewer than 10 cases" in page


def test_nothing_there_and_nothing_found(tmp_path):
    for name in ("x", "y"):
        truths = [FieldTruth("1.png", "one", np.zeros((0, 2)), 0.25)]
        write_report(evaluate_fields(truths, [], bootstraps=10), tmp_path / name, name, {"model": name})
    got = compare([tmp_path / "x", tmp_path / "y"])
    assert np.isnan(got.rows[0].values["f1"]) and verdict(got.rows[1].tests["f1"]) == "cannot be told"
    page = write_comparison(got, tmp_path / "out")[-1].read_text(encoding="utf-8")
    assert "No model has an F1 on these cases" in page
    assert not (tmp_path / "out" / "precision_recall.png").exists()


def test_equal_names_get_numbers(two, tmp_path):
    again = fields_report(tmp_path / "again", GOOD, "stn")
    named_so = fields_report(tmp_path / "odd", GOOD, "stn (1)")
    assert unique_names([read_run(path) for path in (*two, again)]) == ["stn (1)", "cnn12", "stn (2)"]
    assert unique_names([read_run(path) for path in (again, named_so, two[0])]) == ["stn (2)", "stn (1)", "stn (3)"]
    named = fields_report(tmp_path / "nameless", GOOD, "")
    assert unique_names([read_run(named)]) == ["nameless"]


def refused(*folders):
    with pytest.raises(DataError) as caught:
        compare(folders)
    return str(caught.value)


def test_refusals(two, tmp_path):
    good, poor = two
    assert refused(good) == ("A comparison needs two reports or more. Give the folders that 'mitozoo evaluate' wrote.")
    other = fields_report(tmp_path / "protocol", POOR, protocol="midog")
    assert refused(good, other) == (
        f"Reports of different protocols cannot be compared: {good} has 'default', {other} has 'midog'. Measure both "
        "models in the same way."
    )
    other = fields_report(tmp_path / "data", POOR, data="other")
    assert refused(good, poor, other) == (
        f"Reports of different data cannot be compared: {good} has 'set', {other} has 'other'. Measure both models in "
        "the same way."
    )
    other = patches_report(tmp_path / "patches", RIGHT)
    assert refused(good, other) == (
        f"Reports of different kinds cannot be compared: {good} has 'fields', {other} has 'patches'. Measure both "
        "models in the same way."
    )
    other = fields_report(tmp_path / "labels", POOR, shift_px=1.0)
    assert refused(good, other) == (
        f"Case 'a' has other labels in {good} than in {other}: the data are different, or were changed in between. Run "
        "'mitozoo evaluate' again for both."
    )
    other = fields_report(tmp_path / "cases", {"d": ([0.9], [])})
    assert refused(good, other) == (f"No case is in all of {good}, {other}. Measure the models on the same cases.")


def test_folders_that_are_no_report(two, tmp_path):
    (tmp_path / "empty").mkdir()
    assert refused(two[0], tmp_path / "empty") == (
        f"{tmp_path / 'empty'} has no report.json. Give a folder that this version of 'mitozoo evaluate' wrote."
    )
    (two[1] / "scores.csv").unlink()
    assert refused(*two).startswith(f"{two[1]} has no scores.csv.")
    damaged = f"{two[1]}: report.json and scores.csv are damaged or not of one report. Run 'mitozoo evaluate' again."
    shutil.copy(two[0] / "scores.csv", two[1])
    assert refused(*two) == damaged
    for text in ("", "case,image\n", "case,image,score,outcome\na,a.png,nan,duplicate\n", "case,class\n\x00"):
        (two[1] / "scores.csv").write_text(text)
        assert refused(*two) == damaged
    (two[1] / "report.json").write_text("[]")
    assert refused(*two) == damaged


def test_out_that_is_a_file(two, tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        write_comparison(compare(two), tmp_path / "taken")
