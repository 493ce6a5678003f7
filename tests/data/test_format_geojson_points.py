import json

import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data import formats
from mitozoo.data.formats import geojson_points


def picture(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((height, width, 3), 200, np.uint8)).save(path)


def point(x, y, name="Mitosis", **properties):
    about = {"objectType": "annotation", "classification": {"name": name, "color": [255, 0, 0]}} | properties
    return shape("Point", [x, y]) | {"properties": about}


def shape(kind, coordinates, name="Mitosis"):
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": name}}}


def write(path, features, **more):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}), encoding="utf-8")
    return path


def cells_of(path):
    (field,) = formats.read(path).fields
    return field.cells


def refused(path):
    with pytest.raises(LabelError) as error:
        formats.read(path)
    return str(error.value)


def test_a_folder_says_what_is_empty_and_what_is_unlabelled(tmp_path):
    for name in ("a.png", "b.png", "images/c.tif", "d.png", "a.overlay.png"):
        picture(tmp_path / name)
    write(tmp_path / "a.png.geojson", [point(1.5, 2)])  # as mitozoo names it
    write(tmp_path / "b.geojson", [])  # as QuPath names it
    write(tmp_path / "c.geojson", [point(3, 4, "Look-alike")])
    assert formats.recognise(tmp_path) == "geojson_points"
    dataset = formats.read(tmp_path)
    fields = {field.path.relative_to(tmp_path).as_posix(): field for field in dataset.fields}
    assert fields["a.png"].cells == (Cell(1.5, 2.0, MITOTIC_FIGURE),)
    assert fields["b.png"].cells == () and fields["b.png"].labelled and fields["b.png"].complete
    assert fields["images/c.tif"].cells == (Cell(3.0, 4.0, NON_MITOTIC),)
    assert not fields["d.png"].labelled and not fields["d.png"].complete
    assert len(fields) == 4 and {name: field.case for name, field in fields.items()} == {name: name for name in fields}
    assert dataset.notes == ("1 images have no .geojson: unlabelled, not counted as negative.",)


def test_one_file_is_one_image(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    path = write(tmp_path / "a.geojson", [point(1, 2)])
    assert formats.recognise(path) == "geojson_points"
    assert [field.path.name for field in formats.read(path).fields] == ["a.png"]


@pytest.mark.parametrize("kind", ["annotation", "detection", "cell"])
def test_objects_of_qupath(tmp_path, kind):
    path = write(tmp_path / "a.geojson", [point(1, 2, objectType=kind, measurements={"Area": float("nan")})])
    assert cells_of(path) == (Cell(1.0, 2.0, MITOTIC_FIGURE),)


def test_a_list_and_one_feature_alone(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps([point(1, 2), point(3, 4)]), encoding="utf-8-sig")
    assert len(cells_of(path)) == 2
    path.write_text(json.dumps(point(1, 2)))
    assert cells_of(path) == (Cell(1.0, 2.0, MITOTIC_FIGURE),)
    path.write_text("[]")
    assert cells_of(path) == ()


@pytest.mark.parametrize(
    ("kind", "coordinates", "expected"),
    [
        ("MultiPoint", [[1, 2], [3, 4.5]], [(1, 2), (3, 4.5)]),
        # A rectangle, closed; an L of three unit squares: centroid by hand (0.5+1.5+0.5)/3, (0.5+0.5+1.5)/3.
        ("Polygon", [[[0, 0], [4, 0], [4, 2], [0, 2], [0, 0]]], [(2, 1)]),
        ("Polygon", [[[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2], [0, 0]]], [(5 / 6, 5 / 6)]),
        # The other way round, far from the origin; a line without area; two squares of areas 1 and 3 * 3.
        ("Polygon", [[[20, 10], [20, 12], [24, 12], [24, 10], [20, 10]]], [(22, 11)]),
        ("Polygon", [[[1, 1], [3, 1], [5, 1]]], [(3, 1)]),
        (
            "MultiPolygon",
            [[[[0, 0], [1, 0], [1, 1], [0, 1]]], [[[10, 0], [10, 3], [13, 3], [13, 0]]]],
            [((0.5 + 9 * 11.5) / 10, (0.5 + 9 * 1.5) / 10)],
        ),
    ],
)
def test_the_point_of_a_shape(tmp_path, kind, coordinates, expected):
    cells = cells_of(write(tmp_path / "a.geojson", [shape(kind, coordinates)]))
    np.testing.assert_allclose([(cell.x_px, cell.y_px) for cell in cells], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("classification", "label"),
    [
        ({"name": "Mitotic figure"}, MITOTIC_FIGURE), ({"name": "ATYPICAL-mitosis", "colorRGB": -65536}, ATYPICAL),
        ({"name": "Look-alike"}, NON_MITOTIC), ("hard negative", NON_MITOTIC),
        ({"names": ["Mitotic figure", "Atypical"]}, ATYPICAL), ({"name": "Mitosis: Normal"}, MITOTIC_FIGURE),
        ({"name": "Atypical: Positive"}, ATYPICAL), ({"name": "Tumor: Positive"}, "tumor_positive"),
        ({"name": "Eosinophil"}, "eosinophil"),
    ],
)  # fmt: skip
def test_classifications(tmp_path, classification, label):
    path = write(tmp_path / "a.geojson", [point(1, 2, classification=classification)])
    assert cells_of(path) == (Cell(1.0, 2.0, label),)
    said = f"1 cells are {label}: neither mitotic figures nor look-alikes."
    assert (said in formats.read(path).notes) == (label not in CLASSES)


@pytest.mark.parametrize("classification", [None, {}, {"name": ""}, {"name": None}, {"names": []}, []])
def test_what_has_no_class_is_refused(tmp_path, classification):
    path = write(tmp_path / "a.geojson", [point(1, 2), point(3, 4, classification=classification)])
    assert refused(path) == (
        f"{path}: object 2 (Point) has no classification. In QuPath, select it, give it a class (Mitotic figure, "
        "Look-alike …) or delete it, and export again."
    )


def test_regions_are_left_out_and_predictions_are_named(tmp_path):
    region = shape("Polygon", [[[0, 0], [9, 0], [9, 9]]], "Region*")
    found = point(1, 2, objectType="detection", measurements={"probability": 0.9})
    dataset = formats.read(write(tmp_path / "a.geojson", [region, found]))
    assert dataset.fields[0].cells == (Cell(1.0, 2.0, MITOTIC_FIGURE),)
    assert dataset.notes[1:] == (
        "1 objects of a class that QuPath ignores (its name ends with *) were left out.",
        "1 objects carry a probability, as 'mitozoo predict' writes it. They are labels only if somebody has checked "
        "them.",
    )


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        (shape("LineString", [[1, 2], [3, 4]]), "object 1 is a LineString, not a Point, MultiPoint or Polygon. Mark"),
        (shape(None, None) | {"geometry": None}, "object 1 is a thing without geometry, not a Point"),
        (shape("Point", ["a", 2]), "object 1: the coordinates of its Point are no numbers x, y. Export it again."),
        (shape("Point", [float("nan"), 2]), "the coordinates of its Point are no numbers"),
        (shape("Point", [1, float("inf")]), "the coordinates of its Point are no numbers"),
        (shape("Point", [10**400, 2]), "the coordinates of its Point are no numbers"),
        (shape("Point", []), "the coordinates of its Point are no numbers"),
        (shape("Point", None), "the coordinates of its Point are no numbers"),
        (shape("Polygon", []), "the coordinates of its Polygon are no numbers"),
        (shape("MultiPoint", [1, 2]), "the coordinates of its MultiPoint are no numbers"),
        (point(1, 2, objectType="tmaCore"), "object 1 is a tmaCore, not an annotation or detection. Delete it in"),
        (point(40, 2), "the mitotic_figure at x 40, y 2 lies outside the image (40 x 30 px)."),
        (point(2, 35), "inside the image (40 x 30 px) only with x and y exchanged."),
    ],
)
def test_bad_objects(tmp_path, feature, said):
    picture(tmp_path / "a.png")
    assert said in refused(write(tmp_path / "a.geojson", [feature]))


@pytest.mark.parametrize(
    "content",
    ['{"type": "Polygon", "coordinates": []}', '{"type": "FeatureCollection"}', '"text"', "[1, 2]", "null"],
)
def test_another_schema(tmp_path, content):
    path = tmp_path / "a.geojson"
    path.write_text(content)
    assert refused(path) == (
        f"{path} is GeoJSON without a list of features. In QuPath choose File, Export objects as GeoJSON."
    )


def test_damaged_doubled_and_missing(tmp_path):
    path = tmp_path / "a.geojson"
    for content, said in ((b"", "is not valid JSON"), (b'{"features": [', "is not valid JSON"), (b"\xff", "not UTF-8")):
        path.write_bytes(content)
        assert said in refused(path)
    with pytest.raises(DataError, match="No such file or folder"):
        formats.read(tmp_path / "b.geojson")
    picture(tmp_path / "a.png")
    write(path, [])
    write(tmp_path / "a.png.geojson", [])
    assert refused(tmp_path) == f"{tmp_path}/a.png has two .geojson files. Remove one of them."
    write(path, [point(1, 2), point(1, 2, "negative")])
    assert "the point x 1, y 2 is labelled mitotic_figure and non_mitotic" in refused(path)
    assert not geojson_points.recognises(tmp_path / "a.png")


def test_what_mitozoo_adds(tmp_path):
    picture(tmp_path / "far" / "a.png")
    about = {"image": "../far/a.png", "case": "s1", "um_per_px": 0.23, "domain": "Aperio", "labelled": True}
    about |= {"complete": False, "excluded": [[1, 2, 3.5]], "width_px": 40, "height_px": 30}
    path = write(tmp_path / "labels" / "a.png.geojson", [point(1, 2)], mitozoo=about)
    (field,) = formats.read(path.parent).fields
    assert field.path.resolve() == (tmp_path / "far" / "a.png").resolve()
    assert (field.case, field.um_per_px, field.domain, field.complete) == ("s1", 0.23, "Aperio", False)
    assert field.excluded == ((1.0, 2.0, 3.5),)


@pytest.mark.parametrize(
    ("about", "said"),
    [
        (["a"], "'mitozoo' is ['a'], not a group of names and values. Correct or remove it."),
        ({"case": 3}, "case under 'mitozoo' makes no sense. Correct or remove it."),
        ({"um_per_px": "0.25"}, "um_per_px under 'mitozoo' makes no sense."),
        ({"um_per_px": 300}, "300 µm per pixel is not plausible (0.05 to 20). Correct it."),
        ({"labelled": "yes"}, "labelled under 'mitozoo' makes no sense."),
        ({"excluded": [[1, 2]]}, "excluded under 'mitozoo' makes no sense."),
        ({"width_px": 40}, "width_px, height_px under 'mitozoo' makes no sense."),
    ],
)
def test_what_mitozoo_adds_is_checked(tmp_path, about, said):
    path = write(tmp_path / "a.geojson", [], mitozoo=about)
    assert refused(path).startswith(f"{path}: {said}")
