"""The two tables, read back with the csv module."""

import csv
import dataclasses

import pytest

from mitozoo.export.summary import summarise
from mitozoo.export.tables import write_detections, write_summary


def read(path):
    text = path.read_bytes().decode("utf-8")
    assert text.endswith("\r\n")
    return list(csv.reader(text.splitlines(keepends=True)))


def test_detections(tmp_path, result, failed):
    write_detections(tmp_path / "d.csv", [summarise(result), summarise(failed)])
    assert read(tmp_path / "d.csv") == [
        ["image", "x_px", "y_px", "x_um", "y_um", "score", "label", "atypical_score"],
        ["slides/A1.png", "100.00", "200.00", "25.00", "50.00", "0.9300", "mitotic_figure", "0.1000"],
        ["slides/A1.png", "300.50", "40.25", "75.12", "10.06", "0.8000", "atypical_mitotic_figure", "0.7500"],
        ["slides/A1.png", "639.00", "479.00", "159.75", "119.75", "0.5500", "mitotic_figure", ""],
    ]


def test_assumed_spacing_gives_no_micrometres(tmp_path, result):
    assumed = dataclasses.replace(result, spacing_source="assumed")
    write_detections(tmp_path / "d.csv", [summarise(assumed)])
    assert [row[3:5] for row in read(tmp_path / "d.csv")[1:]] == [["", ""]] * 3


def test_summary_has_a_row_for_every_image(tmp_path, result, failed):
    write_summary(tmp_path / "s.csv", [summarise(result), summarise(failed)])
    header, good, bad = read(tmp_path / "s.csv")
    assert ",".join(header) == (
        "image,width_px,height_px,um_per_px,spacing_source,tissue_mm2,mitotic_figures,atypical,per_mm2,"
        "hotspot_x_px,hotspot_y_px,hotspot_mm2,hotspot_count,mitotic_score,seconds,status"
    )
    # 640 * 480 px of 0.25 um are 0.0192 mm2; 3 / 0.0192 = 156.25. The image is its own hotspot, too small for a score.
    assert good == ("slides/A1.png,640,480,0.25,file,0.0192,3,1,156.250,319.5,239.5,0.0192,3,,1.50,ok".split(","))
    assert dict(zip(header, bad, strict=True)) == {
        **dict.fromkeys(header, ""),
        "image": "broken.tif",
        "seconds": "0.00",
        "status": "The file ends early. Copy it again.",
    }


@pytest.mark.parametrize("name", ['a,b "c".png', "two\nlines.png", "Übung µ 核.png"])
def test_any_name_comes_back(tmp_path, result, name):
    write_detections(tmp_path / "d.csv", [summarise(dataclasses.replace(result, name=name))])
    assert read(tmp_path / "d.csv")[1][0] == name


def test_a_name_that_is_not_utf_8_is_written(tmp_path, result):
    write_summary(tmp_path / "s.csv", [summarise(dataclasses.replace(result, name="a\udce9.png"))])
    assert read(tmp_path / "s.csv")[1][0] == r"a\udce9.png"


@pytest.mark.parametrize(("tissue_mm2", "score"), [(4.0, 1), (2.37, 1), (2.3, None)])
def test_no_score_where_the_tissue_is_smaller_than_the_window(result, tissue_mm2, score):
    # 8000 x 8000 px of 0.25 um are 4 mm2.
    large = dataclasses.replace(result, width_px=8000, height_px=8000, tissue_mm2=tissue_mm2)
    summary = summarise(large)
    assert summary.hotspot.mm2 == pytest.approx(2.37)
    assert (summary.hotspot.count, summary.mitotic_score) == (3, score)


def test_no_score_for_a_window_that_the_table_does_not_have(result):
    large = dataclasses.replace(result, width_px=8000, height_px=8000, tissue_mm2=4.0)
    assert summarise(large, hotspot_mm2=1.0).mitotic_score is None


def test_nothing_searched_has_no_density(result):
    assert summarise(dataclasses.replace(result, tissue_mm2=0.0)).per_mm2 is None
