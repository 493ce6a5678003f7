"""Review files for QuPath and what comes back, edited by hand and in the form that QuPath itself writes."""

import json
import random
import uuid

import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import DataError, LabelError, OutputError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data import formats
from mitozoo.export.corrections import Changes, compare, read_corrections, write_labels
from mitozoo.export.review import UNSURE, write_review

HEADER = "image,x_px,y_px,x_um,y_um,score,label,atypical_score\n"
SUMMARY = "image,width_px,height_px,um_per_px,spacing_source,status\n"


@pytest.fixture
def run(tmp_path):
    """A finished run: a.png with three detections and two doubtful cells, sub/b.png with none, c.png that failed."""
    for name in ("a.png", "sub/b.png"):
        path = tmp_path / "fields" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PillowImage.fromarray(np.full((300, 400, 3), 200, np.uint8)).save(path)
    found = tmp_path / "found"
    found.mkdir()
    (found / "run.json").write_text(json.dumps({"model": "stn", "threshold": 0.5, "look_again": 0.3}))
    (found / "summary.csv").write_text(
        SUMMARY + "a.png,400,300,0.25,file,ok\nc.png,,,,,c.png is cut off.\nsub/b.png,400,300,0.25,assumed,ok\n"
    )
    (found / "detections.csv").write_text(
        HEADER
        + "a.png,50.25,60.50,,,0.9100,mitotic_figure,0.1000\n"
        + "a.png,150.00,60.00,,,0.8000,atypical_mitotic_figure,0.7000\n"
        + "a.png,250.00,60.00,,,0.7000,mitotic_figure,\n"
    )
    (found / "doubtful.csv").write_text(
        HEADER
        + "a.png,50.00,200.00,,,0.4500,mitotic_figure,0.2000\n"
        + "a.png,150.00,200.00,,,0.3100,atypical_mitotic_figure,0.6000\n"
    )
    return tmp_path


@pytest.fixture
def review(run):
    write_review([run / "fields"], run / "found", run / "review")
    return run / "review"


def content(file):
    return json.loads(file.read_text(encoding="utf-8"))


def edit(review, change, name="a.png"):
    """Edit the features of a file by hand."""
    file = review / f"{name}.geojson"
    said = content(file)
    change(said["features"])
    file.write_text(json.dumps(said), encoding="utf-8")


def classify(feature, name):
    feature["properties"]["classification"] = {"name": name, "color": [1, 2, 3]}


def point(x, y, name):
    properties = {"objectType": "annotation", "classification": {"name": name, "color": [0, 0, 0]}}
    geometry = {"type": "Point", "coordinates": [x, y]}
    return {"type": "Feature", "id": str(uuid.uuid4()), "geometry": geometry, "properties": properties}


def read(review, **settings):
    return read_corrections(review, [review.parent / "fields"], **settings)


def cells(corrections, name="a.png"):
    (field,) = [item for item in corrections.dataset.fields if item.case == name]
    return sorted((cell.x_px, cell.y_px, cell.label) for cell in field.cells)


def corrected(features):
    """One of everything: see `test_what_comes_back`."""
    classify(features[1], "Mitotic figure")
    classify(features[3], "Atypical mitotic figure")
    del features[4], features[2]
    features.append(point(300, 250, "Mitotic figure"))


EXPECTED = [
    (50.0, 200.0, ATYPICAL),
    (50.25, 60.5, MITOTIC_FIGURE),
    (150.0, 60.0, MITOTIC_FIGURE),
    (150.0, 200.0, NON_MITOTIC),
    (250.0, 60.0, NON_MITOTIC),
    (300.0, 250.0, MITOTIC_FIGURE),
]
CHANGED = Changes(confirmed=1, reclassified=1, removed=1, added=1, doubtful_mitotic=1, doubtful_not=1)


def test_what_is_written(run):
    done = write_review([run / "fields"], run / "found", run / "review")
    assert (done.images, done.detections, done.doubtful) == (("a.png", "sub/b.png"), 3, 2)
    assert (done.failed, done.unsearched) == (("c.png",), ())
    features = content(run / "review" / "a.png.geojson")["features"]
    classes = [item["properties"]["classification"] for item in features]
    assert [item["name"] for item in classes] == [
        "Mitotic figure",
        "Atypical mitotic figure",
        "Mitotic figure",
        "Look again",
        "Look again",
    ]
    assert len({tuple(item["color"]) for item in classes}) == 3
    assert {item["properties"]["objectType"] for item in features} == {"annotation"}
    assert features[0]["geometry"] == {"type": "Point", "coordinates": [50.25, 60.5]}
    assert features[0]["properties"]["measurements"] == {"probability": 0.91, "atypical probability": 0.1}
    assert features[2]["properties"]["measurements"] == {"probability": 0.7}
    assert content(run / "review" / "sub" / "b.png.geojson")["features"] == []
    assert not (run / "review" / "c.png.geojson").exists()
    assert "Look again" in (run / "review" / "README.txt").read_text()


def test_ids_are_unique_and_the_same_in_every_run(run, review):
    write_review([run / "fields"], run / "found", run / "again")
    first, again = (content(folder / "a.png.geojson") for folder in (review, run / "again"))
    ids = [item["id"] for item in first["features"]]
    assert ids == [item["id"] for item in again["features"]] and len(set(ids)) == 5
    assert all(uuid.UUID(item) for item in ids)


def test_files_that_nobody_looked_at_are_no_labels(review):
    dataset = formats.read(review)
    assert not any(field.labelled or field.complete for field in dataset.fields)


def test_what_comes_back(review):
    edit(review, corrected)
    done = read(review)
    assert cells(done) == EXPECTED
    assert done.changes == {"a.png": CHANGED} and done.total == CHANGED
    assert done.untouched == ("sub/b.png",)
    first, second = done.dataset.fields
    assert (first.labelled, first.complete, first.um_per_px, first.excluded) == (True, True, 0.25, ())
    assert (second.labelled, second.complete, second.um_per_px, second.cells) == (False, False, None, ())


def test_as_qupath_writes_it(review):
    """Keys in another order and more of them, no key of ours, outlines in place of points, new ids, another order."""
    edit(review, corrected)
    file = review / "a.png.geojson"
    features = []
    for item in content(file)["features"]:
        x, y = item["geometry"]["coordinates"]
        ring = [[x - 4, y - 4], [x + 4, y - 4], [x + 4, y + 4], [x - 4, y + 4], [x - 4, y - 4]]
        properties = {
            "classification": dict(reversed(item["properties"]["classification"].items())),
            "isLocked": True,
            "metadata": {"who": "me"},
            "nucleusGeometry": None,
            "objectType": "annotation",
        }
        geometry = {"coordinates": [ring], "isEllipse": False, "plane": {"c": -1, "z": 0, "t": 0}, "type": "Polygon"}
        features.append({"properties": properties, "geometry": geometry, "id": str(uuid.uuid4()), "type": "Feature"})
    random.Random(0).shuffle(features)
    file.write_text(json.dumps({"features": features, "type": "FeatureCollection"}, indent=2), encoding="utf-8")
    done = read(review)
    assert cells(done) == EXPECTED and done.changes["a.png"] == CHANGED


def test_several_points_in_one_annotation(review):
    edit(review, corrected)

    def join(features):
        kept = [item for item in features if item["properties"]["classification"]["name"] != "Mitotic figure"]
        places = [item["geometry"]["coordinates"] for item in features if item not in kept]
        features[:] = [
            *kept,
            {**point(0, 0, "Mitotic figure"), "geometry": {"type": "MultiPoint", "coordinates": places}},
        ]

    edit(review, join)
    assert cells(read(review)) == EXPECTED


def test_a_look_alike_is_one_where_it_is_marked_and_a_moved_point_is_the_same_cell(review):
    def change(features):
        classify(features[0], "Look-alike")
        features[1]["geometry"]["coordinates"] = [160.0, 70.0]
        classify(features[3], "Look-alike")
        del features[4]

    edit(review, change)
    done = read(review)
    assert cells(done) == [
        (50.0, 200.0, NON_MITOTIC),
        (50.25, 60.5, NON_MITOTIC),
        (150.0, 200.0, NON_MITOTIC),
        (160.0, 70.0, ATYPICAL),
        (250.0, 60.0, MITOTIC_FIGURE),
    ]
    assert done.total == Changes(confirmed=2, removed=1, doubtful_not=2)


def test_cells_still_to_be_looked_at_are_refused_or_left_out(review):
    edit(review, lambda features: features.pop(4))
    with pytest.raises(LabelError) as caught:
        read(review)
    assert str(caught.value) == (
        "1 cell is still of the class Look again: a.png at x 50, y 200. In QuPath, give each the class Mitotic figure, "
        "Atypical mitotic figure or Look-alike, or delete it, and export again. --drop-unsure leaves them out."
    )
    done = read(review, drop_unsure=True)
    assert done.total == Changes(confirmed=3, doubtful_not=1, unsure=1)
    assert [label for _, _, label in cells(done)] == [MITOTIC_FIGURE, ATYPICAL, NON_MITOTIC, MITOTIC_FIGURE]
    # Neither mitotic figure nor background: 7.5 µm at 0.25 are 30 px.
    assert done.dataset.fields[0].excluded == ((50.0, 200.0, 30.0),)


def test_an_object_without_a_class_is_refused(review):
    edit(review, lambda features: features[3]["properties"].pop("classification"))
    with pytest.raises(LabelError, match=r"a\.png\.geojson: object 4 \(Point\) has no classification\. In QuPath"):
        read(review, drop_unsure=True)


def test_objects_of_other_classes_are_left_out_and_counted(review):
    def change(features):
        corrected(features)
        features.append(point(380, 280, "Tumor"))
        features.append(point(250.0, 62.0, "Apoptosis"))

    edit(review, change)
    done = read(review)
    # The removed detection at 250, 60 was given a class that is none of mitosis: still a look-alike.
    assert cells(done) == EXPECTED
    assert done.total == CHANGED + Changes(others=1)


def test_untouched_files(review):
    with pytest.raises(DataError) as caught:
        read(review)
    assert str(caught.value).startswith(f"No file of {review} was saved again, so nobody has looked at anything.")
    done = read(review, accept_untouched=True, drop_unsure=True)
    assert done.untouched == () and done.total == Changes(confirmed=3, unsure=2)
    assert all(field.labelled and field.complete for field in done.dataset.fields)


def test_a_file_without_objects_says_that_all_are_look_alikes_and_a_missing_one_nothing(review):
    edit(review, lambda features: features.clear())
    (review / "sub" / "b.png.geojson").unlink()
    done = read(review, marked_only=True)
    assert {label for _, _, label in cells(done)} == {NON_MITOTIC} and len(cells(done)) == 5
    assert done.without_file == ("sub/b.png",)
    first, second = done.dataset.fields
    assert (first.labelled, first.complete) == (True, False) and not second.labelled


A, B = Cell(100, 100, MITOTIC_FIGURE), Cell(110, 100, MITOTIC_FIGURE)


def test_the_second_mark_on_a_cell_is_no_look_alike():
    kept, unsure, changes = compare([A, B], [B], 30)
    assert (kept, unsure, changes) == ((B,), [], Changes(confirmed=1, removed=1))


def test_the_nearest_mark_is_the_same_cell():
    # 100 was deleted, 110 stayed, 135 was added: nothing is taken by the mark that is looked up first.
    added = Cell(135, 100, ATYPICAL)
    kept, _, changes = compare([A, B], [added, B], 30)
    assert changes == Changes(confirmed=1, removed=1, added=1)
    assert compare([A], [added], 35)[2] == Changes(reclassified=1)
    far = compare([A], [added], 34.9)
    assert far[2] == Changes(removed=1, added=1)
    assert far[0] == (added, Cell(100, 100, NON_MITOTIC))


def test_a_detection_that_was_made_unsure_is_neither_confirmed_nor_removed():
    doubt = Cell(100, 100, UNSURE)
    assert compare([A], [doubt], 30) == ((), [doubt], Changes(unsure=1))
    assert compare([], [], 30) == ((), [], Changes())


@pytest.mark.parametrize("name", ["labels.json", "labels.csv"])
def test_labels_are_read_as_they_were(review, name):
    edit(review, lambda features: features.pop(4))
    done = read(review, drop_unsure=True)
    write_labels(done.dataset, review.parent / name)
    back = formats.read(review.parent / name)
    assert [
        (item.path.resolve(), item.case, item.cells, item.labelled, item.complete, item.excluded)
        for item in back.fields
    ] == [
        (item.path.resolve(), item.case, item.cells, item.labelled, item.complete, item.excluded)
        for item in done.dataset.fields
    ]
    with pytest.raises(OutputError, match="exists already"):
        write_labels(done.dataset, review.parent / name)
    write_labels(done.dataset, review.parent / name, overwrite=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("run.json", "{found} has no run.json, so it is no finished run. Give a folder that 'mitozoo predict' wrote."),
        ("doubtful.csv", "{found} has no doubtful.csv. Run 'mitozoo predict' again with csv among its --format."),
    ],
)
def test_a_run_that_lacks_something(run, name, text):
    (run / "found" / name).unlink()
    with pytest.raises(DataError) as caught:
        write_review([run / "fields"], run / "found", run / "review")
    assert str(caught.value) == text.format(found=run / "found")
    assert not (run / "review").exists()


def test_images_that_do_not_fit_the_run(run, review):
    with pytest.raises(DataError, match="has results of images that were not given: sub/b.png. Give the images"):
        write_review([run / "fields" / "a.png"], run / "found", run / "other")
    PillowImage.fromarray(np.zeros((300, 399, 3), np.uint8)).save(run / "fields" / "a.png")
    with pytest.raises(DataError, match=r"a\.png has 399 x 300 px, but had 400 x 300 px when it was searched"):
        write_review([run / "fields"], run / "found", run / "other")
    with pytest.raises(DataError, match=r"a\.png has 399 x 300 px, but its review is for 400 x 300 px"):
        read(review, accept_untouched=True)
    with pytest.raises(DataError, match="a.png is not among the images"):
        read_corrections(review, [run / "fields" / "sub"])


def test_corrections_are_not_overwritten_unasked(run, review):
    edit(review, corrected)
    with pytest.raises(OutputError, match="exists already, perhaps with corrections"):
        write_review([run / "fields"], run / "found", review)
    write_review([run / "fields"], run / "found", review, overwrite=True)
    assert len(content(review / "a.png.geojson")["features"]) == 5
    (review / "mine.geojson").write_text("{}")
    with pytest.raises(OutputError, match="mine.geojson is there already"):
        write_review([run / "fields"], run / "found", review, overwrite=True)


def test_files_under_another_name_and_a_damaged_record(review):
    (review / "a.geojson").write_bytes((review / "a.png.geojson").read_bytes())
    with pytest.raises(LabelError, match="is not a file of this review. Save it under the name of the file"):
        read(review)
    (review / "a.geojson").unlink()
    (review / "review.json").write_text('{"images": [{"image": 1}]}')
    with pytest.raises(LabelError, match="is damaged"):
        read(review)
    (review / "review.json").unlink()
    with pytest.raises(DataError, match="has no review.json. Give a folder that 'mitozoo review' wrote."):
        read(review)
