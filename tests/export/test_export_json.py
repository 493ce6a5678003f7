"""GeoJSON, Grand Challenge, COCO and run.json, read back with the json module."""

import dataclasses
import json
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

import mitozoo
from mitozoo.export.coco import write_coco
from mitozoo.export.geojson import feature_collection, write_geojson
from mitozoo.export.midog import write_midog
from mitozoo.export.record import versions, write_run


def load(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_geojson_as_qupath_reads_it(tmp_path, result):
    write_geojson(tmp_path / "a.geojson", result)
    content = load(tmp_path / "a.geojson")
    assert content["type"] == "FeatureCollection"
    usual, atypical, bare = content["features"]
    assert {key: usual[key] for key in ("type", "geometry", "properties")} == {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [100.0, 200.0]},
        "properties": {
            "objectType": "detection",
            "classification": {"name": "Mitotic figure", "color": [255, 0, 0]},
            "measurements": {"probability": 0.93, "atypical probability": 0.1},
        },
    }
    assert atypical["properties"]["classification"]["name"] == "Atypical mitotic figure"
    assert atypical["properties"]["classification"]["color"] != [255, 0, 0]
    assert bare["properties"]["measurements"] == {"probability": 0.55}


def test_geojson_ids_are_uuids_unique_and_the_same_in_every_run(result):
    ids = [feature["id"] for feature in feature_collection(result)["features"]]
    assert [str(uuid.UUID(one)) for one in ids] == ids
    assert ids == [feature["id"] for feature in feature_collection(result)["features"]]
    other = feature_collection(dataclasses.replace(result, name="slides/A2.png"))["features"]
    twice = feature_collection(dataclasses.replace(result, detections=result.detections[:1] * 2))["features"]
    assert len({*ids, *(feature["id"] for feature in other)}) == 6
    assert twice[0]["id"] == ids[0] != twice[1]["id"]


def test_geojson_counts_from_the_bounds_of_a_slide(result):
    first = feature_collection(result, origin_px=(30, 150))["features"][0]
    assert first["geometry"]["coordinates"] == [70.0, 50.0]
    assert first["id"] == feature_collection(result)["features"][0]["id"]


def test_geojson_of_a_name_that_is_not_utf_8(result):
    assert len(feature_collection(dataclasses.replace(result, name="a\udce9.png"))["features"]) == 3


def test_midog_points_are_in_millimetres(tmp_path, result):
    write_midog(tmp_path / "m.json", result)
    content = load(tmp_path / "m.json")
    assert (content["type"], content["version"]) == ("Multiple points", {"major": 1, "minor": 0})
    # 100 px of 0.25 um are 0.025 mm.
    assert content["points"][0] == {"point": [0.025, 0.05, 0], "probability": 0.93, "name": "mitotic figure"}
    assert [point["name"] for point in content["points"]] == ["mitotic figure"] * 3 + ["non-mitotic figure"]
    assert content["points"][3]["point"] == [0.002, 0.004, 0]


def test_coco_boxes_are_centred_on_the_detections(tmp_path, result, failed):
    empty = dataclasses.replace(result, name="empty.png", detections=())
    write_coco(tmp_path / "c.json", [failed, empty, result])
    content = load(tmp_path / "c.json")
    assert [(image["id"], image["file_name"]) for image in content["images"]] == [
        (1, "empty.png"),
        (2, "slides/A1.png"),
    ]
    first, second, _ = content["annotations"]
    # 12.5 um at 0.25 um per pixel are 50 px.
    assert first == {
        "id": 1,
        "image_id": 2,
        "category_id": 1,
        "bbox": [75.0, 175.0, 50.0, 50.0],
        "area": 2500.0,
        "iscrowd": 0,
        "score": 0.93,
    }
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert names[second["category_id"]] == "atypical mitotic figure"
    # 2 means "not a mitotic figure" to a reader of MIDOG labels.
    assert 2 not in names


def test_run_holds_what_it_was_given_and_the_versions(tmp_path):
    run = {"out": Path("a/b"), "threshold": np.float32(0.5), "loss": float("nan"), "shape": (1, np.int64(2))}
    write_run(tmp_path / "run.json", run)
    content = load(tmp_path / "run.json")
    assert content.pop("versions") == versions()
    assert content == {"out": str(Path("a/b")), "threshold": 0.5, "loss": None, "shape": [1, 2]}


def test_versions():
    found = versions()
    assert found["mitozoo"] == mitozoo.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["numpy"] == np.__version__
    assert set(found) == {"mitozoo", "tensorflow", "keras", "numpy", "opencv", "python", "platform"}


def test_a_missing_package_is_said(monkeypatch):
    from mitozoo.export import record

    monkeypatch.setattr(record, "_PACKAGES", {"nothing": ("no-such-package-here",)})
    assert versions()["nothing"] == "not installed"


@pytest.mark.parametrize("module", ["tensorflow", "keras"])
def test_exporting_imports_nothing_heavy(module):
    import subprocess

    code = f"import sys, mitozoo.export.folder; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
