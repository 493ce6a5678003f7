"""Predictions of other runs and programs, read and brought to the labelled images."""

import json
from pathlib import Path

import numpy as np
import pytest

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import Cell, Detection
from mitozoo.data.dataset import Dataset, Field
from mitozoo.evaluation.predicted import assign, measurable
from mitozoo.evaluation.predictions import Predicted, Predictions, read_predictions
from mitozoo.export.coco import write_coco
from mitozoo.export.midog import write_midog
from mitozoo.export.summary import ImageSummary
from mitozoo.export.tables import write_detections, write_summary
from mitozoo.inference.result import FieldResult

RESULTS = (
    FieldResult(
        "a.png",
        Path("a.png"),
        200,
        160,
        0.5,
        "file",
        0.02,
        detections=(Detection(40, 30, 0.9), Detection(10, 12, 0.75, "atypical_mitotic_figure", 0.9)),
        below=(Detection(100, 90, 0.25),),
    ),
    FieldResult("deep/b.png", Path("b.png"), 200, 160, 0.5, "file", 0.02),
    FieldResult("c.png", Path("c.png"), status="c.png is cut off: its end is missing."),
)


def simple(image):
    return image.name, image.xy.tolist(), image.scores.tolist(), image.status


@pytest.fixture
def run(tmp_path):
    """What `mitozoo predict` leaves of `RESULTS`."""
    summaries = [ImageSummary(result) for result in RESULTS]
    write_detections(tmp_path / "detections.csv", summaries)
    write_summary(tmp_path / "summary.csv", summaries)
    (tmp_path / "run.json").write_text('{"threshold": 0.625, "model": "stn"}')
    write_coco(tmp_path / "coco.json", RESULTS)
    for result in RESULTS[:2]:
        write_midog(tmp_path / "points" / f"{result.name}.mitotic-figures.json", result)
    return tmp_path


def test_detections_with_their_summary(run):
    for path in (run, run / "detections.csv"):
        got = read_predictions(path)
        assert [simple(image) for image in got.images] == [
            ("a.png", [[40, 30], [10, 12]], [0.9, 0.75], "ok"),
            ("deep/b.png", [], [], "ok"),
            ("c.png", [], [], "c.png is cut off: its end is missing."),
        ]
        assert (got.threshold, got.run["model"], got.lists_searched) == (0.625, "stn", True)
        assert (got.images[0].um_per_px, got.images[0].tissue_mm2) == (0.5, 0.02)


def test_a_csv_of_another_program(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("Image;x_px;y_px;score;label\n1.tif;10,5;20;0,8;mitosis\n1.tif;1;2;0,7;non-mitotic\n")
    got = read_predictions(path)
    assert [simple(image) for image in got.images] == [("1.tif", [[10.5, 20]], [0.8], "ok")]
    assert (got.threshold, got.lists_searched) == (None, False)


def test_coco(run):
    got = read_predictions(run / "coco.json")
    # Failed images are not in it, searched ones are.
    assert [simple(image) for image in got.images] == [
        ("a.png", [[40, 30], [10, 12]], [0.9, 0.75], "ok"),
        ("deep/b.png", [], [], "ok"),
    ]
    assert got.threshold == 0.625


def test_coco_of_another_program(tmp_path):
    box = {"image_id": "1.tif", "bbox": [10, 20, 4, 6], "score": 0.5, "category_id": 1}
    (tmp_path / "list.json").write_text(json.dumps([box, {**box, "category_id": 2}]))
    assert [simple(image) for image in read_predictions(tmp_path / "list.json").images] == [
        ("1.tif", [[12, 23]], [0.5], "ok")
    ]


def test_points_in_millimetres(run):
    got = read_predictions(run / "points")
    a, b = got.images
    # 40 px of 0.5 µm are 0.02 mm; what lies under the threshold is there too.
    assert (a.name, a.in_mm, a.scores.tolist()) == ("a.png", True, [0.9, 0.75, 0.25])
    np.testing.assert_allclose(a.xy, [[0.02, 0.015], [0.005, 0.006], [0.05, 0.045]])
    assert simple(b) == ("deep/b.png", [], [], "ok")
    assert got.threshold is None
    one = read_predictions(run / "points" / "a.png.mitotic-figures.json")
    assert [image.name for image in one.images] == ["a.png"]
    (run / "mitotic-figures.json").write_bytes((run / "points" / "a.png.mitotic-figures.json").read_bytes())
    assert [image.name for image in read_predictions(run / "mitotic-figures.json").images] == ["", "c.png"]


@pytest.mark.parametrize(
    ("name", "content", "kind", "message"),
    [
        (
            "a.csv",
            "image,x,y\n",
            LabelError,
            "{} has no column x_px, y_px, score. Its first line must be image,x_px,y_px,score.",
        ),
        (
            "a.csv",
            "image,x_px,y_px,score\na,1,2,\n",
            LabelError,
            "{} line 2: there is no score. Every detection needs one.",
        ),
        (
            "a.csv",
            "image,x_px,y_px,score\na,1,left,1\n",
            LabelError,
            "{} line 2: 'left' is not a number. Correct the line.",
        ),
        (
            "a.json",
            "{",
            LabelError,
            "{} is not valid JSON (Expecting property name enclosed in double quotes: "
            "line 1 column 2 (char 1)). Export it again.",
        ),
        (
            "a.json",
            '{"type": "Feature"}',
            DataError,
            "{} holds no predictions of a known kind. Give a detections.csv, a "
            "Grand Challenge json (multiple points) or a COCO json with scores.",
        ),
        (
            "a.json",
            '[{"image_id": 7, "bbox": [1, 2, 3, 4], "score": 1}]',
            LabelError,
            "{}: image 7 is not in its images, so its file is not known. Add it.",
        ),
        (
            "a.json",
            '[{"image_id": "a", "bbox": [1, 2, 3, 4]}]',
            LabelError,
            "{}: a box has no score. Give predictions, not labels.",
        ),
        (
            "a.json",
            '{"images": [{"id": 1, "file_name": "a", "width": 99, "height": 99}], "annotations": [{"image_id": 1, '
            '"bbox": [60, 60, 90, 90], "score": 1}]}',
            LabelError,
            "{}: the box [60, 60, 90, 90] of a has its centre "
            "outside the image (99 x 99 px). It should be x, y, width, height.",
        ),
        (
            "a.json",
            '{"type": "Multiple points", "points": [{"point": [1, 2, 0]}]}',
            LabelError,
            "{}: a point has no probability. Every detection needs a score.",
        ),
        (
            "a.json",
            '{"type": "Multiple points"}',
            LabelError,
            "{}: KeyError('points') is missing or wrong in its points. Export it again.",
        ),
    ],
)
def test_what_cannot_be_read(tmp_path, name, content, kind, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(kind) as error:
        read_predictions(path)
    assert str(error.value) == message.format(path)


def test_folders_without_predictions(tmp_path):
    with pytest.raises(DataError) as error:
        read_predictions(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} holds no detections.csv and no *.mitotic-figures.json. Give the file itself."
    )
    (tmp_path / "found.csv").write_text("")
    with pytest.raises(DataError, match=r"No such file or folder: .*foun.csv. Did you mean 'found.csv'\?"):
        read_predictions(tmp_path / "foun.csv")


def test_detections_and_summary_of_two_runs(run):
    lines = (run / "summary.csv").read_text().splitlines()
    (run / "summary.csv").write_text("\n".join(lines[:1] + lines[2:]))
    with pytest.raises(DataError) as error:
        read_predictions(run)
    assert str(error.value) == (
        f"{run / 'detections.csv'} has detections in 'a.png', but {run / 'summary.csv'} does not list it. "
        "Give two files of the same run."
    )


def none(name):
    return Predicted(name, np.zeros((0, 2)), np.zeros(0))


def given(*names, searched=True):
    return Predictions(Path("found.csv"), "CSV", tuple(map(none, names)), lists_searched=searched)


PATHS = [Path("set/1.png"), Path("set/more/1.png"), Path("set/more/2.png"), Path("set/x/3.tiff")]


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("1.png", 0),
        ("more/1.png", 1),
        ("set/more/1.png", 1),
        (r"more\1.png", 1),
        ("2.png", 2),
        ("elsewhere/2.png", 2),
        ("x/3", 3),
        ("3", 3),
        ("4.png", None),
        ("3.png", None),
    ],
)
def test_which_image_is_meant(name, index):
    belongs, unknown = assign(given(name), PATHS)
    assert (list(belongs), unknown) == (([index], []) if index is not None else ([], [name]))


def test_names_that_fit_several_images_or_one_twice():
    with pytest.raises(DataError) as error:
        assign(given("7.png"), [Path("a/7.png"), Path("b/7.png")])
    assert str(error.value) == (
        "found.csv: 7.png could be of a/7.png, b/7.png. Name images by their path in the folder."
    )
    with pytest.raises(DataError) as error:
        assign(given("2.png", "more/2.png"), PATHS)
    assert str(error.value) == (
        "found.csv: 2.png and more/2.png are both predictions of set/more/2.png. Keep one of them."
    )
    assert list(assign(given(""), PATHS[:1])[0]) == [0]


def fields(*names, **more):
    cells = (Cell(40, 30, "mitotic_figure"),)
    return Dataset("set", tuple(Field(Path("nowhere") / name, name, cells, **more) for name in names))


def test_labelled_images_that_nothing_says_were_searched():
    data = fields("a.png", "b.png", "c.png")
    with pytest.raises(DataError) as error:
        measurable(data, data, given("b.png"))
    assert str(error.value) == (
        "The predictions of found.csv do not say that they searched 2 labelled images: a.png, c.png. "
        "Search them too, or measure the others alone with --case."
    )
    with pytest.raises(DataError) as error:
        measurable(data, data, given("b.png", "a.png", searched=False))
    assert str(error.value) == (
        "The predictions of found.csv have nothing in 1 labelled image: c.png. Put the summary.csv of the run beside "
        "it, which says whether they were searched, or use --case."
    )


def test_predictions_of_unknown_images():
    data = fields("a.png")
    with pytest.raises(DataError) as error:
        measurable(data, data, given("a.png", *(f"{i}.png" for i in range(7))))
    assert str(error.value) == (
        "found.csv has predictions of 7 images that the labels do not know: 0.png, 1.png, 2.png, 3.png, 4.png and 2 "
        "more. Correct the names, or leave them out with --ignore-unknown."
    )
    got = measurable(data, data, given("a.png", "z.png"), ignore_unknown=True)
    assert got.about["left out"] == "Predictions of 1 image that the labels do not know: z.png"
    assert [truth.name for truth in got.truths] == ["a.png"]


def test_millimetres_become_pixels_of_the_writers_spacing():
    data = fields("a.png", um_per_px=0.25)
    points = Predicted("a.png", np.array([[0.02, 0.015]]), np.array([0.9]), in_mm=True)
    got = measurable(data, data, Predictions(Path("p"), "json", (points,)))
    np.testing.assert_allclose(got.found[0].xy, [[80, 60]])
    points = Predicted("a.png", points.xy, points.scores, in_mm=True, um_per_px=0.5)
    got = measurable(data, data, Predictions(Path("p"), "json", (points,)))
    np.testing.assert_allclose(got.found[0].xy, [[40, 30]])
    unknown = fields("a.png")
    with pytest.raises(DataError) as error:
        measurable(unknown, unknown, Predictions(Path("p"), "json", (Predicted("a.png", *points_of(), in_mm=True),)))
    assert str(error.value) == (
        "The points of a.png are in mm, but the spacing of the image is not known. "
        "Give it with --um-per-px (0.25 is usual at 40x)."
    )


def points_of():
    return np.array([[0.02, 0.015]]), np.array([0.9])


def test_the_area_that_was_searched():
    image = Predicted("a.png", np.zeros((0, 2)), np.zeros(0), um_per_px=0.25, tissue_mm2=0.5)
    data = fields("a.png")
    got = measurable(data, data, Predictions(Path("p"), "csv", (image,)))
    assert (got.truths[0].area_mm2, got.truths[0].um_per_px) == (0.5, 0.25)
