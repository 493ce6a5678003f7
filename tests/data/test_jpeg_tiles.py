"""JPEG tiles of slides decoded without OpenSlide, against OpenSlide."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cv2
import numpy as np
import openslide
import pytest
import simplejpeg
import tifffile

from mitozoo.base.errors import InputError
from mitozoo.data import jpeg_tiles
from mitozoo.data.jpeg_tiles import open_jpeg_tiles
from mitozoo.data.pyramid import write_pyramid
from mitozoo.data.slides import Box, Slide
from tests.slide_files import tissue

TILE_PX = 64


def jpeg_slide(path, pixels):
    height, width = pixels.shape[:2]
    corners = [(y, x) for y in range(0, height, TILE_PX) for x in range(0, width, TILE_PX)]
    tiles = (pixels[y : y + TILE_PX, x : x + TILE_PX] for y, x in corners)
    return write_pyramid(path, tiles, width_px=width, height_px=height, um_per_px=0.25, tile_px=TILE_PX)


@pytest.fixture
def slide(tmp_path):
    pixels = tissue(500, 712, (30, 40, 690, 470))
    return jpeg_slide(tmp_path / "a.tif", pixels)


def page_of(path, number=0):
    with tifffile.TiffFile(path) as file:
        page = file.pages[number]
        return list(page.dataoffsets), list(page.databytecounts)


def by_openslide(path):
    slide = Slide(path)
    slide._tiles = None
    return slide


def test_any_box_is_what_openslide_shows_to_the_last_bit(slide):
    ours, theirs = Slide(slide), by_openslide(slide)
    assert sorted(ours._tiles.levels) == [0, 1]
    assert theirs.read(Box(0, 0, 712, 500)).std() > 10
    generator = np.random.default_rng(0)
    for downsample in (1.0, 2.0, 4.0, 1.3, 5.0, 16.0) * 8:
        x, y = (int(value) for value in generator.integers(-80, 700 / downsample, 2))
        box = Box(x, y, *(int(value) for value in generator.integers(1, 300, 2)))
        np.testing.assert_array_equal(ours.read(box, downsample), theirs.read(box, downsample), err_msg=str(box))


def test_openslide_is_not_asked_for_these_pixels(slide, monkeypatch):
    ours = Slide(slide)
    monkeypatch.setattr(ours._handles, "get", lambda: pytest.fail("OpenSlide was asked"))
    assert ours.read(Box(10, 10, 200, 200)).shape == (200, 200, 3)


def test_threads_read_the_same_while_little_is_kept(slide, monkeypatch):
    monkeypatch.setattr(jpeg_tiles, "KEPT_BYTES", 3 * TILE_PX**2 * 3)
    ours, theirs = Slide(slide), by_openslide(slide)
    boxes = [Box(x, y, 150, 150) for y in range(0, 400, 50) for x in range(0, 600, 50)]
    with ThreadPoolExecutor(4) as pool:
        for box, found in zip(boxes, pool.map(ours.read, boxes), strict=True):
            np.testing.assert_array_equal(found, theirs.read(box))
    assert ours._tiles._bytes == sum(tile.nbytes for tile in ours._tiles._kept.values()) <= 3 * TILE_PX**2 * 3
    ours.close()
    assert not ours._tiles._kept


def test_half_a_stream_is_an_error_not_half_a_tile_of_grey(slide):
    offsets, counts = page_of(slide)
    number = 3 * 12 + 5
    with slide.open("r+b") as stream:
        stream.seek(offsets[number] + counts[number] // 2)
        stream.write(bytes(counts[number] - counts[number] // 2))
    ours = Slide(slide)
    with pytest.raises(InputError, match="cannot be read at x 300, y 150"):
        ours.read(Box(300, 150, 100, 100))
    assert ours.read(Box(0, 0, 100, 100)).shape == (100, 100, 3)


def test_a_tile_that_is_not_there_is_left_to_openslide(slide):
    with tifffile.TiffFile(slide, mode="r+") as file:
        tag = file.pages[0].tags["TileByteCounts"]
        counts = list(tag.value)
        counts[3 * 12 + 5] = 0
        tag.overwrite(counts)
    box = Box(300, 150, 100, 100)
    ours, theirs = Slide(slide), by_openslide(slide)
    assert ours._tiles is not None
    np.testing.assert_array_equal(ours.read(box), theirs.read(box))


def test_what_differs_from_openslide_is_not_used(slide):
    class Other:
        """OpenSlide with one number changed."""

        def __init__(self, handle, **changes):
            self.properties, self.level_dimensions = dict(handle.properties), handle.level_dimensions
            self.level_downsamples, self._handle, self.changed = handle.level_downsamples, handle, changes

        def read_region(self, *where):
            shown = np.array(self._handle.read_region(*where))
            shown[3, 4, 1] ^= self.changed.get("bits", 0)
            shown[..., 3] -= self.changed.get("clear", 0)
            return shown

    handle = openslide.OpenSlide(str(slide))
    assert 0 in open_jpeg_tiles(slide, Other(handle)).levels
    assert open_jpeg_tiles(slide, Other(handle, bits=1)) is None
    assert open_jpeg_tiles(slide, Other(handle, clear=1)) is None
    other = Other(handle)
    other.properties["openslide.vendor"] = "hamamatsu"
    assert open_jpeg_tiles(slide, other) is None


def segments(jpeg):
    """Markers of a JPEG up to its scan: (marker, bytes with it)."""
    at = 2
    while jpeg[at + 1] != 0xDA:
        length = 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        yield jpeg[at + 1], jpeg[at : at + length]
        at += length
    yield 0xDA, jpeg[at:]


@pytest.mark.parametrize("photometric", [2, 6])
def test_tables_and_colours_that_the_page_states(photometric):
    # As Aperio writes it: tables once for all tiles, no JFIF marker, and of streams of RGB only the TIFF says so.
    pixels = np.full((64, 64, 3), (200, 120, 60), np.uint8)
    jpeg = cv2.imencode(".jpg", pixels[..., ::-1])[1].tobytes()
    parts = list(segments(jpeg))
    tables = b"\xff\xd8" + b"".join(part for marker, part in parts if marker in (0xDB, 0xC4)) + b"\xff\xd9"
    stream = b"\xff\xd8" + b"".join(part for marker, part in parts if marker in (0xC0, 0xDA))
    page = SimpleNamespace(photometric=photometric, jpegtables=tables)
    found = simplejpeg.decode_jpeg(jpeg_tiles.whole_jpeg(stream, page))
    # Taken for RGB, a stream of YCbCr gives Y, Cb and Cr: here those of the orange, by ITU-R BT.601.
    wanted = (200, 120, 60) if photometric == 6 else (137.1, 84.5, 172.9)
    assert np.abs(found - wanted).max() < 2.5
    with pytest.raises(ValueError, match="does not begin as JPEG"):
        jpeg_tiles.whole_jpeg(bytes(400), page)


def test_pixels_between_those_of_a_level_are_left_to_openslide(tmp_path):
    # 710 px are 177.5 times 4.
    path = jpeg_slide(tmp_path / "a.tif", tissue(500, 710, (30, 40, 690, 470)))
    assert list(Slide(path)._tiles.levels) == [0]
    box = Box(3, -5, 150, 120)
    np.testing.assert_array_equal(Slide(path).read(box, 4.0), by_openslide(path).read(box, 4.0))


@pytest.mark.parametrize("compression", ["zlib", None])
def test_other_compressions_stay_with_openslide(tmp_path, compression):
    path = tmp_path / "z.tif"
    pixels = tissue(300, 300, (10, 10, 290, 290))
    tifffile.imwrite(path, pixels, tile=(64, 64), compression=compression, metadata=None)
    slide = Slide(path)
    assert slide._tiles is None
    np.testing.assert_array_equal(slide.read(Box(0, 0, 300, 300)), pixels)
