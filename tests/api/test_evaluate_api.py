"""`mitozoo.evaluate` against numbers that were worked out by hand."""

import csv
import json

import numpy as np
import painted
import pytest

import mitozoo
from mitozoo.api import evaluating
from mitozoo.base.errors import DataError, InputError, LabelError, OutputError, RecipeError, UnknownNameError
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.fields import FieldReport


def draw(folder, names, colour):
    for name in names:
        painted.save(folder / name, painted.flat(colour, 128, 128))


@pytest.fixture
def class_folders(tmp_path):
    """Mitosis: 3 red (right), 1 blue (wrong). Not mitosis: 4 blue (right), 1 red and 1 green (wrong). Slides 1 to 3."""
    folder = tmp_path / "patches"
    draw(folder / "mitosis", ["slide1_1.png", "slide1_2.png", "slide2_1.png"], painted.RED)
    draw(folder / "mitosis", ["slide2_2.png"], painted.BLUE)
    draw(folder / "not_mitosis", ["slide1_3.png", "slide2_3.png", "slide3_1.png", "slide3_2.png"], painted.BLUE)
    draw(folder / "not_mitosis", ["slide3_3.png"], painted.RED)
    draw(folder / "not_mitosis", ["slide3_4.png"], painted.GREEN)
    return folder


@pytest.fixture
def ami_br(tmp_path):
    """Normal: 3 red (right), 1 green (wrong). Atypical: 2 green (right), 1 red (wrong)."""
    folder = tmp_path / "ami"
    rows = []
    for number, (label, colour) in enumerate(
        [("normal", painted.RED)] * 3
        + [("normal", painted.GREEN)]
        + [("atypical", painted.GREEN)] * 2
        + [("atypical", painted.RED)]
    ):
        draw(folder / "patches", [f"{number}.png"], colour)
        rows.append(f"{number}.png,{label},TUPAC16,{number // 2:02d}.tif")
    (folder / "index.csv").write_text("file,label,dataset,slide\n" + "\n".join(rows) + "\n")
    return folder


def midog(folder, images, size=(200, 160)):
    """Write a MIDOG json and flat images. Args: images, name: [(x, y, category)]."""
    folder.mkdir(parents=True, exist_ok=True)
    listed, boxes = [], []
    for number, (name, cells) in enumerate(images.items(), start=1):
        painted.save(folder / name, painted.flat(width=size[0], height=size[1]))
        listed.append({"id": number, "file_name": name, "width": size[0], "height": size[1]})
        for x, y, category in cells:
            box = [x - 25, y - 25, x + 25, y + 25]
            boxes.append({"id": len(boxes), "image_id": number, "category_id": category, "bbox": box})
    categories = [{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "hard negative"}]
    content = {"images": listed, "annotations": boxes, "categories": categories}
    (folder / "MIDOG.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def three_fields(tmp_path, known_points):
    """In every field the network finds (40, 30) at 0.9 and (100, 90) at 0.4.

    a.png: a mitotic figure 25 px from the first and one far from both; b.png: nothing; c.png: a look-alike.
    """
    cells = {"a.png": [(65, 30, 1), (150, 140, 1)], "b.png": [], "c.png": [(40, 30, 2)]}
    return midog(tmp_path / "fields", cells)


def counted(counts):
    return counts.tp, counts.fp, counts.fn


def test_patches_in_folders(painted_zoo, class_folders, tmp_path):
    report = mitozoo.evaluate(class_folders, model="colour", out=tmp_path / "report")
    assert isinstance(report, PatchReport)
    assert counted(report.mitotic) == (3, 2, 1)
    assert report.matrix.tolist() == [[4, 1, 1], [1, 3, 0], [0, 0, 0]]
    assert (report.patches, report.cases, report.threshold) == (10, 3, 0.5)
    # 4 mitotic figures, 6 others: of the 24 pairs 3 x 4 are ranked right, the 3 x 2 and 1 x 4 of equal scores count a
    # half, and the blue figure is under both wrong ones.
    assert report.mitotic_auc == pytest.approx((12 + 6 / 2 + 4 / 2) / 24)
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {
        "report.json", "classes.csv", "report.html", "confusion.png", "roc.png", "precision_recall.png",
        "calibration.png", "scores.csv",
    }  # fmt: skip
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["mitotic"]["precision"] == pytest.approx(3 / 5)
    assert content["mitotic"]["recall"] == pytest.approx(3 / 4)
    assert (content["about"]["model"], content["about"]["mitozoo"]) == ("colour", mitozoo.__version__)


def test_a_threshold_for_patches(painted_zoo, class_folders):
    # The wrong class has a score of 2 / (exp(10) + 2), the right one the rest of 1: above 0.9999 they still count.
    assert counted(mitozoo.evaluate(class_folders, model="colour", threshold=0.9999).mitotic) == (3, 2, 1)
    assert counted(mitozoo.evaluate(class_folders, model="colour", threshold=1.0).mitotic) == (0, 0, 4)
    assert counted(mitozoo.evaluate(class_folders, model="colour", threshold=0.0).mitotic) == (4, 6, 0)


def test_atypical_among_mitotic_figures(painted_zoo, ami_br, tmp_path):
    report = mitozoo.evaluate(ami_br, model="colour", out=tmp_path / "report")
    assert counted(report.mitotic) == (7, 0, 0)
    assert counted(report.atypical.counts) == (2, 1, 1)
    assert report.atypical.balanced_accuracy == pytest.approx((2 / 3 + 3 / 4) / 2)
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert (content["cases"], content["about"]["data"], content["about"]["licence"]) == (4, "AMi-Br", "MIT")


def test_fields(three_fields, tmp_path):
    report = mitozoo.evaluate(three_fields, model="colour", out=tmp_path / "report")
    assert isinstance(report, FieldReport)
    # (65, 30) is 25 px = 6.25 µm from a detection; in b and c the detection at 0.9 is false.
    assert counted(report.counts) == (1, 2, 1)
    assert (report.fields, report.threshold, report.skipped) == (3, 0.5, ())
    assert report.area_mm2 == pytest.approx(3 * 200 * 160 * 0.25**2 * 1e-6)
    assert report.fp_per_mm2 == pytest.approx(2 / 0.006)
    # By falling score: the three at 0.9 give precision 1/3 at recall 1/2; the others add nothing.
    assert report.average_precision == pytest.approx(1 / 6)
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert names == {
        "report.json", "cases.csv", "scores.csv", "report.html", "precision_recall.png", "froc.png", "bland_altman.png",
        "calibration.png",
    }  # fmt: skip
    with (tmp_path / "report" / "cases.csv").open(newline="") as stream:
        rows = {row["case"]: row for row in csv.DictReader(stream)}
    found = {name: [row[key] for key in ("truths", "found", "true_positives", "false_positives", "false_negatives")]
             for name, row in rows.items()}  # fmt: skip
    assert found == {
        "a.png": ["2", "1", "1", "0", "1"],
        "b.png": ["0", "1", "0", "1", "0"],
        "c.png": ["0", "1", "0", "1", "0"],
    }
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["about"]["spacing"] == "0.25 µm per pixel assumed for 3 of 3 images"


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({"threshold": 0.3}, (1, 5, 1)),
        ({"threshold": 0.95}, (0, 0, 2)),
        ({"protocol": "icpr12"}, (0, 3, 2)),
        ({"cases": ["a.png"]}, (1, 0, 1)),
        # At 0.5 µm the points of the network are at half the pixels, (19.75, 14.75): too far from the label.
        ({"um_per_px": 0.5}, (0, 3, 2)),
    ],
)
def test_settings_of_an_evaluation(three_fields, settings, counts):
    assert counted(mitozoo.evaluate(three_fields, model="colour", **settings).counts) == counts


def test_a_threshold_under_the_deep_cut(three_fields, known_points):
    mitozoo.evaluate(three_fields, model="colour")
    assert known_points.settings["cut"] == evaluating.DEEP_CUT
    mitozoo.evaluate(three_fields, model="colour", threshold=0.001)
    assert known_points.settings["cut"] == 0.001


def test_unlabelled_images_are_not_searched(known_points, tmp_path):
    folder = midog(tmp_path / "set", {"001.tiff": [(40, 30, 1)], "151.tiff": [], "152.tiff": []})
    (folder / "152.tiff").unlink()
    report = mitozoo.evaluate(folder, model="colour")
    assert counted(report.counts) == (1, 0, 0) and report.fields == 1
    assert report.skipped == ("151.tiff", "152.tiff") and len(known_points.shapes) == 1
    with pytest.raises(DataError) as caught:
        mitozoo.evaluate(folder, model="colour", cases=["MIDOG21/151.tiff", "MIDOG21/152.tiff"])
    assert str(caught.value) == (
        "None of the 2 images of MIDOG is labelled, so nothing can be measured. Give labelled images, or search these "
        "with 'mitozoo predict'."
    )


def test_labels_that_point_outside(three_fields):
    painted.save(three_fields / "a.png", painted.flat(width=200, height=100))
    with pytest.raises(LabelError) as caught:
        mitozoo.evaluate(three_fields, model="colour")
    assert str(caught.value) == (
        f"{three_fields / 'a.png'}: the mitotic_figure at x 150, y 140 lies outside the image (200 x 100 px). Correct "
        "the label file, or check that it belongs to this image."
    )


def test_images_that_cannot_be_searched(three_fields, known_points):
    content = (three_fields / "b.png").read_bytes()
    (three_fields / "b.png").write_bytes(content[:-20])
    with pytest.raises(DataError) as caught:
        mitozoo.evaluate(three_fields, model="colour")
    assert str(caught.value) == (f"{three_fields / 'b.png'} is cut off: its end is missing. Copy or download it again.")
    known_points.shapes.clear()
    (three_fields / "c.png").unlink()
    with pytest.raises(InputError, match="No such file"):
        mitozoo.evaluate(three_fields, model="colour")
    assert known_points.shapes == []


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"protocol": "midgo"}, UnknownNameError, "No protocol named 'midgo'. Did you mean 'midog'?"),
        ({"data_format": "mdog"}, UnknownNameError, "No data format named 'mdog'. Did you mean 'midog'?"),
        ({"cases": ["d.png"]}, UnknownNameError, "No case in MIDOG named 'd.png'. Did you mean 'c.png'?"),
        ({"threshold": 2}, RecipeError, "--threshold is a score between 0 and 1, got 2."),
        ({"seed": -1}, RecipeError, "--seed must be 0 or more, got -1."),
        (
            {"um_per_px": float("nan")},
            InputError,
            "A spacing of nan µm per pixel is not plausible (0.05 to 20). Give the true one with --um-per-px (0.25 is "
            "usual at 40x).",
        ),
    ],
)
def test_settings_without_sense(three_fields, tmp_path, monkeypatch, settings, kind, message):
    monkeypatch.setattr(evaluating, "load_all", None)
    with pytest.raises(kind) as caught:
        mitozoo.evaluate(three_fields, model="colour", **settings)
    assert str(caught.value) == message


def test_a_report_is_kept(three_fields, tmp_path, monkeypatch):
    mitozoo.evaluate(three_fields, model="colour", out=tmp_path / "report")
    before = (tmp_path / "report" / "report.json").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(OutputError) as caught:
        patch.setattr(evaluating, "load_all", None)
        mitozoo.evaluate(three_fields, model="colour", out=tmp_path / "report", threshold=0.3)
    assert str(caught.value) == (
        f"{tmp_path / 'report'} holds a report already. Choose another --out, or add --overwrite to replace it."
    )
    assert (tmp_path / "report" / "report.json").read_bytes() == before
    mitozoo.evaluate(three_fields, model="colour", out=tmp_path / "report", threshold=0.3, overwrite=True)
    assert json.loads((tmp_path / "report" / "report.json").read_text())["threshold"] == 0.3


def test_intervals_depend_on_the_seed_alone(three_fields):
    reports = [mitozoo.evaluate(three_fields, model="colour", seed=seed) for seed in (1, 1)]
    assert reports[0].intervals == reports[1].intervals
    np.testing.assert_equal(reports[0].intervals["recall"].low <= 0.5 <= reports[0].intervals["recall"].high, True)
