"""Tiles cover a slide once, whatever their size and shift."""

import numpy as np
import pytest

from mitozoo.data.slides import Box
from mitozoo.inference.tiles import tiles_of


@pytest.mark.parametrize("size", [(1, 1), (640, 512), (641, 513), (1000, 300)])
@pytest.mark.parametrize("shift", [0, 64, 192])
def test_cores_cover_every_pixel_once(size, shift):
    width, height = size
    count = np.zeros((height, width), int)
    tiles = tiles_of(width, height, core_px=256, halo_px=64, shift_px=shift)
    for tile in tiles:
        core, region = tile.core, tile.region
        count[core.y : core.y + core.height, core.x : core.x + core.width] += 1
        assert region.x == max(core.x - 64, 0) or shift
        assert region.x % 64 == 0 and region.y % 64 == 0
        assert region.x <= core.x and region.x + region.width >= core.x + core.width
        assert region.x + region.width <= width and region.y + region.height <= height
    assert (count == 1).all()
    assert [tile.number for tile in tiles] == list(range(len(tiles)))


def test_every_point_has_one_tile_also_on_seams():
    tiles = tiles_of(1000, 1000, core_px=256, halo_px=64)
    for x, y in [(255.5, 10), (255.49, 10), (255.51, 10), (-0.5, -0.5), (999.4, 999.4), (511.5, 511.5)]:
        assert sum(tile.holds(x, y) for tile in tiles) == 1


def test_by_hand():
    tiles = tiles_of(300, 100, core_px=256, halo_px=64)
    assert [(tile.core, tile.region) for tile in tiles] == [
        (Box(0, 0, 256, 100), Box(0, 0, 300, 100)),
        (Box(256, 0, 44, 100), Box(192, 0, 108, 100)),
    ]


@pytest.mark.parametrize(
    "wrong", [{"core_px": 100}, {"core_px": 0}, {"halo_px": 10}, {"shift_px": 256}, {"shift_px": -64}]
)
def test_sizes_off_the_grid_are_refused(wrong):
    with pytest.raises(ValueError, match="multiple of 64"):
        tiles_of(300, 300, **{"core_px": 256, "halo_px": 64, **wrong})


def test_a_tile_is_cut_to_its_tissue_on_the_grid(tmp_path):
    import slide_files

    from mitozoo.data.slides import Slide
    from mitozoo.inference.slide_search import plan_slide

    # An island of x 1500 to 1800, y 1100 to 1400 with a rim of 160 px: 1340 to 1960 and 940 to 1560 at least.
    pixels = slide_files.tissue(4096, 4096, (1500, 1100, 1800, 1400))
    with Slide(slide_files.write_slide(tmp_path / "a.tif", pixels)) as slide:
        (tile,) = plan_slide(slide, 0.25).tiles
    assert (tile.number, tile.core.x % 64, tile.core.y % 64) == (0, 0, 0)
    assert 1340 - 3 * 64 <= tile.core.x <= 1340 + 64 and 940 - 3 * 64 <= tile.core.y <= 940 + 64
    assert 1960 <= tile.core.x + tile.core.width <= 1960 + 3 * 64
    assert 1560 <= tile.core.y + tile.core.height <= 1560 + 3 * 64
    assert (tile.region.x, tile.region.width) == (tile.core.x - 256, tile.core.width + 512)


def test_a_picture_is_a_level_as_it_is(tmp_path):
    import numpy as np
    import slide_files

    from mitozoo.data.slides import Box, Slide

    pixels = slide_files.tissue(4096, 5120, (500, 500, 3000, 3000))
    with Slide(slide_files.write_slide(tmp_path / "a.tif", pixels, levels=(4,))) as slide:
        np.testing.assert_array_equal(slide.picture(4000), slide.read(Box(0, 0, 1280, 1024), 4.0))
        assert slide.picture(1100).shape == (880, 1100, 3)
