"""Slides that are bad, damaged or taken away, and full disks: the rest goes on, one line says what is lost."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slide_files
import tifffile
from slide_files import Oracle, put, tissue, write_slide

from mitozoo.base.errors import OutputError
from mitozoo.export.folder import OutputFolder
from mitozoo.inference import journal as journals
from mitozoo.inference import many
from mitozoo.inference.journal import RunJournal
from mitozoo.inference.slide_search import search_slide

ROOT = Path(__file__).resolve().parents[2]
PLACES = [(300, 300), (700, 300), (300, 900), (700, 900)]
PLACES_SORTED = sorted(PLACES)


def drawn(path, um_per_px=0.25):
    pixels = tissue(1200, 1000, (150, 150, 900, 1100))
    for x, y in PLACES:
        put(pixels, x, y)
    return write_slide(path, pixels, um_per_px)


def damage(path, x_px, y_px):
    """Make the tile of 256 px at a pixel of the only level unreadable."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        number = y_px // 256 * -(-page.imagewidth // 256) + x_px // 256
        offset, size = page.dataoffsets[number], page.databytecounts[number]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(bytes(size))


def places(result):
    return sorted((round(item.x_px), round(item.y_px)) for item in result.detections)


@pytest.fixture
def as_slides(monkeypatch):
    monkeypatch.setattr(many, "is_slide", lambda path: True)


def test_one_bad_slide_never_stops_the_rest(as_slides, tmp_path):
    glass = write_slide(tmp_path / "glass.tif", np.full((600, 600, 3), slide_files.GLASS, np.uint8))
    forty = drawn(tmp_path / "forty.tif", 40)
    grey = tmp_path / "grey.tif"
    tifffile.imwrite(grey, tissue(600, 600, (0, 0, 600, 600))[..., 0], tile=(256, 256), photometric="minisblack")
    half = drawn(tmp_path / "half.tif", 0.5)
    gone = drawn(tmp_path / "gone.tif")
    good = drawn(tmp_path / "good.tif")
    (tmp_path / "empty.svs").touch()
    given = [glass, forty, grey, tmp_path / "empty.svs", half, gone, good]
    found = {}
    for result, _ in many.predict_images(Oracle(), [(path.name, path) for path in given]):
        found[result.name] = result
        gone.unlink(missing_ok=True)  # after the listing, before its turn
    assert found["glass.tif"].notes == ("No tissue was found: the slide is glass, pen or too pale.",)
    assert found["glass.tif"].complete and found["glass.tif"].tissue_mm2 == 0
    assert found["forty.tif"].status == (
        f"{forty} does not state its spacing. The file states 40 µm per pixel, which no slide scanner gives. Give it "
        "with --um-per-px (0.25 is usual at 40x, 0.5 at 20x)."
    )
    assert found["grey.tif"].status.startswith(f"{grey} is grey (1 sample a pixel)")
    assert found["empty.svs"].status.startswith(f"{tmp_path / 'empty.svs'} is no slide that OpenSlide reads")
    assert found["half.tif"].complete
    assert "coarser than the 0.25 that oracle was trained at" in found["half.tif"].notes[0]
    assert found["gone.tif"].status == f"No such file or folder: {gone}."
    assert places(found["good.tif"]) == PLACES_SORTED
    assert [name for name, result in found.items() if not result.ok] == [
        "forty.tif",
        "grey.tif",
        "empty.svs",
        "gone.tif",
    ]


def test_a_damaged_part_is_named_and_the_rest_of_it_and_of_the_run_counts(as_slides, tmp_path):
    bad, good = drawn(tmp_path / "bad.tif"), drawn(tmp_path / "good.tif")
    whole, _ = search_slide(Oracle(), "bad.tif", bad, core_px=256)
    damage(bad, 700, 300)
    result, _ = search_slide(Oracle(), "bad.tif", bad, core_px=256)
    # Its tile is x 512 to 767, y 256 to 511; cores of 256 px read 256 px around, so the 3 x 3 around it are lost.
    assert places(result) == [(300, 900), (700, 900)]
    assert result.status.startswith("incomplete: ")
    assert " of tissue in 9 of 20 tiles cannot be read, the first at x 256 to 512, y 0 to 256. Copy" in result.status
    assert 0 < result.tissue_mm2 < whole.tissue_mm2
    assert "searched as tissue" in result.notes[0]
    both = [found for found, _ in many.predict_images(Oracle(), [("bad.tif", bad), ("good.tif", good)])]
    assert [found.ok for found in both] == [True, True] and places(both[1]) == PLACES_SORTED


@pytest.mark.parametrize("how", ["cut off", "deleted"])
def test_a_slide_that_goes_during_its_search(tmp_path, how):
    path = drawn(tmp_path / "a.tif")
    size = path.stat().st_size

    def go(at):
        if at.tiles == 1 and how == "cut off":
            os.truncate(path, size // 3)
        elif at.tiles == 1:
            path.unlink()

    result, view = search_slide(Oracle(), "a.tif", path, core_px=256, tell=go)
    assert result.ok
    if how == "cut off":
        assert result.status.startswith("incomplete: ") and f"Copy or download {path} again." in result.status
    # Its files are written all the same: pictures that cannot be read are crossed out.
    folder = OutputFolder(tmp_path / "found")
    folder.add_view(result, view)
    folder.finish({})
    assert (tmp_path / "found" / "report.html").exists()


def test_a_picture_that_cannot_be_read_is_crossed_out(tmp_path):
    path = drawn(tmp_path / "a.tif")
    _, view = search_slide(Oracle(), "a.tif", path)
    assert view.crop(300, 300, 9)[4, 4].tolist() == [255, 0, 0]
    for x, y in [(300, 300), (300, 200), (200, 300), (200, 200)]:
        damage(path, x, y)
    _, view = search_slide(Oracle(), "a.tif", path, core_px=256)
    square = view.crop(300, 300, 9)
    assert (square[np.arange(9), np.arange(9)] == 90).all() and (square[np.arange(9), np.arange(9)[::-1]] == 90).all()
    assert (square[0, 1:8] == 200).all()


def test_what_could_not_be_read_is_tried_again_by_resume(tmp_path):
    path = drawn(tmp_path / "a.tif")
    journal = RunJournal(tmp_path / "out", "m")
    own = journal.image("a", path)
    own.add_tile(0, None)
    oracle = Oracle()
    result, _ = search_slide(oracle, "a", path, journal=journal.image("a", path))
    assert oracle.asked == 1 and result.complete and places(result) == PLACES_SORTED


def test_a_disk_that_fills_up_within_a_slide(as_slides, tmp_path, monkeypatch):
    path = drawn(tmp_path / "a.tif")
    unbroken, _ = search_slide(Oracle(), "a", path)
    plain, written = os.fsync, []

    def full(handle):
        written.append(handle)
        if len(written) == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain(handle)

    journal = RunJournal(tmp_path / "out", "m")
    monkeypatch.setattr(journals.os, "fsync", full)
    own = journal.image("a", path)
    with pytest.raises(OutputError) as error:
        search_slide(Oracle(), "a", path, journal=own, core_px=256)
    assert str(error.value) == (
        f"Cannot write {own.path}: No space left on device. Free some space and run again with --resume."
    )
    monkeypatch.setattr(journals.os, "fsync", plain)
    known = len(journal.image("a", path).tiles)
    assert 2 <= known <= 3
    resumed, _ = search_slide(Oracle(), "a", path, journal=journal.image("a", path), core_px=256)
    assert resumed.detections == unbroken.detections


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE is POSIX")
def test_the_command_on_a_disk_that_takes_no_more(tmp_path):
    """A real search in a process whose files may have 3,000 bytes: one line, exit code 2, nothing half written."""
    path = drawn(tmp_path / "slide.svs")
    command = [sys.executable, str(ROOT / "cli.py"), "predict", str(path), "--out", str(tmp_path / "found"), "--quiet"]
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))  # noqa: E731
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1 and lines[0].startswith(f"Error: Cannot write {tmp_path / 'found'}")
    assert "Traceback" not in done.stderr and "takes no file so large" in lines[0]
    names = {file.name for file in (tmp_path / "found").rglob("*") if file.is_file()}
    assert not any(name.startswith(".part-") for name in names) and "run.json" not in names
    again = subprocess.run([*command, "--resume"], capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads((tmp_path / "found" / "run.json").read_text(encoding="utf-8"))["images"] == 1
    assert {"detections.csv", "report.html", "summary.csv"} <= {file.name for file in (tmp_path / "found").iterdir()}
