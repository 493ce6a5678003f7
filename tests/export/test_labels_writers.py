"""Labels written in every format come back as they were, through a whole circle of formats."""

import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import InputError, LabelError, OutputError, UnknownNameError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data import formats
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.synthetic import write_sample
from mitozoo.export.labels import TARGETS, convert
from mitozoo.export.labels.boxes import document
from mitozoo.export.labels.entries import entries_of
from mitozoo.export.labels.geojson import feature_collection

OUT = {"midog": "labels.json", "coco": "labels.json", "csv": "labels.csv", "geojson": "labels"}
CIRCLE = ("midog", "coco", "csv", "geojson", "midog")


def picture(path, width=100, height=80):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((height, width, 3), 200, np.uint8)).save(path)
    return path


def own_labels(folder, rows):
    """A table of labels beside its images, made by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    header = "image,x_px,y_px,label,case,um_per_px,domain,labelled,complete,excluded,width_px,height_px\n"
    path = folder / "points.csv"
    path.write_text(header + rows)
    return path


EVERYTHING = (
    "a.png,10,20,mitotic figure,slide 1,0.23,canine lymphoma,yes,yes,,100,80\n"
    "a.png,0.1,-0.4999999,atypical,,,,,,,,\n"
    "a.png,99.99999999999999,79.3,hard negative,,,,,,,,\n"
    "a.png,1e-300,5e-324,Eosinophil,,,,,,,,\n"
    "sub/b.png,,,,slide 1,,Aperio,yes,no,1.1 2.2 3.3 | 4 5 6,100,80\n"
    "c.png,3.3333333333333335,7,mitosis,slide 2,0.25,,yes,yes,,,\n"
    "d.png,,,,slide 3,,,no,no,,100,80\n"
)


def by_name(dataset, folder):
    """Fields by the place of their images, without the path that conversion changes."""
    fields = {}
    for field in dataset.fields:
        name = os.path.relpath(field.path, folder).replace(os.sep, "/")
        cells = tuple(sorted(field.cells, key=lambda cell: (cell.x_px, cell.y_px)))
        fields[name] = dataclasses.replace(field, path=Path("x"), cells=cells)
    return fields


def through(path, folder, steps=CIRCLE):
    """Convert from format to format; return the last path and all conversions."""
    done = []
    for number, to in enumerate(steps):
        out = folder / str(number) / OUT[to]
        done.append(convert(path, to, out))
        path = out
    return path, done


@pytest.mark.parametrize("to", list(TARGETS))
@pytest.mark.parametrize("place", ["same", "other"])
def test_every_format_gives_back_what_it_was_given(tmp_path, to, place):
    source = own_labels(tmp_path / "data", EVERYTHING)
    for name in ("a.png", "sub/b.png", "c.png", "d.png"):
        picture(tmp_path / "data" / name)
    before = by_name(formats.read(source), tmp_path)
    out = tmp_path / ("data" if place == "same" else "elsewhere/deep") / f"new{TARGETS[to][1]}"
    done = convert(source, to, out)
    after = by_name(formats.read(out), tmp_path)
    if to == "geojson":
        # A missing file says "unlabelled", and out here nobody finds the image.
        assert done.lost[-1] == "1 unlabelled images (they get no file)"
        del before["data/d.png"]
    assert after == before
    assert after["data/a.png"].cells[0] == Cell(1e-300, 5e-324, "eosinophil")


def test_unlabelled_images_beside_geojson_come_back(tmp_path):
    source = own_labels(tmp_path, EVERYTHING)
    for name in ("a.png", "sub/b.png", "c.png", "d.png"):
        picture(tmp_path / name)
    before = by_name(formats.read(source), tmp_path)
    done = convert(source, "geojson", tmp_path)
    assert done.lost == ()
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.geojson")} == {
        "a.png.geojson", "sub/b.png.geojson", "c.png.geojson",
    }  # fmt: skip
    after = by_name(formats.read(tmp_path, "geojson_points"), tmp_path)
    # Nothing says the case of an image without a file.
    assert after.pop("d.png") == dataclasses.replace(before.pop("d.png"), case="d.png")
    assert after == before


def test_the_whole_circle_without_images(tmp_path):
    source = own_labels(tmp_path / "data", EVERYTHING)
    before = by_name(formats.read(source), tmp_path / "data")
    last, done = through(source, tmp_path)
    after = by_name(formats.read(last), last.parent)
    del before["d.png"]
    assert after == before
    counts = {(item.mitotic_figures, item.atypical, item.look_alikes, item.others) for item in done}
    assert counts == {(3, 1, 1, 1)}
    assert [item.images for item in done] == [4, 4, 4, 4, 3]
    images = json.loads(last.read_text())["images"]
    assert [(item["file_name"], item.get("width"), item.get("height")) for item in images] == [
        ("a.png", 100, 80), ("c.png", None, None), ("sub/b.png", 100, 80),
    ]  # fmt: skip


def test_the_circle_with_drawn_fields(tmp_path):
    write_sample(tmp_path / "fields", count=3, size_px=256, seed=3)
    before = by_name(formats.read(tmp_path / "fields"), tmp_path)
    assert sum(len(field.cells) for field in before.values()) >= 5
    last, done = through(tmp_path / "fields", tmp_path)
    assert by_name(formats.read(last), tmp_path) == before
    assert all(item.missing == 0 for item in done)
    first = json.loads((tmp_path / "fields" / "MIDOG.json").read_text())
    again = json.loads(last.read_text())

    def boxes(content):
        return sorted((item["image_id"], item["category_id"], *item["bbox"]) for item in content["annotations"])

    assert boxes(again) == boxes(first)


def awkward_points():
    """Points that rounding loves: tiny, on the rims, thirds, neighbours in the last bit."""
    values = [0.0, -0.0, -0.5, 5e-324, 1e-17, 0.1, 1 / 3, 0.1 + 0.2, 24.999999999999996, 25.0, 1e5 / 3]
    values += [math.nextafter(99999.0, 0), math.nextafter(0.1, 1)]
    random = np.random.default_rng(7)
    pairs = [(x, y) for x in values for y in values]
    return pairs + [tuple(pair) for pair in random.uniform(-0.5, 99999, (200, 2)).tolist()]


def circle_of(points, folder):
    labels = (MITOTIC_FIGURE, NON_MITOTIC, ATYPICAL, "eosinophil")
    unique = list(dict.fromkeys((x + 0.0, y + 0.0) for x, y in points))
    rows = "".join(f"{n % 3}.tiff,{x!r},{y!r},{labels[n % 4]},,,,,,,100000,100000\n" for n, (x, y) in enumerate(unique))
    source = own_labels(folder / "data", rows)
    before = by_name(formats.read(source), folder / "data")
    assert sum(len(field.cells) for field in before.values()) == len(unique)
    last, _ = through(source, folder)
    assert by_name(formats.read(last), last.parent) == before


def test_awkward_points_come_back_to_the_last_bit(tmp_path):
    circle_of(awkward_points(), tmp_path)


def test_any_points_come_back_to_the_last_bit(tmp_path_factory):
    hypothesis = pytest.importorskip("hypothesis")
    numbers = hypothesis.strategies.floats(-0.5, 99999.0)

    @hypothesis.settings(max_examples=25, deadline=None)
    @hypothesis.given(hypothesis.strategies.lists(hypothesis.strategies.tuples(numbers, numbers), min_size=1))
    def holds(points):
        circle_of(points, tmp_path_factory.mktemp("any"))

    holds()


@pytest.mark.parametrize("to", ["midog", "coco"])
def test_boxes_that_fit_both_ways_are_read_as_they_were_written(tmp_path, to):
    # As corners 5,5,55,55 and as sizes 5,5,50,50 lie in the image whichever way they are read.
    for points in ([(30, 30)], [(30, 30), (32, 31)], [(30.0, 30.0), (26.5, 40.25)]):
        rows = "".join(f"a.png,{x},{y},mf,,,,,,,1000,1000\n" for x, y in points)
        source = own_labels(tmp_path, rows)
        convert(source, to, tmp_path / "out.json", overwrite=True)
        dataset = formats.read(tmp_path / "out.json")
        assert [(cell.x_px, cell.y_px) for cell in dataset.fields[0].cells] == points
        way = {"midog": "x1,y1,x2,y2", "coco": "x,y,w,h"}[to]
        assert dataset.notes[0] == f"bbox was read as {way}, as the file says."


def test_what_the_json_of_boxes_looks_like(tmp_path):
    source = own_labels(tmp_path, EVERYTHING)
    convert(source, "midog", tmp_path / "m.json")
    content = json.loads((tmp_path / "m.json").read_text())
    assert [(item["id"], item["name"]) for item in content["categories"]] == [
        (1, "mitotic figure"), (2, "hard negative"), (3, "atypical mitotic figure"), (4, "eosinophil"),
    ]  # fmt: skip
    first, second = content["images"][:2]
    about = {"case": "slide 1", "labelled": True, "complete": True, "um_per_px": 0.23, "domain": "canine lymphoma"}
    assert first == {
        "id": 1, "file_name": "a.png", "width": 100, "height": 80, "tumor_type": "canine lymphoma", "mitozoo": about,
    }  # fmt: skip
    # A scanner is no tumour.
    assert "tumor_type" not in second and second["mitozoo"]["domain"] == "Aperio"
    assert content["annotations"][0] == {"id": 1, "image_id": 1, "category_id": 1, "bbox": [-15.0, -5.0, 35.0, 45.0]}
    assert content["annotations"][3]["mitozoo"] == {"point": [1e-300, 5e-324]}
    convert(source, "coco", tmp_path / "c.json")
    assert json.loads((tmp_path / "c.json").read_text())["annotations"][0] == {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [-15.0, -5.0, 50.0, 50.0], "area": 2500.0, "iscrowd": 0,
    }  # fmt: skip


def test_a_box_that_somebody_moved_beats_the_stated_point(tmp_path):
    source = own_labels(tmp_path, "a.png,0.1,0.3,mf,,,,,,,100,80\n")
    path = tmp_path / "m.json"
    convert(source, "midog", path)
    content = json.loads(path.read_text())
    content["annotations"][0] |= {"bbox": [10, 10, 60, 60], "mitozoo": {"point": [0.1, 0.3]}}
    path.write_text(json.dumps(content))
    assert formats.read(path).fields[0].cells == (Cell(35.0, 35.0, MITOTIC_FIGURE),)
    content["info"]["mitozoo"]["bbox"] = "x,y,w,h"
    content["annotations"][0]["bbox"] = [10, 10, -5, 20]
    path.write_text(json.dumps(content))
    with pytest.raises(LabelError, match=r"the bbox \[10.0, 10.0, -5.0, 20.0\] is not x,y,w,h, as info says"):
        formats.read(path)
    content["info"]["mitozoo"]["bbox"] = "xywh"
    path.write_text(json.dumps(content))
    with pytest.raises(LabelError, match="info says that bbox is 'xywh'. Write 'x1,y1,x2,y2' or 'x,y,w,h', or remove"):
        formats.read(path)


def test_the_rules_for_midog_numbers_do_not_overrule_what_a_file_says(tmp_path):
    rows = "160.tiff,,,,ours,,,yes,yes,,10,10\n001.tiff,,,,ours,,,no,no,,10,10\n"
    convert(own_labels(tmp_path, rows), "midog", tmp_path / "MIDOG.json")
    first, second = formats.read(tmp_path / "MIDOG.json").fields
    assert (first.case, first.labelled, first.um_per_px) == ("ours", True, None)
    assert (second.case, second.labelled, second.complete) == ("ours", False, False)


def test_what_a_geojson_looks_like(tmp_path):
    picture(tmp_path / "images" / "a.png")
    convert(own_labels(tmp_path, "a.png,10.25,20,atypical,s,,,,,,,\n"), "geojson", tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.geojson")
    assert path == tmp_path / "out" / "a.png.geojson"
    content = json.loads(path.read_text())
    assert content["type"] == "FeatureCollection"
    assert content["mitozoo"] == {
        "image": "../images/a.png", "case": "s", "labelled": True, "complete": True, "width_px": 100, "height_px": 80,
    }  # fmt: skip
    (feature,) = content["features"]
    assert feature["geometry"] == {"type": "Point", "coordinates": [10.25, 20.0]}
    assert feature["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "Atypical mitotic figure", "color": [0, 150, 255]},
    }
    convert(tmp_path / "points.csv", "geojson", tmp_path / "out", overwrite=True)
    assert json.loads(path.read_text()) == content  # the same id again


def test_images_of_one_name_in_two_folders_get_two_files(tmp_path):
    for folder in ("1", "2"):
        picture(tmp_path / folder / "a.png")
    source = own_labels(tmp_path, "1/a.png,1,1,mf,,,,,,,,\n2/a.png,2,2,mf,,,,,,,,\n")
    convert(source, "geojson", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a.png.geojson", "a-2.png.geojson"}
    after = by_name(formats.read(tmp_path / "out"), tmp_path)
    assert {name: field.cells[0].x_px for name, field in after.items()} == {"1/a.png": 1.0, "2/a.png": 2.0}


def test_licence_and_source_stay_in_a_json_and_are_named_elsewhere(tmp_path):
    write_sample(tmp_path / "fields", count=1, size_px=128, seed=0)
    content = json.loads((tmp_path / "fields" / "MIDOG.json").read_text())
    content["licenses"] = [{"id": 1, "name": "CC0"}, {"id": 2, "name": "MIT"}]
    # Numbered as MIDOG's images are, so that MIDOG is the source and not the file itself.
    drawn = tmp_path / "fields" / content["images"][0]["file_name"]
    drawn.rename(drawn.with_name("001.tiff"))
    content["images"][0]["file_name"] = "001.tiff"
    (tmp_path / "fields" / "MIDOG.json").write_text(json.dumps(content))
    before = formats.read(tmp_path / "fields")
    assert convert(tmp_path / "fields", "coco", tmp_path / "c.json").lost == ()
    after = formats.read(tmp_path / "c.json")
    assert (after.licence, after.source) == (before.licence, before.source) == ("CC0, MIT", before.source)
    for to in ("csv", "geojson"):
        assert convert(tmp_path / "c.json", to, tmp_path / OUT[to]).lost == ("licence", "source")
    # Where a file lay on this machine is not written.
    convert(own_labels(tmp_path / "own", "a.png,1,1,mf,,,,,,,9,9\n"), "midog", tmp_path / "own.json")
    assert str(tmp_path) not in (tmp_path / "own.json").read_text()


def test_spacing_of_the_user_replaces_all(tmp_path):
    source = own_labels(tmp_path, EVERYTHING)
    convert(source, "csv", tmp_path / "new.csv", um_per_px=0.5)
    assert {field.um_per_px for field in formats.read(tmp_path / "new.csv").fields} == {0.5}
    with pytest.raises(InputError, match="A spacing of 250 µm per pixel is not plausible"):
        convert(source, "csv", tmp_path / "more.csv", um_per_px=250)


@pytest.mark.parametrize(
    ("to", "out", "said"),
    [
        ("csv", "x.json", "--to csv writes one .csv file. Give it as --out, for example {out}/labels.csv."),
        ("midog", "folder", "--to midog writes one .json file. Give it as --out, for example {out}/labels.json."),
        ("csv", "there.csv", "{out} exists already. Choose another --out, or add --overwrite to replace it."),
        ("geojson", "there.csv", "{out} is a file, but --to geojson writes a folder. Choose a folder as --out."),
        ("geojson", "x.geojson", "--to geojson writes a folder with a file for every image. Choose a folder as --out."),
        ("geojson", "folder", "{out}/old.geojson is there already and would be read with the new files. Choose"),
        ("geojson", "before", "{out}/a.png.geojson exists already. Choose another --out, or add --overwrite to"),
    ],
)
def test_places_that_are_taken_or_wrong(tmp_path, to, out, said):
    for name in ("there.csv", "folder/old.geojson", "before/a.png.geojson"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
    source = own_labels(tmp_path / "data", "a.png,1,1,mf,,,,,,,,\n")
    with pytest.raises(OutputError) as error:
        convert(source, to, tmp_path / out)
    assert str(error.value).startswith(said.format(out=tmp_path / out))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [
        "a.png.geojson", "old.geojson", "points.csv", "there.csv",
    ]  # fmt: skip
    assert all((tmp_path / name).read_text() == "old" for name in ("there.csv", "folder/old.geojson"))


def test_an_unknown_format():
    with pytest.raises(UnknownNameError) as error:
        convert("x", "cocoa", "y")
    assert str(error.value) == "No label format to write named 'cocoa'. Did you mean 'coco'?"


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (Field("a.png", "s", (Cell(math.nan, 1.0, MITOTIC_FIGURE),)), "a mitotic_figure lies at x nan, y 1.0. Correct"),
        (Field("a.png", "s", excluded=((1.0, math.inf, 2.0),)), "an excluded place is not finite. Correct it."),
        (Field("a.png", "s", (Cell(1.0, 1.0, "Mitosis!"),)), "the class 'Mitosis!' would not be read back as it is."),
        (Field("a.png", "s", (Cell(1.0, 1.0, ""),)), "the class '' would not be read back as it is."),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, field, said):
    field = dataclasses.replace(field, path=tmp_path / field.path)
    with pytest.raises(LabelError) as error:
        entries_of(Dataset("own", (field,)), tmp_path, tmp_path, {})
    assert said in str(error.value)


def test_an_image_twice_and_a_name_that_a_table_loses(tmp_path):
    field = Field(tmp_path / "a.png", "s")
    with pytest.raises(LabelError, match="a.png is listed twice in own. Remove one of the two."):
        entries_of(Dataset("own", (field, field)), tmp_path, tmp_path, {})
    picture(tmp_path / " a.png")
    (tmp_path / "m.json").write_text(
        json.dumps({"images": [{"id": 1, "file_name": " a.png", "width": 100, "height": 80}], "annotations": []})
    )
    with pytest.raises(LabelError, match="its name begins or ends with a space, which tables lose. Rename the image."):
        convert(tmp_path / "m.json", "csv", tmp_path / "c.csv")
    assert not (tmp_path / "c.csv").exists()


def test_the_writers_by_hand(tmp_path):
    field = Field(tmp_path / "a.png", "s", (Cell(30.0, 40.0, NON_MITOTIC),))
    dataset = Dataset("own", (field,))
    (entry,) = entries_of(dataset, tmp_path, tmp_path, {field.path: (100, 80)})
    assert (entry.name, entry.size_px, entry.exists) == ("a.png", (100, 80), False)
    content = document(dataset, [entry], "x,y,w,h")
    assert content["annotations"][0]["bbox"] == [5.0, 15.0, 50.0, 50.0]
    assert content["annotations"][0]["category_id"] == 2
    feature = feature_collection(entry, tmp_path / "a.png.geojson", tmp_path)["features"][0]
    assert feature["properties"]["classification"] == {"name": "Look-alike", "color": [240, 228, 66]}
