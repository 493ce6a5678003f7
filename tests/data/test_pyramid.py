"""Pyramidal TIFFs, read back with OpenSlide and tifffile."""

import re

import cv2
import numpy as np
import openslide
import pytest
import tifffile

from mitozoo.data.pyramid import area_means, level_sizes, write_pyramid
from mitozoo.data.tiff_writer import CLASSIC_BYTES, rational

GLASS = (243, 240, 244)


def smooth_image(height, width, seed=0, sigma=3):
    image = np.random.default_rng(seed).standard_normal((height, width, 3), np.float32)
    smooth = cv2.GaussianBlur(image, (0, 0), sigma)
    return cv2.normalize(smooth, None, 30, 240, cv2.NORM_MINMAX).astype(np.uint8)


def cut(image, tile_px, missing):
    """Tiles of an image row by row; None for those whose number is in `missing`."""
    height, width = image.shape[:2]
    places = [(y, x) for y in range(0, height, tile_px) for x in range(0, width, tile_px)]
    return [None if k in missing else image[y : y + tile_px, x : x + tile_px] for k, (y, x) in enumerate(places)]


def write(path, image, tile_px=128, missing=(), **more):
    height, width = image.shape[:2]
    size = {"width_px": width, "height_px": height, "um_per_px": 0.25, "tile_px": tile_px}
    return write_pyramid(path, cut(image, tile_px, missing), **{**size, **more})


def read(slide, level):
    return np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]))


def means_by_hand(image, side=4):
    """The mean of every square, one after the other."""
    height, width = image.shape[:2]
    return np.array(
        [
            [image[y : y + side, x : x + side].mean(axis=(0, 1)) for x in range(0, width, side)]
            for y in range(0, height, side)
        ]
    )


def test_lossless_pixels_come_back_exactly(tmp_path):
    image = smooth_image(401, 603)
    path = write(tmp_path / "a.tif", image, compression="deflate")
    assert openslide.OpenSlide.detect_format(str(path)) == "generic-tiff"
    with openslide.OpenSlide(str(path)) as slide:
        assert slide.level_dimensions == ((603, 401), (151, 101), (38, 26))
        np.testing.assert_array_equal(read(slide, 0)[..., :3], image)
        assert read(slide, 0)[..., 3].min() == 255
        first = means_by_hand(image)
        assert np.abs(read(slide, 1)[..., :3] - first).max() <= 0.51
        # The second level is the mean of the first as it was before rounding.
        assert np.abs(read(slide, 2)[..., :3] - means_by_hand(first)).max() <= 0.51
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25, rel=1e-6)
        assert slide.properties["tiff.ResolutionUnit"] == "centimeter"


def test_where_sizes_divide_levels_are_means_of_what_they_cover(tmp_path):
    image = smooth_image(256, 512, seed=1)
    path = write(tmp_path / "a.tif", image, tile_px=64, compression="deflate")
    with openslide.OpenSlide(str(path)) as slide:
        assert slide.level_downsamples == (1, 4, 16)
        assert np.abs(read(slide, 2)[..., :3] - means_by_hand(image, 16)).max() <= 0.51


def test_jpeg_is_near_in_every_level(tmp_path):
    image = smooth_image(400, 600, sigma=20)
    path = write(tmp_path / "a.tif", image, quality=95)
    with openslide.OpenSlide(str(path)) as slide:
        for level, wanted in ((0, image), (1, means_by_hand(image))):
            # Colours in the right order, and nothing lost but what JPEG takes.
            assert np.abs(read(slide, level)[..., :3] - wanted.astype(float)).mean() < 1.5
    coarse = write(tmp_path / "b.tif", image, quality=30)
    assert coarse.stat().st_size < path.stat().st_size / 2


def test_pure_colours_survive_jpeg(tmp_path):
    image = np.zeros((128, 384, 3), np.uint8)
    image[:, :128], image[:, 128:256], image[:, 256:] = (220, 20, 20), (20, 200, 30), (20, 30, 210)
    with openslide.OpenSlide(str(write(tmp_path / "a.tif", image))) as slide:
        assert np.abs(read(slide, 0)[..., :3].astype(int) - image).max() <= 4


def test_blank_tiles_are_the_background_and_share_their_bytes(tmp_path):
    image = np.full((512, 512, 3), GLASS, np.uint8)
    image[130:250, 10:100] = smooth_image(120, 90)
    blank = set(range(16)) - {4}
    path = write(tmp_path / "a.tif", image, missing=blank, compression="deflate", blank=GLASS)
    with openslide.OpenSlide(str(path)) as slide:
        np.testing.assert_array_equal(read(slide, 0)[..., :3], image)
        assert np.abs(read(slide, 1)[..., :3] - means_by_hand(image)).max() <= 0.51
    with tifffile.TiffFile(path) as file:
        offsets = file.pages[0].dataoffsets
        assert len(set(offsets)) == 2 and len(set(offsets[k] for k in blank)) == 1


def test_a_blank_slide_of_four_gigapixels_is_small_and_big_tiff(tmp_path):
    tiles = (None for _ in range(125 * 125))
    path = write_pyramid(tmp_path / "a.tif", tiles, width_px=64000, height_px=64000, um_per_px=0.25, blank=GLASS)
    # 12 bytes a tile and one tile.
    assert path.stat().st_size < 300_000
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff and [page.subfiletype for page in file.pages] == [0, 1, 1, 1, 1]
        assert "Aperio" not in str(file.pages[0].description)
    with openslide.OpenSlide(str(path)) as slide:
        corner = np.asarray(slide.read_region((63990, 63990), 0, (10, 10)))
        assert np.abs(corner[..., :3].astype(int) - GLASS).max() <= 1
        assert slide.level_dimensions[-1] == (250, 250)


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_grey_values_of_16_and_32_bits(tmp_path, dtype):
    values = np.random.default_rng(2).uniform(0, 60000, (150, 200)).astype(dtype)
    path = write(tmp_path / "a.tif", values, tile_px=64, compression="deflate", blank=(0,), dtype=dtype)
    with tifffile.TiffFile(path) as file:
        assert not file.is_bigtiff
        full, small = file.pages[0].asarray(), file.pages[1].asarray()
        assert full.dtype == dtype and file.pages[0].tags["XResolution"].value == (40000, 1)
        assert file.pages[1].tags["XResolution"].value == (10000, 1)
    np.testing.assert_array_equal(full, values)
    np.testing.assert_allclose(small, means_by_hand(values[..., None].astype(float))[..., 0], atol=0.51, rtol=1e-5)


def test_means_at_the_edge_are_over_the_pixels_that_there_are():
    image = np.arange(30, dtype=np.float32).reshape(5, 6)
    # Top left: 0..3, 6..9, 12..15, 18..21 have the mean 10.5; the corner is pixels 28 and 29.
    np.testing.assert_allclose(area_means(image), [[10.5, 13.5], [25.5, 28.5]])


def test_level_sizes_by_hand():
    assert level_sizes(512, 512, 512) == [(512, 512)]
    assert level_sizes(513, 2, 512) == [(513, 2), (129, 1)]
    assert level_sizes(100_000, 40_000, 512)[1:] == [(25_000, 10_000), (6_250, 2_500), (1_563, 625), (391, 157)]


def test_spacings_as_fractions():
    assert rational(40000.0) == (40000, 1)
    for um_per_px in (0.05, 0.2273, 0.5021, 20.0):
        up, down = rational(1e4 / um_per_px)
        assert 1e4 * down / up == pytest.approx(um_per_px, rel=1e-7) and max(up, down) < 2**32
    assert CLASSIC_BYTES < 2**32


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"compression": "lzw"}, "The compression is jpeg or deflate, not 'lzw'."),
        ({"dtype": np.float64}, "A pyramid holds uint8, uint16 or float32, not float64."),
        ({"dtype": np.uint16}, "JPEG holds 8-bit RGB; write other pixels with compression='deflate'."),
        ({"blank": (1, 2)}, "An empty pixel has 1 or 3 values, not 2."),
        ({"um_per_px": 0.0}, "Width, height and spacing must be above 0"),
        ({"tile_px": 100}, "the side of a tile a multiple of 16"),
        ({"height_px": 300}, "There are 4 tiles, not the 6 of the image."),
        ({"height_px": 128}, "There are more than the 2 tiles of the image."),
        ({"width_px": 255}, "Tile 1 has the shape (128, 128, 3), not (128, 127, 3)."),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, more, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        write(tmp_path / "a.tif", smooth_image(256, 256), **more)
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_fails_leaves_the_old_file(tmp_path):
    def failing():
        yield smooth_image(128, 128)
        raise RuntimeError("no more")

    (tmp_path / "a.tif").write_text("old")
    with pytest.raises(RuntimeError, match="no more"):
        write_pyramid(tmp_path / "a.tif", failing(), width_px=256, height_px=128, um_per_px=0.25, tile_px=128)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
