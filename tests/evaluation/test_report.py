import csv
import html.parser
import json
import re

import numpy as np
import pytest

from mitozoo.base.errors import OutputError
from mitozoo.base.points import CLASSES
from mitozoo.evaluation.agreement import count_agreement
from mitozoo.evaluation.classes import evaluate_patches
from mitozoo.evaluation.curves import binary_curve
from mitozoo.evaluation.fields import FieldFound, FieldTruth, evaluate_fields
from mitozoo.evaluation.page import RESEARCH_ONLY, interval, number, table
from mitozoo.evaluation.plots import plot_agreement, plot_confusion, plot_curves
from mitozoo.evaluation.report import write_report


def fields_report(area_mm2=0.5, case="<b>one</b>"):
    at = np.array([[100.0, 50.0], [300.0, 50.0]])
    truths = [
        FieldTruth("1.tiff", case, at, 0.25, area_mm2, domain="A"),
        FieldTruth("2.tiff", "two", at[:1], 0.25, area_mm2, domain="B"),
        FieldTruth("3.tiff", "three", at, 0.25, area_mm2, labelled=False),
    ]
    found = [FieldFound("1.tiff", at + [[5, 0], [200, 0]], np.array([0.9, 0.8]))]
    return evaluate_fields(truths, found, "amida13", threshold=0.625, bootstraps=50)


def patches_report():
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.6, 0.2, 0.2]])
    return evaluate_patches([0, 1, 2, 1], probabilities, CLASSES, ["a", "a", "b", "b"], bootstraps=50)


class Balance(html.parser.HTMLParser):
    """Collects text and tags; fails on a tag that closes another one."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.words, self.links = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


def read_page(path):
    page = Balance()
    page.feed(path.read_text(encoding="utf-8"))
    assert page.open == []
    return page, " ".join(page.words)


def test_fields_report_files(tmp_path):
    paths = write_report(fields_report(), tmp_path / "new", "stn & co", {"Model": "stn"})
    assert [path.name for path in paths] == [
        "report.json",
        "cases.csv",
        "domains.csv",
        "scores.csv",
        "precision_recall.png",
        "froc.png",
        "bland_altman.png",
        "calibration.png",
        "report.html",
    ]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in paths)
    for path in paths[4:8]:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_fields_report_json(tmp_path):
    write_report(fields_report(), tmp_path, "stn", {"Model": "stn"})
    got = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (got["tp"], got["fp"], got["fn"]) == (1, 1, 2)
    assert got["f1"] == pytest.approx(2 / 5)
    assert got["protocol"]["name"] == "amida13"
    assert got["threshold"] == 0.625
    assert got["skipped_unlabelled"] == ["3.tiff"]
    assert got["cases"][1]["precision"] is None
    assert got["curves"]["precision-recall"] == {
        "thresholds": [0.9, 0.8],
        "recall": pytest.approx([1 / 3, 1 / 3]),
        "precision": [1, 0.5],
        "f1": pytest.approx([0.5, 0.4]),
    }
    assert got["fp_per_mm2_at_recall"] == {"0.5": None, "0.6": None, "0.7": None, "0.8": None}
    assert (got["title"], got["about"], got["notice"]) == ("stn", {"Model": "stn"}, RESEARCH_ONLY)


def test_cases_csv(tmp_path):
    write_report(fields_report(case='Müller, "A"'), tmp_path)
    rows = list(csv.DictReader((tmp_path / "cases.csv").open(encoding="utf-8", newline="")))
    assert [row["case"] for row in rows] == ['Müller, "A"', "two"]
    assert list(rows[0].values())[1:] == ["A", "1", "2", "2", "1", "1", "1", "0.5", "0.5", "0.5", "0.5", "2"]
    assert list(rows[1].values())[1:] == ["B", "1", "1", "0", "0", "0", "1", "", "0", "0", "0.5", "0"]


def test_domains_csv_of_fields(tmp_path):
    write_report(fields_report(), tmp_path)
    # A: one of two found and one wrong; B: its one is missed, nothing found. One case each has no interval.
    assert (tmp_path / "domains.csv").read_text(encoding="utf-8") == (
        "domain,cases,images,mm2,mitotic_figures,true_positives,false_positives,false_negatives,precision,"
        "precision_low,precision_high,recall,recall_low,recall_high,f1,f1_low,f1_high,false_positives_per_mm2\n"
        "A,1,1,0.5,2,1,1,1,0.5,,,0.5,,,0.5,,,2\n"
        "B,1,1,0.5,1,0,0,1,,,,0,,,0,,,0\n"
    )
    got = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in got["domains"]] == ["A", "B"]
    assert got["domains"][0]["intervals_95"]["f1"] == {"low": None, "high": None}
    # 0.9 is right and 0.8 wrong.
    assert got["calibration"]["ece"] == pytest.approx((0.1 + 0.8) / 2)


def test_domains_csv_of_patches(tmp_path):
    probabilities = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.6, 0.2, 0.2], [0.3, 0.7, 0.0]])
    report = evaluate_patches(
        [0, 1, 2, 1, 0], probabilities, CLASSES, ["a", "a", "b", "c", "c"], domains=["x", "x", "x", "y", "y"],
        bootstraps=50,
    )  # fmt: skip
    x, y = report.domains
    # x: all three right. y: a mitotic figure missed, and an ordinary cell taken for one.
    assert (x.name, x.cases, x.patches, x.balanced_accuracy) == ("x", 2, 3, 1)
    assert (y.name, y.cases, y.patches, y.balanced_accuracy, y.counts.f1) == ("y", 1, 2, 0, 0)
    write_report(report, tmp_path)
    lines = (tmp_path / "domains.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == ["x,2,3,2,2,0,0,1,1,1,1,1,1,1,1,1,1,1,1", "y,1,2,1,0,1,1,0,,,0,,,0,,,0,,"]
    assert lines[0].endswith(",balanced_accuracy,balanced_accuracy_low,balanced_accuracy_high")
    assert "Mitotic or not, lowest F1: y , 0.000." in " ".join(read_page(tmp_path / "report.html")[1].split())
    got = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert got["domains"][1]["fn"] == 1 and got["domains"][0]["intervals_95"]["balanced_accuracy"]["low"] == 1
    # A report of data without domains that takes its place leaves no table of them.
    write_report(patches_report(), tmp_path)
    assert not (tmp_path / "domains.csv").exists()


def test_fields_page(tmp_path):
    write_report(fields_report(), tmp_path, "stn & co", {"Model": "stn"})
    page, words = read_page(tmp_path / "report.html")
    assert RESEARCH_ONLY in words
    assert "Labelled mitotic figures: 3 in 2 cases. Found: 1; missed: 2." in words
    assert "Other places wrongly marked as a mitotic figure: 1." in words
    assert "amida13: within 7.5 µm (30 px at 0.25 µm/px), several hits on one truth count once" in words
    assert "A detection counts with a score of 0.625 or more." in words
    assert "Images without labels, which are not counted as empty: 1 (3.tiff)" in words
    # A case's name is text, never a tag; nothing is loaded from elsewhere.
    assert "<b>one</b>" in words
    assert page.seen.count("img") == 4
    assert "Lowest F1:" in words and "Mitotic or not" not in words
    assert "Expected calibration error of the detections that count: 0.450; of all that were found" in words
    assert all(link.startswith("data:image/png;base64,") for link in page.links)


def test_unknown_area_has_no_froc(tmp_path):
    names = [path.name for path in write_report(fields_report(area_mm2=float("nan")), tmp_path)]
    assert "froc.png" not in names
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["area_mm2"] is None
    assert "area not known" in read_page(tmp_path / "report.html")[1]


def test_nothing_there_and_nothing_found(tmp_path):
    empty = FieldTruth("1", "one", np.zeros((0, 2)), 0.25, 1.0)
    paths = write_report(evaluate_fields([empty], [], bootstraps=10), tmp_path)
    assert [path.name for path in paths] == ["report.json", "cases.csv", "scores.csv", "report.html"]
    assert "–" in read_page(tmp_path / "report.html")[1]


def test_patches_report(tmp_path):
    paths = write_report(patches_report(), tmp_path)
    assert [path.name for path in paths] == [
        "report.json",
        "classes.csv",
        "scores.csv",
        "confusion.png",
        "roc.png",
        "precision_recall.png",
        "calibration.png",
        "report.html",
    ]
    got = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert got["confusion_rows_truth"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert got["mitotic"]["recall"] == pytest.approx(2 / 3)
    assert got["atypical_among_mitotic"]["balanced_accuracy"] == 1
    assert (tmp_path / "classes.csv").read_text(encoding="utf-8") == (
        "class,patches,predicted,true_positives,false_positives,false_negatives,precision,recall,f1\n"
        "non_mitotic,1,2,1,1,0,0.5,1,0.666667\n"
        "mitotic_figure,2,1,1,0,1,1,0.5,0.666667\n"
        "atypical_mitotic_figure,1,1,1,0,0,1,1,1\n"
    )
    page, words = read_page(tmp_path / "report.html")
    assert page.seen.count("img") == 4
    assert (
        "Patches with a mitotic figure: 3; recognised: 2; missed: 1. Patches without one: 1; wrongly called mitotic: 0."
        in words
    )
    assert "mitotic score of 0.5 or more" in words
    assert RESEARCH_ONLY in words


def test_one_class_only_has_no_roc(tmp_path):
    got = evaluate_patches([0, 0], np.array([[0.9, 0.1], [0.4, 0.6]]), CLASSES[:2], ["a", "b"], bootstraps=10)
    names = [path.name for path in write_report(got, tmp_path)]
    assert names == ["report.json", "classes.csv", "scores.csv", "confusion.png", "calibration.png", "report.html"]


def test_folder_that_is_a_file(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(OutputError, match="it is a file, not a folder. Choose another --out."):
        write_report(patches_report(), tmp_path / "taken")


def test_plots_by_themselves(tmp_path):
    plot_confusion(np.array([[3, 0], [0, 0]]), ["a_b", "c"], tmp_path / "c.png")
    curve = binary_curve([1, 0, 1], [0.9, 0.8, 0.7])
    plot_curves({f"model {index}": curve for index in range(9)}, tmp_path / "r.png", "roc", threshold=0.75)
    counts = np.array([1, 2, 2, 5])
    plot_agreement(counts, counts, count_agreement(counts, counts), tmp_path / "a.png")
    assert {path.name for path in tmp_path.iterdir()} == {"c.png", "r.png", "a.png"}
    with pytest.raises(ValueError, match="No curve of the kind 'pr'. Known: precision-recall, froc, roc."):
        plot_curves({"": curve}, tmp_path / "x.png", "pr")


def test_words_for_people():
    assert number(float("nan")) == "–"
    assert number(1234.5678, 1) == "1,234.6"
    assert interval(None) == "95 % interval not known"
    long = table(("n",), [(str(index),) for index in range(500)], "cases.csv")
    assert len(re.findall("<tr>", long)) == 201
    assert "The first 200 of 500 rows; all are in cases.csv." in long
