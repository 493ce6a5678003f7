"""Tissue at low power: what is tissue, and what only looks as if."""

import cv2
import numpy as np
import pytest
import slide_files

from mitozoo.data.slides import Box, Slide
from mitozoo.data.tissue_map import tissue_map, tissue_of

UM_PER_PX = 8.0


def glass(height=300, width=400, seed=0):
    noise = np.random.default_rng(seed).integers(-2, 3, (height, width, 3))
    return np.clip(np.array(slide_files.GLASS) + noise, 0, 255).astype(np.uint8)


def test_a_rectangle_of_tissue_has_its_area():
    small = glass()
    small[100:200, 150:300] = slide_files.PINK
    mask = tissue_of(small, UM_PER_PX)
    assert mask[105:195, 155:295].all()
    assert not mask[:90].any() and not mask[:, :140].any()
    # 100 x 150 px; closing and blur move the border by a pixel or two.
    assert mask.sum() == pytest.approx(15000, rel=0.05)


def test_glass_alone_has_none():
    assert not tissue_of(glass(), UM_PER_PX).any()


def test_tissue_alone_is_all_tissue():
    small = np.full((200, 200, 3), slide_files.PINK, np.uint8)
    small[::7, ::5] = (120, 60, 140)
    assert tissue_of(small, UM_PER_PX).all()


@pytest.mark.parametrize("ink", [(20, 160, 60), (20, 40, 200), (15, 15, 18), (230, 10, 15)])
def test_pen_is_no_tissue(ink):
    small = glass()
    small[100:200, 200:300] = slide_files.PINK
    cv2.line(small, (40, 30), (60, 260), ink, 14)
    mask = tissue_of(small, UM_PER_PX)
    assert not mask[:, :100].any()
    assert mask[110:190, 210:290].all()


def test_dust_is_no_tissue_and_small_gaps_are():
    small = glass()
    small[50:54, 50:54] = (180, 90, 150)  # 16 px of 64 µm² = 0.001 mm²
    small[100:200, 150:300] = slide_files.PINK
    small[140:146, 200:206] = slide_files.GLASS  # 0.002 mm²
    mask = tissue_of(small, UM_PER_PX)
    assert not mask[40:64, 40:64].any()
    assert mask[138:148, 198:208].all()


def test_black_is_no_tissue():
    small = np.zeros((200, 200, 3), np.uint8)
    small[:, 100:] = slide_files.PINK
    mask = tissue_of(small, UM_PER_PX)
    assert not mask[:, :95].any() and mask[:, 106:].all()


def test_the_map_of_a_slide(tmp_path):
    pixels = slide_files.tissue(2048, 3072, (1024, 512, 2560, 1536))
    path = slide_files.write_slide(tmp_path / "a.tif", pixels)
    with Slide(path) as slide:
        found = tissue_map(slide, 0.25)
    assert found.downsample == pytest.approx(32)  # 8 µm
    # 1536 x 1024 px of 0.25 µm
    assert found.mm2 == pytest.approx(1536 * 1024 * 0.25**2 * 1e-6, rel=0.06)
    assert found.has(1800, 1000) and not found.has(300, 300)
    # 40 µm around the tissue (160 px) are searched too, and no more.
    assert found.has(1024 - 100, 1000) and not found.has(1024 - 300, 1000)
    assert found.touches(Box(0, 0, 1100, 600)) and not found.touches(Box(0, 0, 700, 2048))
    assert found.mm2_in(Box(1024, 512, 768, 1024)) == pytest.approx(found.mm2 / 2, rel=0.05)
    # Points beyond the slide are asked about, too, by resampling.
    assert not found.has(5000, 5000)
