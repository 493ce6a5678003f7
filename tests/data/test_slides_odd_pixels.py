"""Slides of other pixels than 8-bit RGB: the right colours, or one line that says why not."""

import numpy as np
import pytest
import slide_files
import tifffile

from mitozoo.base.errors import InputError
from mitozoo.data.slides import Box, Slide
from mitozoo.data.tissue_map import tissue_map


def write(path, pixels, **settings):
    settings = {"tile": (256, 256), "resolution": (40000, 40000), "resolutionunit": "CENTIMETER", **settings}
    tifffile.imwrite(path, pixels, metadata=None, **settings)
    return path


@pytest.fixture
def tissue():
    return slide_files.tissue(600, 700, (100, 100, 600, 500))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_16_bits_are_scaled_by_their_full_range(tmp_path, compression):
    pixels = np.random.default_rng(0).integers(0, 65536, (600, 700, 3), np.uint16)
    with Slide(write(tmp_path / "a.tif", pixels, photometric="rgb", compression=compression)) as slide:
        found = slide.read(Box(100, 50, 300, 200))
        assert slide.notes == ("16-bit samples were scaled to 8 bits by their full range (65535 became 255).",)
        assert slide.um_per_px == pytest.approx(0.25, rel=1e-4)
    np.testing.assert_array_equal(found, np.round(pixels[50:250, 100:400] / 257))


def test_separate_planes_are_the_same_pixels(tmp_path, tissue):
    path = write(tmp_path / "a.tif", np.moveaxis(tissue, -1, 0), photometric="rgb", planarconfig="separate")
    with Slide(path) as slide:
        np.testing.assert_array_equal(slide.read(Box(50, 60, 300, 200)), tissue[60:260, 50:350])
        assert slide.notes == ()


def test_cmyk_is_what_its_inks_leave(tmp_path):
    pixels = np.zeros((300, 300, 4), np.uint8)
    pixels[...] = (0, 100, 40, 51)  # a fifth of black over pink
    with Slide(write(tmp_path / "a.tif", pixels, photometric="separated")) as slide:
        np.testing.assert_allclose(slide.read(Box(10, 10, 1, 1))[0, 0], (204, 124, 172), atol=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_is_refused(tmp_path, tissue, dtype):
    path = write(tmp_path / "a.tif", tissue.mean(axis=-1).astype(dtype), photometric="minisblack")
    with pytest.raises(InputError) as error:
        Slide(path)
    assert str(error.value) == (
        f"{path} is grey (1 sample a pixel), and tissue is told by the colours of H&E. Give the scan in 8-bit RGB; "
        "channels of fluorescence cannot be searched."
    )


def test_channels_of_fluorescence_are_refused(tmp_path):
    path = write(
        tmp_path / "a.tif", np.zeros((5, 300, 300), np.uint8), photometric="minisblack", planarconfig="separate"
    )
    with pytest.raises(InputError, match=r"is grey \(5 samples a pixel\)"):
        Slide(path)


def test_more_channels_than_colours_are_refused(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((300, 300, 6), np.uint8), photometric="rgb")
    with pytest.raises(InputError) as error:
        Slide(path)
    assert str(error.value) == f"{path} has 6 samples a pixel of rgb. Save it as 8-bit RGB."


def test_floating_point_is_refused(tmp_path):
    path = write(tmp_path / "a.tif", np.ones((300, 300, 3), np.float32), photometric="rgb")
    with pytest.raises(InputError, match=r"a\.tif cannot be opened \(.*32-bit samples"):
        Slide(path)


def test_12_bits_in_16_would_be_black_and_are_refused(tmp_path, tissue):
    path = write(tmp_path / "a.tif", tissue.astype(np.uint16) * 16, photometric="rgb")
    with Slide(path) as slide, pytest.raises(InputError) as error:
        tissue_map(slide, 0.25)
    assert str(error.value) == (
        f"{path} is black all over: it is empty, or holds 10- or 12-bit samples in 16 bits. Save it as 8-bit RGB."
    )


def damage(path, x_px, y_px):
    """Make the tile of level 0 at a pixel unreadable."""
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        number = y_px // 256 * -(-page.imagewidth // 256) + x_px // 256
        offset, size = page.dataoffsets[number], page.databytecounts[number]
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = bytes(size)
    path.write_bytes(content)


def test_what_cannot_be_read_at_low_power_counts_as_tissue(tmp_path):
    # 0.25 µm, map at 8 µm: a pixel of it is 32 px of the file. The damaged tile is all glass.
    pixels = slide_files.tissue(6144, 6144, (256, 256, 1280, 1280))
    path = slide_files.write_slide(tmp_path / "a.tif", pixels)
    with Slide(path) as slide:
        before = tissue_map(slide, 0.25)
    damage(path, 5000, 5000)
    with Slide(path) as slide:
        small, downsample, unread = slide.small(192)
        after = tissue_map(slide, 0.25)
    assert downsample == 32 and unread.any() and not unread[:80, :80].any()
    rows, columns = np.nonzero(unread)
    # The tile covers 4864 to 5119, pixels 152 to 159; pieces are 8 px or less and read 72 px of the file around.
    assert 140 <= rows.min() <= 150 and 161 <= rows.max() <= 172 and np.ptp(columns) <= 32
    assert (small[unread] == 255).all()
    assert before.notes == () and after.notes[0].endswith(
        " mm² cannot be read at low power and were searched as tissue."
    )
    assert after.has(5000, 5000) and not before.has(5000, 5000)
    assert after.mm2 == pytest.approx(before.mm2 + unread.sum() * 8**2 * 1e-6, rel=1e-6)


def test_a_slide_of_which_nothing_can_be_read(tmp_path):
    path = slide_files.write_slide(tmp_path / "a.tif", slide_files.tissue(500, 500, (0, 0, 500, 500)))
    with Slide(path) as slide:
        for x, y in [(0, 0), (300, 0), (0, 300), (300, 300)]:
            damage(path, x, y)
        with pytest.raises(InputError, match=r"a\.tif cannot be (read at|opened)"):
            slide.small(16)
