"""The output folder: what is written where, what is refused, and what a full disk leaves behind."""

import csv
import dataclasses
import errno
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from mitozoo.base.errors import OutputError, UnknownNameError
from mitozoo.export.folder import OutputFolder
from mitozoo.export.formats import DEFAULT_FORMATS, FORMATS


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_default_formats(tmp_path, field, result, failed):
    folder = OutputFolder(tmp_path / "out")
    folder.check([result.name, failed.name])
    summary = folder.add(result, field)
    folder.add(failed, None)
    written = folder.finish({"command": "mitozoo predict"})
    assert files(tmp_path / "out") == [
        "detections.csv",
        "doubtful.csv",
        "report.html",
        "run.json",
        "slides/A1.png.geojson",
        "slides/A1.png.overlay.png",
        "summary.csv",
    ]
    tables = ["detections.csv", "doubtful.csv", "summary.csv"]
    assert [path.name for path in written] == [*tables, "report.html", "run.json"]
    assert (summary.hotspot.count, summary.mitotic_score) == (3, None)
    with (tmp_path / "out/summary.csv").open(newline="") as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["ok", "The file ends early. Copy it again."]
    run = json.loads((tmp_path / "out/run.json").read_text())
    assert run["command"] == "mitozoo predict" and "tensorflow" in run["versions"]
    # The overview and three crops.
    assert (tmp_path / "out/report.html").read_text().count("data:image/jpeg") == 4


def test_all_formats_and_their_names(tmp_path, field, result):
    assert list(FORMATS) == ["csv", "geojson", "overlay", "report", "midog", "coco", "mask", "heatmap"]
    assert DEFAULT_FORMATS == ("csv", "geojson", "overlay", "report")
    folder = OutputFolder(tmp_path, list(FORMATS), gives=("mask",))
    folder.check([result.name, "other.png"])
    mask = np.zeros((480, 640), dtype=bool)
    mask[10, 20] = True
    folder.add(result, field, maps={"mask": mask})
    folder.finish({})
    assert set(files(tmp_path)) >= {
        "coco.json",
        "slides/A1.png.mask.png",
        "slides/A1.png.heatmap.png",
        "slides/A1.png.heatmap.tif",
        "slides/A1.png.mitotic-figures.json",
    }
    back = cv2.imread(str(tmp_path / "slides/A1.png.mask.png"), cv2.IMREAD_UNCHANGED)
    assert (back.dtype, back[10, 20], back.sum()) == (np.uint8, 255, 255)
    density = tifffile.imread(tmp_path / "slides/A1.png.heatmap.tif")
    # Per mm², in cells of 32 µm: the integral is the number of figures.
    assert density.sum() * 0.032**2 == pytest.approx(len(result.detections), rel=1e-4)
    assert cv2.imread(str(tmp_path / "slides/A1.png.heatmap.png")).shape[1] == 640


def test_one_image_alone_has_grand_challenges_own_file_name(tmp_path, result):
    folder = OutputFolder(tmp_path, ["midog"])
    folder.check([result.name])
    folder.add(result, None)
    # The candidate under the threshold is listed too.
    assert len(json.loads((tmp_path / "mitotic-figures.json").read_text())["points"]) == 4


def test_an_unknown_format_names_the_nearest(tmp_path):
    with pytest.raises(UnknownNameError) as caught:
        OutputFolder(tmp_path, ["csv", "geojsn"])
    assert str(caught.value) == "No output format named 'geojsn'. Did you mean 'geojson'?"


def test_a_map_that_the_model_does_not_give(tmp_path, field, result):
    text = "stn does not segment; --format mask needs a model that does. Leave out mask or choose another --model."
    with pytest.raises(OutputError) as caught:
        OutputFolder(tmp_path, ["mask"], model="stn", gives=()).check([])
    assert str(caught.value) == text
    with pytest.raises(OutputError) as caught:
        OutputFolder(tmp_path, ["mask", "geojson"], model="stn").add(result, field)
    assert str(caught.value) == text
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["detections.csv", "run.json", "slides/A1.png.overlay.jpg", "slides/A1.png.geojson"])
def test_a_file_that_is_there_is_refused_before_any_work(tmp_path, result, name):
    taken = tmp_path / name
    taken.parent.mkdir(exist_ok=True)
    taken.write_text("mine")
    with pytest.raises(OutputError) as caught:
        OutputFolder(tmp_path).check([result.name])
    assert str(caught.value) == f"{taken} exists already. Choose another --out, or add --overwrite to replace it."
    assert files(tmp_path) == [name]
    OutputFolder(tmp_path, overwrite=True).check([result.name])
    assert taken.read_text() == "mine"


def test_overwrite_replaces(tmp_path, field, result):
    for count in (1, 2):
        folder = OutputFolder(tmp_path, overwrite=True)
        folder.check([result.name])
        folder.add(dataclasses.replace(result, detections=result.detections[:count]), field)
        folder.finish({})
        assert len((tmp_path / "detections.csv").read_text().splitlines()) == 1 + count


def test_a_file_that_came_up_meanwhile_is_not_replaced(tmp_path, field, result):
    folder = OutputFolder(tmp_path, ["geojson"])
    folder.check([result.name])
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides/A1.png.geojson").write_text("mine")
    with pytest.raises(OutputError, match="--overwrite"):
        folder.add(result, field)
    assert (tmp_path / "slides/A1.png.geojson").read_text() == "mine"


def test_out_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="it is a file, not a folder"):
        OutputFolder(tmp_path / "out").check([])


def test_other_files_in_the_folder_are_no_hindrance(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    OutputFolder(tmp_path).check(["a.png"])
    assert files(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize(
    "name",
    ["../../evil.png", "/etc/evil.png", "C:\\Windows\\evil.png", "..\\evil.png", "a/../../evil.png", "..", ""],
)
def test_nothing_is_written_outside(tmp_path, field, result, name):
    out = tmp_path / "deep" / "out"
    folder = OutputFolder(out)
    folder.check([name])
    folder.add(dataclasses.replace(result, name=name), field)
    folder.finish({})
    assert all(path.startswith("deep/out/") for path in files(tmp_path))
    assert len(files(out)) == 7


def test_a_link_that_leads_outside_is_refused(tmp_path, field, result):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/slides").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="would be written outside"):
        OutputFolder(tmp_path / "out").check([result.name])
    with pytest.raises(OutputError, match="would be written outside"):
        OutputFolder(tmp_path / "out").add(result, field)
    assert files(tmp_path) == []


def test_names_that_become_the_same_do_not_overwrite_each_other(tmp_path, result):
    names = ["a:b.png", "a?b.png", "A_b.png", "a_b-2.png"]
    folder = OutputFolder(tmp_path, ["geojson"])
    folder.check(names)
    for index, name in enumerate(names):
        folder.add(dataclasses.replace(result, name=name, detections=result.detections[: index % 4]), None)
    assert files(tmp_path) == sorted(
        ["a_b.png.geojson", "a_b-2.png.geojson", "A_b-3.png.geojson", "a_b-2-2.png.geojson"]
    )
    counts = [
        len(json.loads((tmp_path / name).read_text())["features"])
        for name in ("a_b.png.geojson", "a_b-2.png.geojson", "A_b-3.png.geojson", "a_b-2-2.png.geojson")
    ]
    assert counts == [0, 1, 2, 3]


def full_disk(*_args, **_kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("target", [(os, "replace"), (Path, "write_bytes")])
def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch, field, result, target):
    folder = OutputFolder(tmp_path)
    folder.check([result.name])
    with monkeypatch.context() as patch:
        patch.setattr(*target, full_disk)
        with pytest.raises(OutputError, match="the disk is full; free some space and run again"):
            folder.add(result, field)
        with pytest.raises(OutputError, match="the disk is full"):
            folder.finish({})
        with pytest.raises(OutputError, match="the disk is full"):
            OutputFolder(tmp_path).check([])
    assert files(tmp_path) == []
    folder.add(result, field)
    folder.finish({})
    assert len(files(tmp_path)) == 7


def test_a_slide_has_its_crops_read_and_its_overview_from_a_smaller_copy(tmp_path, field, result):
    asked = []

    def reader(x_px, y_px, side_px):
        asked.append((x_px, y_px, side_px))
        return np.zeros((side_px, side_px, 3), dtype=np.uint8)

    slide = dataclasses.replace(result, width_px=64_000, height_px=48_000, tissue_mm2=192.0)
    folder = OutputFolder(tmp_path)
    summary = folder.add(slide, field, crop_reader=reader)
    folder.finish({})
    assert asked == [(100.0, 200.0, 96), (300.5, 40.25, 96), (639.0, 479.0, 96)]
    assert "slides/A1.png.overlay.jpg" in files(tmp_path)
    assert (summary.hotspot.count, summary.mitotic_score) == (3, 1)


def test_without_pixels_the_report_says_why_it_has_no_pictures(tmp_path, result):
    folder = OutputFolder(tmp_path)
    folder.add(result, None)
    folder.finish({})
    assert "slides/A1.png.overlay.png" not in files(tmp_path)
    assert "No pictures: this image was not at hand" in (tmp_path / "report.html").read_text()


def test_candidates_under_the_threshold_are_not_kept_in_memory(tmp_path, field, result):
    assert OutputFolder(tmp_path).add(result, field).result.below == ()
