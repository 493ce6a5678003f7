"""`mitozoo.evaluate(predictions=…)` against counts that were worked out by hand."""

import json

import numpy as np
import painted
import pytest

import mitozoo
from mitozoo.api import evaluating
from mitozoo.base.errors import DataError, RecipeError


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    """Three images of 200 x 160 px: a has mitotic figures at (65, 30) and (150, 140), b one at (20, 20), c none.

    No model may be loaded.
    """
    monkeypatch.setattr(evaluating, "load_all", None)
    folder = tmp_path / "set"
    images, boxes = [], []
    for number, (name, points) in enumerate(
        {"a.png": [(65, 30), (150, 140)], "b.png": [(20, 20)], "c.png": []}.items()
    ):
        painted.save(folder / name, painted.flat(width=200, height=160))
        images.append({"id": number, "file_name": name, "width": 200, "height": 160})
        boxes += [
            {"id": f"{number}-{x}", "image_id": number, "category_id": 1, "bbox": [x - 25, y - 25, x + 25, y + 25]}
            for x, y in points
        ]
    categories = [{"id": 1, "name": "mitotic figure"}]
    (folder / "MIDOG.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    return folder


HEADER = "image,width_px,height_px,um_per_px,spacing_source,tissue_mm2,status\n"


@pytest.fixture
def found(tmp_path):
    """a: 25 px from the first figure (0.9), and one far off (0.7); b: searched, nothing; c: one wrong, at 0.4."""
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "detections.csv").write_text(
        "image,x_px,y_px,score,label\na.png,40,30,0.9,mitotic_figure\na.png,100,90,0.7,mitotic_figure\n"
        "c.png,10,10,0.4,mitotic_figure\n"
    )
    rows = [
        f"{name},200,160,0.25,file,{area},ok\n" for name, area in (("a.png", 0.002), ("b.png", 0.001), ("c.png", 0.001))
    ]
    (folder / "summary.csv").write_text(HEADER + "".join(rows))
    (folder / "run.json").write_text('{"threshold": 0.5, "model": "stn", "weights_sha256": "0123456789abcdef"}')
    return folder


def counted(report):
    return report.counts.tp, report.counts.fp, report.counts.fn


def test_counts_by_hand(labelled, found, tmp_path):
    report = mitozoo.evaluate(labelled, predictions=found, out=tmp_path / "report")
    # a: 1 right, 1 wrong, 1 missed; b was searched, so its figure is missed; c's lies under the threshold of the run.
    assert counted(report) == (1, 1, 2)
    assert (report.threshold, report.fields, report.area_mm2) == (0.5, 3, pytest.approx(0.004))
    assert report.fp_per_mm2 == pytest.approx(1 / 0.004)
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["title"] == "stn on MIDOG"
    assert content["about"] == {
        "model": "stn",
        "weights": "0123456789ab",
        "predictions": "detections.csv (CSV)",
        "listed scores": "0.4 and above; the curves end there",
        "data": "MIDOG",
        "licence": "",
        "mitozoo": mitozoo.__version__,
    }


@pytest.mark.parametrize(
    ("settings", "counts"),
    [
        ({"threshold": 0.3}, (1, 2, 2)),
        ({"threshold": 0.8}, (1, 0, 2)),
        ({"protocol": "icpr12"}, (0, 2, 3)),
        # 25 px of 0.5 µm are 12.5 µm.
        ({"um_per_px": 0.5}, (0, 2, 3)),
        ({"cases": ["a.png"]}, (1, 1, 1)),
        ({"cases": ["b.png", "c.png"]}, (0, 0, 1)),
    ],
)
def test_settings(labelled, found, settings, counts):
    assert counted(mitozoo.evaluate(labelled, predictions=found, **settings)) == counts


def test_an_image_that_failed_is_not_an_empty_one(labelled, found, tmp_path):
    text = (
        (found / "summary.csv").read_text().replace("b.png,200,160,0.25,file,0.001,ok", "b.png,,,,,,b.png is cut off.")
    )
    (found / "summary.csv").write_text(text)
    report = mitozoo.evaluate(labelled, predictions=found, out=tmp_path / "report")
    assert counted(report) == (1, 1, 1)
    assert (report.fields, report.unsearched) == (2, ("b.png: b.png is cut off.",))
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["skipped_unsearched"] == ["b.png: b.png is cut off."]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Labelled images whose search failed, which are not counted: 1 (b.png: b.png is cut off.)" in page


def test_images_of_which_nothing_says_that_they_were_searched(labelled, found):
    (found / "summary.csv").unlink()
    with pytest.raises(DataError, match="have nothing in 1 labelled image: b.png. Put the summary.csv of the run"):
        mitozoo.evaluate(labelled, predictions=found, um_per_px=0.25)
    report = mitozoo.evaluate(labelled, predictions=found, um_per_px=0.25, cases=["a.png", "c.png"])
    assert counted(report) == (1, 1, 1)
    # The whole of both images counts as searched.
    assert report.area_mm2 == pytest.approx(2 * 200 * 160 * 0.25**2 * 1e-6)


def test_a_threshold_is_asked_for(labelled, found):
    (found / "run.json").unlink()
    with pytest.raises(RecipeError) as caught:
        mitozoo.evaluate(labelled, predictions=found)
    assert str(caught.value) == (
        f"No run.json beside {found} says from which score a detection counts: give --threshold."
    )
    assert counted(mitozoo.evaluate(labelled, predictions=found, threshold=0.5)) == (1, 1, 2)


def test_unknown_images(labelled, found, tmp_path):
    with (found / "summary.csv").open("a") as stream:
        stream.write("d.png,200,160,0.25,file,0.001,ok\n")
    with pytest.raises(DataError, match="has predictions of 1 image that the labels do not know: d.png. Correct"):
        mitozoo.evaluate(labelled, predictions=found)
    mitozoo.evaluate(labelled, predictions=found, ignore_unknown=True, out=tmp_path / "report")
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["about"]["left out"] == "Predictions of 1 image that the labels do not know: d.png"


def test_coco_and_points(labelled, tmp_path):
    images = [{"id": number, "file_name": f"{name}.png"} for number, name in enumerate("abc")]
    boxes = [
        {"image_id": 0, "bbox": [15, 5, 50, 50], "score": 0.9, "category_id": 1},
        {"image_id": 2, "bbox": [0, 0, 20, 20], "score": 0.4, "category_id": 1},
    ]
    file = tmp_path / "coco.json"
    file.write_text(json.dumps({"images": images, "annotations": boxes}))
    report = mitozoo.evaluate(labelled, predictions=file, threshold=0.3, um_per_px=0.25)
    assert counted(report) == (1, 1, 2)
    # (40, 30) px of 0.25 µm.
    points = [{"point": [0.01, 0.0075, 0], "probability": 0.9, "name": "mitotic figure"}]
    for name, own in (("a", points), ("b", []), ("c", [])):
        (tmp_path / "points").mkdir(exist_ok=True)
        place = tmp_path / "points" / f"{name}.png.mitotic-figures.json"
        place.write_text(json.dumps({"type": "Multiple points", "points": own}))
    report = mitozoo.evaluate(labelled, predictions=tmp_path / "points", threshold=0.5, um_per_px=0.25)
    assert counted(report) == (1, 0, 2)


def test_what_predict_wrote_measures_as_the_model_does(known_points, tmp_path, monkeypatch):
    known_points.scores = np.array([0.9, 0.6])
    folder = tmp_path / "set"
    images = [{"id": 1, "file_name": "a.png", "width": 200, "height": 160}]
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [40, 5, 90, 55]}
    painted.save(folder / "a.png", painted.flat(width=200, height=160))
    (folder / "MIDOG.json").write_text(json.dumps({"images": images, "annotations": [box], "categories": []}))
    mitozoo.predict(folder, model="colour", out=tmp_path / "found")
    own = mitozoo.evaluate(folder, model="colour")
    saved = mitozoo.evaluate(folder, predictions=tmp_path / "found")
    assert counted(own) == counted(saved) == (1, 1, 0)
    assert saved.area_mm2 == pytest.approx(own.area_mm2, abs=1e-4)


def test_what_makes_no_sense_with_predictions(labelled, found, tmp_path):
    with pytest.raises(RecipeError) as caught:
        mitozoo.evaluate(labelled, predictions=found, weights="a.weights.h5")
    assert str(caught.value) == "--predictions are measured as they are, without a model: leave --weights out."
    with pytest.raises(RecipeError, match="--threshold must be a number, got nan."):
        mitozoo.evaluate(labelled, predictions=found, threshold=float("nan"))
    painted.save(tmp_path / "cells" / "mitosis" / "s_1.png", painted.flat(width=128, height=128))
    painted.save(tmp_path / "cells" / "not_mitosis" / "s_2.png", painted.flat(width=128, height=128))
    with pytest.raises(DataError, match="labels single cells, and --predictions are measured on fields"):
        mitozoo.evaluate(tmp_path / "cells", predictions=found)
