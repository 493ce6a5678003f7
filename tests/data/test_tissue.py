"""Tissue and glass."""

import numpy as np
import pytest

from mitozoo.data.tissue import tissue_mask, tissue_mm2

GLASS, TISSUE, MISSING = (245, 244, 246), (200, 140, 190), (0, 0, 0)


def slide(left, right, height=64, width=128):
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = left, right
    return image


def test_half_glass_half_tissue():
    mask = tissue_mask(slide(GLASS, TISSUE))
    assert mask.shape == (4, 8)
    np.testing.assert_array_equal(mask, np.tile(np.repeat([False, True], 4), (4, 1)))


def test_missing_tiles_are_no_tissue():
    assert tissue_mask(slide(MISSING, TISSUE)).mean() == 0.5


@pytest.mark.parametrize(("grey", "tissue"), [(221, True), (222, False)])
def test_the_limit_is_a_density_of_006(grey, tissue):
    # log10(256 / 222) = 0.0619, log10(256 / 223) = 0.0599.
    assert tissue_mask(np.full((16, 16, 3), grey, np.uint8)).all() == tissue


def test_area_by_hand():
    # 64 x 64 px of 0.5 µm, half of it tissue: 32 µm x 32 µm x 0.5 = 512 µm².
    assert tissue_mm2(slide(GLASS, TISSUE, 64, 64), 0.5) == pytest.approx(512e-6)


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (17, 16)])
def test_any_size(size):
    image = np.full((*size, 3), TISSUE, np.uint8)
    assert tissue_mask(image).shape == (-(-size[0] // 16), -(-size[1] // 16))
    assert tissue_mm2(image, 0.25) == pytest.approx(size[0] * size[1] / 16e6)
