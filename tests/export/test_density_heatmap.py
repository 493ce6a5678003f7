"""Density of mitotic figures: by hand, by its integral, and in files."""

import math

import cv2
import numpy as np
import pytest
import tifffile

from mitozoo.export.heatmap import density_map, write_heatmap_png, write_heatmap_tiff


def test_one_figure_in_the_middle_by_hand():
    # 3 x 3 cells of 100 um; the figure is in the middle of the middle one, sigma is half a cell.
    density = density_map(np.array([[149.5, 149.5]]), 300, 300, 1.0, sigma_um=50, grid_um=100)
    middle = math.erf(1 / math.sqrt(2))
    side = (math.erf(3 / math.sqrt(2)) - middle) / 2
    parts = np.array([side, middle, side]) / (middle + 2 * side)
    # A share over 0.01 mm2.
    np.testing.assert_allclose(density.per_mm2, np.outer(parts, parts) / 0.01, rtol=1e-5)
    assert density.per_mm2.dtype == np.float32 and density.per_mm2[1, 1] == pytest.approx(46.9, abs=0.1)


def test_cells_are_the_mean_of_the_gaussian_in_them():
    density = density_map(np.array([[499.5, 399.5]]), 1000, 800, 0.5, sigma_um=40, grid_um=20)
    y, x = np.mgrid[0.5:400, 0.5:500]
    fine = np.exp(-((x - 250) ** 2 + (y - 200) ** 2) / (2 * 40**2)) / (2 * math.pi * 40**2) * 1e6
    means = fine.reshape(20, 20, 25, 20).mean(axis=(1, 3))
    np.testing.assert_allclose(density.per_mm2, means, rtol=2e-4, atol=1e-3 * means.max())


@pytest.mark.parametrize("sigma_um", [2.0, 60.0, 900.0])
@pytest.mark.parametrize("grid_um", [7.0, 32.0, 1000.0])
def test_the_integral_is_the_number_of_figures_inside(sigma_um, grid_um):
    rng = np.random.default_rng(4)
    points = rng.uniform(-0.5, [1999.5, 1399.5], (40, 2))
    points[:4] = [[-0.5, -0.5], [1999.5, 1399.5], [0, 1399], [1999, 0]]
    outside = np.array([[-0.6, 5.0], [5.0, 1399.6], [2500.0, 3.0]])
    density = density_map(np.concatenate([points, outside]), 2000, 1400, 0.25, sigma_um=sigma_um, grid_um=grid_um)
    assert density.figures == pytest.approx(40, rel=1e-6)
    assert density.per_mm2.shape == (math.ceil(350 / grid_um), math.ceil(500 / grid_um))
    assert density.per_mm2.min() >= 0


def test_at_an_edge_what_would_fall_outside_stays_inside():
    inner = density_map(np.array([[999.5, 999.5]]), 2000, 2000, 1.0, sigma_um=50, grid_um=10)
    edge = density_map(np.array([[-0.5, 999.5]]), 2000, 2000, 1.0, sigma_um=50, grid_um=10)
    # Half of the kernel holds the whole figure.
    np.testing.assert_allclose(edge.per_mm2[:, :20], 2 * inner.per_mm2[:, 100:120], rtol=1e-4, atol=1e-6)


def test_figures_add_and_none_gives_nothing():
    points = np.array([[100.0, 200.0], [400.0, 300.0]])
    both = density_map(points, 600, 500, 0.5)
    one, other = (density_map(points[k], 600, 500, 0.5) for k in (0, 1))
    np.testing.assert_allclose(both.per_mm2, one.per_mm2 + other.per_mm2, rtol=1e-5)
    empty = density_map(np.zeros((0, 2)), 600, 500, 0.5)
    assert empty.figures == 0 and not empty.per_mm2.any()


def test_an_even_spread_has_its_density_everywhere():
    x, y = np.meshgrid(np.arange(4.5, 1000, 10), np.arange(4.5, 1000, 10))
    density = density_map(np.stack([x, y], axis=-1).reshape(-1, 2), 1000, 1000, 1.0, sigma_um=50, grid_um=50)
    # One in 10 um x 10 um is 10,000 per mm2; near the edge each weighs 1 as well, which shifts some inwards.
    np.testing.assert_allclose(density.per_mm2[6:-6, 6:-6], 10_000, rtol=1e-3)


def read_rgb(path):
    return cv2.imread(str(path), cv2.IMREAD_COLOR)[..., ::-1]


def test_the_picture_without_tissue_has_a_pixel_for_a_cell(tmp_path):
    density = density_map(np.array([[199.5, 99.5]]), 400, 200, 1.0, sigma_um=20, grid_um=10)
    write_heatmap_png(tmp_path / "a.png", density, legend=False)
    picture = read_rgb(tmp_path / "a.png").astype(int)
    assert picture.shape == (20, 40, 3)
    brightness = picture.sum(axis=-1)
    # Four cells meet at the figure.
    assert (brightness[9:11, 19:21] == brightness.max()).all() and brightness.max() > 600
    assert brightness[0, 0] < 10
    order = np.argsort(density.per_mm2.ravel())
    assert (np.diff(brightness.ravel()[order]) >= 0).all()
    write_heatmap_png(tmp_path / "b.png", density, legend=False, most_per_mm2=10 * float(density.per_mm2.max()))
    assert read_rgb(tmp_path / "b.png").astype(int).sum(axis=-1).max() < 200


def test_tissue_shows_where_there_are_no_figures(tmp_path):
    thumbnail = np.full((100, 203, 3), (230, 180, 210), np.uint8)
    density = density_map(np.array([[1999.5, 499.5]]), 4060, 2000, 0.5, sigma_um=60, grid_um=32)
    write_heatmap_png(tmp_path / "a.png", density, thumbnail=thumbnail, legend=False)
    picture = read_rgb(tmp_path / "a.png").astype(int)
    assert picture.shape == (100, 203, 3)
    np.testing.assert_array_equal(picture[60:], thumbnail[60:])
    changed = np.abs(picture - thumbnail).sum(axis=-1).astype(float)
    # The figure is at (2000, 500) of 20 px each from the upper left corner: pixel 99.5, 24.5. Its surroundings follow.
    rows, columns = np.nonzero(changed > 0.25 * changed.max())
    assert abs(columns.mean() - 99.5) < 1 and abs(rows.mean() - 24.5) < 1


def test_the_legend_is_below_the_picture(tmp_path):
    density = density_map(np.array([[199.5, 99.5]]), 4000, 2000, 1.0, sigma_um=20, grid_um=10)
    write_heatmap_png(tmp_path / "a.png", density, legend=False)
    write_heatmap_png(tmp_path / "b.png", density)
    plain, told = read_rgb(tmp_path / "a.png"), read_rgb(tmp_path / "b.png")
    assert told.shape == (226, 400, 3)
    np.testing.assert_array_equal(told[:200], plain)
    bar = told[213, 18:250].astype(int).sum(axis=-1)
    assert bar[0] < 10 and bar[-1] > bar[100] > bar[30]
    write_heatmap_png(tmp_path / "c.png", density_map(np.zeros((0, 2)), 10, 10, 1.0))
    assert read_rgb(tmp_path / "c.png").shape == (27, 220, 3)


def test_the_numbers_come_back_from_the_tiff_with_their_spacing(tmp_path):
    points = np.random.default_rng(0).uniform(0, 5000, (30, 2))
    density = density_map(points, 20_000, 12_000, 0.5, sigma_um=40, grid_um=16)
    write_heatmap_tiff(tmp_path / "a.tif", density)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        page, small = file.pages[0], file.pages[1]
        np.testing.assert_array_equal(page.asarray(), density.per_mm2)
        assert page.shape == (375, 625) and page.dtype == np.float32
        over, under = page.tags["XResolution"].value
        assert page.tags["ResolutionUnit"].value == 3 and 1e4 * under / over == pytest.approx(16)
        # Glass shares its bytes.
        assert len(set(page.dataoffsets)) < len(page.dataoffsets)
        assert small.asarray().sum() * (4 * 16e-3) ** 2 == pytest.approx(30, rel=1e-4)


@pytest.mark.parametrize("wrong", [{"sigma_um": 0}, {"grid_um": -1.0}, {"um_per_px": 0.0}, {"width_px": 0}])
def test_sizes_must_be_above_0(wrong):
    sizes = {"width_px": 100, "height_px": 100, "um_per_px": 0.25, **wrong}
    with pytest.raises(ValueError, match="Sizes, spacing, sigma and grid of a heat map must be above 0."):
        density_map(np.zeros((0, 2)), **sizes)
    with pytest.raises(ValueError, match="The density of the last colour must be above 0."):
        write_heatmap_png("a.png", density_map(np.zeros((0, 2)), 9, 9, 1.0), most_per_mm2=0)
