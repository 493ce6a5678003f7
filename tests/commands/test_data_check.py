"""`mitozoo data check` from end to end."""

import json

import cv2
import numpy as np
import pytest

from mitozoo.commands import main
from mitozoo.data.synthetic import write_sample


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


@pytest.fixture
def frames(tmp_path):
    """Three frames of two slides: one with a mitotic figure and a look-alike, one empty, one unlabelled."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for name in ("A01_00Aa.png", "A02_00Aa.png", "H02_00Ab.png"):
        cv2.imwrite(str(folder / name), np.full((100, 120, 3), 200, np.uint8))
    rows = "A01_00Aa.png,50,60,mitosis\nA01_00Aa.png,90,20,nonmitosis\nA02_00Aa.png,,,\n"
    (folder / "labels.csv").write_text(f"image,x,y,label\n{rows}", encoding="utf-8")
    return folder


SAID = """\
Data set           MITOS-ATYPIA-14 frames
Format             mitos14_frames
Images             3, 2 of them labelled
Cases              2
Mitotic figures    1
  atypical         the labels do not tell
Look-alikes        1
No mitotic figure  1 image (1 without any label)
Missing files      0
Damaged files      0
Spacing            0.2274 to 0.2455 µm per pixel, known for 3 of 3
Licence            CC BY 4.0
Source             Roux et al. 2014

Domain     cases  images  mitotic figures  look-alikes
Aperio         2       2                1            1
Hamamatsu      1       1                0            0

Note: 1 images have no row in labels.csv: unlabelled, not counted as negative.
"""


def test_what_is_said(frames, capsys):
    assert run(capsys, "data", "check", frames) == (0, SAID, "")


def test_json_and_sheet(frames, tmp_path, capsys):
    sheet, file = tmp_path / "sheet.png", tmp_path / "check.json"
    arguments = ("data", "check", frames, "--sheet", sheet, "--json", file, "--quiet")
    assert run(capsys, *arguments) == (0, f"{SAID}Json: {file}\nSheet: {sheet} (2 cells)\n", "")
    content = json.loads(file.read_text(encoding="utf-8"))
    assert (content["format"], content["images"], content["mitotic_figures"]) == ("mitos14_frames", 3, 1)
    assert content["um_per_px"] == [0.2274, 0.2455] and content["damaged"] == {}
    assert cv2.imread(str(sheet)).shape[1] > 800
    before = sheet.read_bytes()
    assert run(capsys, *arguments) == (
        2,
        "",
        f"Error: {sheet} exists already. Choose another name, or add --overwrite to replace it.\n",
    )
    assert run(capsys, *arguments, "--overwrite")[0] == 0
    assert sheet.read_bytes() == before


def test_a_damaged_image_ends_with_code_1_and_the_rest_is_reported(frames, tmp_path, capsys):
    damaged = frames / "A02_00Aa.png"
    damaged.write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, err = run(capsys, "data", "check", frames, "--sheet", tmp_path / "sheet.png")
    assert (code, err) == (1, "")
    assert "Damaged files      1\n" in out and "Mitotic figures    1\n" in out
    assert f"Damaged: {damaged} is cut off within its header. Give an image or leave this file out.\n" in out
    assert out.endswith(f"Sheet: {tmp_path / 'sheet.png'} (2 cells)\n")


def test_labels_without_images_have_no_sheet(tmp_path, capsys):
    write_sample(tmp_path / "sample", 2, 128, 0)
    labels = tmp_path / "MIDOG.json"
    (tmp_path / "sample" / "MIDOG.json").rename(labels)
    code, out, err = run(capsys, "data", "check", labels, "--sheet", tmp_path / "sheet.png")
    assert (code, err) == (0, "No sheet: none of the images with a labelled cell is there to be read.\n")
    assert "Missing files      2\n" in out and not (tmp_path / "sheet.png").exists()


def test_label_files_are_not_written_over(frames, capsys):
    code, _, err = run(capsys, "data", "check", frames, "--json", frames / "labels.csv", "--overwrite")
    assert (code, err) == (
        2,
        f"Error: {frames / 'labels.csv'} does not end in .json. Give a file name that does.\n",
    )
    code, _, err = run(capsys, "data", "check", frames, "--data-format", "midgo")
    assert (code, err) == (2, "Error: No data format named 'midgo'. Did you mean 'midog'?\n")
