"""Slides: levels, spacing, bounds, and boxes that fit side by side at any spacing."""

import numpy as np
import pytest
import slide_files

from mitozoo.base.errors import InputError
from mitozoo.data import slides
from mitozoo.data.slides import Box, Slide, is_slide


@pytest.fixture(scope="module")
def gradient(tmp_path_factory):
    """Red grows by 1 each 4 px to the right, green each 4 px downwards; levels 1, 4."""
    x, y = np.meshgrid(np.arange(1000), np.arange(800))
    pixels = np.stack([x // 4, y // 4, np.full_like(x, 128)], axis=-1).astype(np.uint8)
    path = tmp_path_factory.mktemp("slides") / "gradient.tif"
    return slide_files.write_slide(path, pixels, levels=(4,)), pixels


def test_size_spacing_and_levels(gradient):
    with Slide(gradient[0]) as slide:
        assert (slide.width_px, slide.height_px) == (1000, 800)
        assert slide.um_per_px == pytest.approx(0.25, rel=1e-4)
        assert [size for _, _, size in slide.levels] == [(1000, 800), (250, 200)]
        assert slide.bounds == Box(0, 0, 1000, 800)
        assert slide.notes == ()


def test_a_box_of_level_0_is_the_pixels(gradient):
    with Slide(gradient[0]) as slide:
        np.testing.assert_array_equal(slide.read(Box(100, 200, 300, 50)), gradient[1][200:250, 100:400])


def test_beyond_the_slide_is_background(gradient):
    with Slide(gradient[0]) as slide:
        found = slide.read(Box(-10, -10, 20, 20))
    np.testing.assert_array_equal(found[10:, 10:], gradient[1][:10, :10])
    assert (found[:10] == 255).all() and (found[:, :10] == 255).all()


@pytest.mark.parametrize("downsample", [0.5, 1.0, 1.7, 2.0, 4.0, 5.5])
def test_boxes_side_by_side_fit_at_every_spacing(gradient, downsample):
    with Slide(gradient[0]) as slide:
        whole = slide.read(Box(20, 30, 100, 80), downsample)
        part = slide.read(Box(61, 42, 30, 20), downsample)
    np.testing.assert_array_equal(part, whole[12:32, 41:71])


@pytest.mark.parametrize("downsample", [0.5, 1.7, 2.0, 4.0, 5.5])
def test_a_pixel_lies_where_its_centre_says(gradient, downsample):
    with Slide(gradient[0]) as slide:
        found = slide.read(Box(20, 30, 60, 50), downsample).astype(float)
    # A ramp is linear, so its mean over any pixel is its value at the centre, less 3/8 for the steps of 4 px.
    x = (np.arange(20, 80) + 0.5) * downsample - 0.5
    y = (np.arange(30, 80) + 0.5) * downsample - 0.5
    np.testing.assert_allclose(found[25, :, 0], x / 4 - 0.375, atol=0.95)
    np.testing.assert_allclose(found[:, 25, 1], y / 4 - 0.375, atol=0.95)
    assert abs(np.mean(found[25, :, 0] - (x / 4 - 0.375))) < 0.3


def test_the_small_copy_in_strips_is_the_one_at_once(gradient):
    with Slide(gradient[0]) as slide:
        small, downsample, unread = slide.small(100)
        assert not unread.any()
        assert small.shape == (80, 100, 3) and downsample == 10
        np.testing.assert_array_equal(small, slide.read(Box(0, 0, 100, 80), 10.0))


def test_spacings_that_are_none(tmp_path):
    pixels = np.full((300, 300, 3), 200, np.uint8)
    with Slide(slide_files.write_slide(tmp_path / "none.tif", pixels, None)) as slide:
        assert slide.um_per_px is None
    with Slide(slide_files.write_slide(tmp_path / "forty.tif", pixels, 40)) as slide:
        assert slide.um_per_px is None
        assert slide.notes == ("The file states 40 µm per pixel, which no slide scanner gives.",)
    assert slides._spacing({"openslide.mpp-x": "0", "openslide.mpp-y": "0"})[0] is None
    assert slides._spacing({"openslide.mpp-x": "0,25", "openslide.mpp-y": "0.25"}) == (0.25, ())
    _, notes = slides._spacing({"openslide.mpp-x": "0.25", "openslide.mpp-y": "0.3"})
    assert notes == ("The file states pixels of 0.25 x 0.3 µm, which are not square.",)


def test_bounds_of_a_scan_are_kept_inside_the_slide():
    names = {
        f"openslide.bounds-{name}": str(value) for name, value in {"x": 50, "y": 60, "width": 500, "height": 90}.items()
    }
    assert slides._bounds(names, 400, 400) == Box(50, 60, 350, 90)
    assert slides._bounds({}, 400, 300) == Box(0, 0, 400, 300)
    assert slides._bounds({**names, "openslide.bounds-x": "900"}, 400, 300) == Box(0, 0, 400, 300)


def test_what_is_a_slide(gradient, tmp_path, monkeypatch):
    assert is_slide(tmp_path / "a.SVS") and is_slide(tmp_path / "a.mrxs")
    assert not is_slide(tmp_path / "a.png") and not is_slide(tmp_path / "missing.tif")
    assert not is_slide(gradient[0])  # small enough to be read as an image
    monkeypatch.setattr(slides, "TIFF_AS_SLIDE_PX", 700_000)
    assert is_slide(gradient[0])
    (tmp_path / "no.tif").write_bytes(b"nonsense")
    assert not is_slide(tmp_path / "no.tif")


@pytest.mark.parametrize("content", [b"", b"nonsense", b"II*\0" + bytes(40)])
def test_files_that_are_no_slides(tmp_path, content):
    path = tmp_path / "broken.svs"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        Slide(path)
    assert str(error.value) == (
        f"{path} is no slide that OpenSlide reads, or is damaged. Copy or download it again, or convert it to a "
        "pyramidal TIFF."
    )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="No such file or folder"):
        Slide(tmp_path / "missing.svs")


def test_a_damaged_region_is_named_and_the_rest_is_read(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    path = slide_files.write_slide(tmp_path / "a.tif", pixels)
    import tifffile

    with tifffile.TiffFile(path) as file:
        offset, size = file.pages[0].dataoffsets[5], file.pages[0].databytecounts[5]
    content = bytearray(path.read_bytes())
    content[offset : offset + size] = bytes(size)
    path.write_bytes(content)
    with Slide(path) as slide:
        with pytest.raises(InputError, match=r"a\.tif cannot be read at x 260, y 300"):
            slide.read(Box(260, 300, 100, 100))
        np.testing.assert_array_equal(slide.read(Box(600, 600, 50, 50)), pixels[600:650, 600:650])
