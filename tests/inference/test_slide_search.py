"""Searching slides with an oracle in place of the network: nothing lost or doubled, whatever the tiles."""

import threading

import numpy as np
import pytest
import slide_files
from slide_files import Oracle, put, tissue, write_slide

from mitozoo.base.errors import InputError
from mitozoo.inference import many, slide_search
from mitozoo.inference.journal import RunJournal
from mitozoo.inference.slide_search import search_slide, tiles_at_once

#: On seams of tiles of 256 px, beside them, in corners, alone.
PLACES = [(300, 300), (511, 600), (512, 640), (513, 700), (768, 768), (767, 512), (600, 511), (900, 905), (1000, 512)]


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    pixels = tissue(1200, 1400, (200, 200, 1200, 1100))
    for x, y in PLACES:
        put(pixels, x, y)
    put(pixels, 400, 800, blue=140)  # 0.40: doubtful
    put(pixels, 60, 60)  # on glass, far from the tissue
    return write_slide(tmp_path_factory.mktemp("slides") / "a.tif", pixels)


def places(result):
    return sorted((round(item.x_px, 6), round(item.y_px, 6)) for item in result.detections)


@pytest.mark.parametrize("core", [256, 512, 2048])
@pytest.mark.parametrize("shift", [0, 64, 192])
def test_nothing_is_lost_or_doubled_however_it_is_tiled(slide, core, shift):
    result, view = search_slide(Oracle(), "a", slide, core_px=core, shift_px=shift)
    assert places(result) == sorted(PLACES)
    assert [(item.x_px, item.y_px) for item in result.below] == [(400, 800)]
    assert result.complete and result.spacing_source == "file"
    assert result.tissue_mm2 == pytest.approx(1000 * 900 * 0.0625e-6, rel=0.08)
    assert view.tissue.mm2 == result.tissue_mm2 and view.origin_px == (0.0, 0.0)


def test_number_of_readers_and_repetition_change_nothing(slide):
    one, _ = search_slide(Oracle(), "a", slide, core_px=256, readers=1)
    many_, _ = search_slide(Oracle(), "a", slide, core_px=256, readers=4)
    assert one.detections == many_.detections and one.below == many_.below


class Waiting(Oracle):
    """An oracle that answers once three tiles wait for it, or none is left to come: a server that is asked so."""

    def __init__(self, tiles):
        super().__init__()
        self.left, self.now, self.most, self.changed = tiles, 0, 0, threading.Condition()

    def candidates(self, *given):
        with self.changed:
            self.now, self.left = self.now + 1, self.left - 1
            self.most = max(self.most, self.now)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.most >= 3 or not self.left, timeout=20)
        found = super().candidates(*given)
        with self.changed:
            self.now -= 1
        return found


def test_several_tiles_at_once_give_the_same(slide):
    one, _ = search_slide(Oracle(), "a", slide, core_px=256)
    numbers, oracle = [], Waiting(tiles=25)
    run = tiles_at_once(oracle, 3)

    def watched(plan, tiles):
        for tile, found in run(plan, tiles):
            numbers.append(tile.number)
            yield tile, found

    several, _ = search_slide(oracle, "a", slide, core_px=256, run_tiles=watched)
    assert oracle.most == 3 and oracle.now == 0
    assert len(numbers) > 9 and numbers == sorted(numbers)
    assert several.detections == one.detections and several.below == one.below


def test_what_fails_at_one_of_several_tiles_ends_the_search(slide):
    class Gone(Oracle):
        def candidates(self, *given):
            raise InputError("the server is gone")

    with pytest.raises(InputError, match="the server is gone"):
        search_slide(Gone(), "a", slide, core_px=256, run_tiles=tiles_at_once(Gone(), 3))


def test_tiles_without_tissue_are_never_read(tmp_path):
    # With its rim of 160 px the island lies over columns 2 to 4 and rows 2 to 4 of 6 x 5 tiles.
    pixels = tissue(1200, 1400, (790, 790, 1070, 1070))
    put(pixels, 900, 900)
    oracle = Oracle()
    result, _ = search_slide(oracle, "b", write_slide(tmp_path / "b.tif", pixels), core_px=256)
    assert oracle.asked == 9
    assert places(result) == [(900, 900)]


def test_a_slide_at_another_spacing_gives_points_of_its_own_pixels(tmp_path):
    pixels = tissue(800, 800, (100, 100, 700, 700))
    for x, y in [(200, 200), (400, 300), (511, 512)]:
        put(pixels, x, y, radius=8)
    path = write_slide(tmp_path / "half.tif", pixels, um_per_px=0.125)
    result, _ = search_slide(Oracle(), "half", path, core_px=256)
    found = np.array(places(result))
    np.testing.assert_allclose(found, [(200, 200), (400, 300), (511, 512)], atol=0.3)
    assert result.um_per_px == pytest.approx(0.125, rel=1e-3)


def test_a_coarse_slide_is_searched_with_a_warning(tmp_path):
    pixels = tissue(600, 600, (100, 100, 500, 500))
    put(pixels, 300, 300)
    result, _ = search_slide(Oracle(), "c", write_slide(tmp_path / "c.tif", pixels, um_per_px=0.5), core_px=256)
    np.testing.assert_allclose(places(result), [(300, 300)], atol=0.3)
    assert result.notes == (
        "0.5 µm per pixel is coarser than the 0.25 that oracle was trained at: expect missed mitotic figures. Use a "
        "40x scan.",
    )


def test_no_spacing_stops_and_the_flag_serves(tmp_path):
    path = write_slide(tmp_path / "a.tif", tissue(400, 400, (100, 100, 300, 300)), None)
    with pytest.raises(InputError) as error:
        search_slide(Oracle(), "a", path)
    assert str(error.value) == (
        f"{path} does not state its spacing. Give it with --um-per-px (0.25 is usual at 40x, 0.5 at 20x)."
    )
    result, _ = search_slide(Oracle(), "a", path, 0.25)
    assert (result.um_per_px, result.spacing_source) == (0.25, "flag")


def test_glass_alone_is_no_failure(tmp_path):
    oracle = Oracle()
    pixels = np.full((600, 600, 3), slide_files.GLASS, np.uint8)
    result, _ = search_slide(oracle, "g", write_slide(tmp_path / "g.tif", pixels))
    assert result.complete and result.tissue_mm2 == 0 and not result.detections and not oracle.asked
    assert result.notes == ("No tissue was found: the slide is glass, pen or too pale.",)


def test_progress_says_tiles_area_and_time(slide):
    seen = []
    search_slide(Oracle(), "a", slide, core_px=512, tell=seen.append)
    assert [at.tiles for at in seen] == list(range(1, seen[-1].of_tiles + 1))
    assert seen[-1].mm2 == pytest.approx(seen[-1].of_mm2) and seen[-1].seconds_left == 0
    assert seen[-1].of_mm2 == pytest.approx(1000 * 900 * 0.0625e-6, rel=0.1)


class Killed(Exception):
    """In place of a kill."""


@pytest.mark.parametrize("after", [1, 5, 11])
def test_killed_and_resumed_equals_unbroken(slide, tmp_path, after):
    unbroken, _ = search_slide(Oracle(), "a", slide, core_px=256)

    def kill(at):
        if at.tiles == after:
            raise Killed

    journal = RunJournal(tmp_path, "m")
    with pytest.raises(Killed):
        search_slide(Oracle(), "a", slide, core_px=256, journal=journal.image("a", slide), tell=kill)
    oracle, whole = Oracle(), Oracle()
    resumed, _ = search_slide(oracle, "a", slide, core_px=256, journal=journal.image("a", slide))
    search_slide(whole, "a", slide, core_px=256)
    assert oracle.asked == whole.asked - after
    assert (resumed.detections, resumed.below, resumed.tissue_mm2) == (
        unbroken.detections, unbroken.below, unbroken.tissue_mm2,
    )  # fmt: skip


def test_a_part_that_cannot_be_read_is_named_and_the_rest_counts(slide, monkeypatch):
    read = slide_search.Slide.read

    def broken(self, box, downsample=1.0):
        if box.x <= 512 < box.x + box.width and box.y <= 300 < box.y + box.height and box.width < 1000:
            raise InputError("damaged")
        return read(self, box, downsample)

    monkeypatch.setattr(slide_search.Slide, "read", broken)
    monkeypatch.setattr(slide_search, "HALO_PX", 64)
    result, _ = search_slide(Oracle(), "a", slide, core_px=256)
    assert result.ok and not result.complete
    assert (
        result.status.startswith("incomplete: ") and "tiles cannot be read, the first at x 256 to 512" in result.status
    )
    assert 0 < len(result.detections) < len(PLACES)
    assert (900, 905) in places(result)
    assert result.tissue_mm2 < 0.95 * 1000 * 900 * 0.0625e-6


def test_images_and_slides_in_one_run(slide, tmp_path, monkeypatch):
    import cv2

    monkeypatch.setattr(many, "is_slide", lambda path: path.suffix == ".tif")
    image = tissue(300, 300, (0, 0, 300, 300))
    put(image, 100, 120)
    cv2.imwrite(str(tmp_path / "b.png"), image[..., ::-1])
    (tmp_path / "c.tif").write_bytes(b"nonsense")
    images = [("a.tif", slide), ("b.png", tmp_path / "b.png"), ("c.tif", tmp_path / "c.tif")]
    found = {result.name: (result, view) for result, view in many.predict_images(Oracle(), images)}
    assert places(found["a.tif"][0]) == sorted(PLACES)
    assert places(found["b.png"][0]) == [(100, 120)]
    assert found["b.png"][1].pixels.shape == (300, 300, 3)
    assert not found["c.tif"][0].ok and found["c.tif"][1] is None


def test_crops_of_the_view_are_of_level_0(slide):
    _, view = search_slide(Oracle(), "a", slide)
    crop = view.crop(300.0, 300.0, 21)
    assert crop.shape == (21, 21, 3)
    red = (crop[..., 0] == 255) & (crop[..., 1] == 0)
    rows, columns = np.nonzero(red)
    assert (rows.mean(), columns.mean()) == pytest.approx((10, 10), abs=0.01)
