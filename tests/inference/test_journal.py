"""The journal: what was found survives a kill at any byte."""

import dataclasses
import multiprocessing

import numpy as np
import pytest

from mitozoo.base.errors import OutputError, RecipeError
from mitozoo.base.points import Detection
from mitozoo.inference.journal import (
    FOLDER,
    LOCK,
    RunJournal,
    fingerprint,
    may_resume,
    only_run_in,
    unfinished,
)
from mitozoo.inference.result import FieldResult


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a.svs"
    path.write_bytes(b"pixels")
    return path


def open_(out, image, mark="m"):
    return RunJournal(out, mark).image("a.svs", image)


FOUND = (np.array([[1.1, 2.0 / 3], [1e-17, 4e5]]), np.array([[0.1, 0.9 - 1e-16, 0.0], [1 / 3, 1 / 3, 1 / 3]]))
EMPTY = (np.zeros((0, 2)), np.zeros((0, 3)))


def test_tiles_come_back_to_the_last_bit(tmp_path, image):
    journal = open_(tmp_path / "out", image)
    journal.add_tile(4, FOUND)
    journal.add_tile(7, None)
    journal.add_tile(9, EMPTY)
    again = open_(tmp_path / "out", image)
    assert list(again.tiles) == [4, 7, 9]
    for stored, wanted in zip(again.tiles[4], FOUND, strict=True):
        np.testing.assert_array_equal(stored, wanted)
    assert again.tiles[7] is None and len(again.tiles[9][0]) == 0 and again.result is None


def test_a_result_comes_back_whole(tmp_path, image):
    result = FieldResult(
        name="a.svs", path=image, width_px=10, height_px=20, um_per_px=0.1 + 0.2, spacing_source="file",
        tissue_mm2=1 / 3, detections=(Detection(1.5, 2.5, 0.9, "mitotic_figure", 0.25),),
        below=(Detection(3.0, 4.0, 0.3, "mitotic_figure"),), notes=("a", "b"), threshold=0.5, look_again=0.25,
        seconds=1.25,
    )  # fmt: skip
    open_(tmp_path / "out", image).finish(result)
    assert open_(tmp_path / "out", image).result == result


def test_cut_at_any_byte_the_whole_lines_are_kept_and_it_goes_on(tmp_path, image):
    journal = open_(tmp_path / "out", image)
    ends = [journal.path.stat().st_size]
    for number in range(3):
        journal.add_tile(number, FOUND)
        ends.append(journal.path.stat().st_size)
    content = journal.path.read_bytes()
    for cut in range(0, len(content) + 1, 3):
        journal.path.write_bytes(content[:cut])
        again = open_(tmp_path / "out", image)
        assert list(again.tiles) == list(range(max(0, sum(end <= cut for end in ends) - 1)))
        again.add_tile(5, EMPTY)
        assert list(open_(tmp_path / "out", image).tiles)[-1] == 5


def test_an_image_that_changed_is_begun_anew(tmp_path, image):
    open_(tmp_path / "out", image).add_tile(0, FOUND)
    image.write_bytes(b"other pixels")
    assert open_(tmp_path / "out", image).tiles == {}


def test_other_settings_are_refused(tmp_path, image):
    open_(tmp_path / "out", image)
    with pytest.raises(RecipeError, match="had other settings, weights or another version"):
        RunJournal(tmp_path / "out", "other")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1}) != fingerprint({"a": 1, "b": 3})


def test_what_may_be_gone_on_with(tmp_path, image):
    out = tmp_path / "out"
    assert not unfinished(out) and not may_resume(out, True, False)
    open_(out, image)
    assert unfinished(out)
    with pytest.raises(OutputError) as error:
        may_resume(out, False, False)
    assert str(error.value) == (
        f"{out} holds a run that was stopped. Add --resume to go on with it, or --overwrite to start anew."
    )
    (out / ".part-abc.csv").write_text("half")
    assert may_resume(out, True, False) and may_resume(out, True, True)
    assert not (out / ".part-abc.csv").exists()
    assert not may_resume(out, False, True) and not (out / FOLDER).exists()


def test_a_complete_run_may_be_gone_on_with_or_begun_anew(tmp_path, image):
    out = tmp_path / "out"
    journal = open_(out, image)
    journal.add_tile(0, FOUND)
    journal.finish(FieldResult(name="a.svs", path=image))
    (out / "run.json").write_text("{}")
    assert not unfinished(out) and may_resume(out, True, False)
    again = open_(out, image)
    assert again.result == FieldResult(name="a.svs", path=image) and again.tiles == {}
    # Without --resume it is another run: refusing the files that are there is not the journal's part.
    assert not may_resume(out, False, False) and not (out / FOLDER).exists()


def _hold(out, ready, done):
    with only_run_in(out):
        ready.set()
        done.wait(30)


def test_two_processes_do_not_share_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, ready, done))
    other.start()
    try:
        assert ready.wait(60)
        with pytest.raises(OutputError, match="Another run is writing into"), only_run_in(tmp_path):
            pass
    finally:
        done.set()
        other.join(30)
    with only_run_in(tmp_path):
        pass
    assert not (tmp_path / LOCK).exists()


def test_a_full_disk_says_how_to_go_on(tmp_path, image, monkeypatch):
    journal = open_(tmp_path / "out", image)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mitozoo.inference.journal.os.fsync", full)
    with pytest.raises(OutputError, match="No space left on device. Free some space and run again with --resume"):
        journal.add_tile(0, FOUND)


def test_results_know_whether_they_are_whole():
    result = FieldResult(name="a", path=None)
    assert result.ok and result.complete
    part = dataclasses.replace(result, status="incomplete: 1 mm²")
    assert part.ok and not part.complete
    assert not dataclasses.replace(result, status="damaged").ok
