"""Hotspot against hand-worked cases and against every window of a small grid; the Nottingham table."""

import math
import time

import numpy as np
import pytest

from mitozoo.evaluation.hotspot import NOTTINGHAM_TABLE, hotspot, hotspots, nottingham_score


def brute_force(points, width, height, sides):
    """Most points in any window whose left and upper borders are multiples of a quarter pixel."""
    best = 0
    for left in np.arange(-0.5, width - 0.5 - sides[0] + 1e-9, 0.25):
        for top in np.arange(-0.5, height - 0.5 - sides[1] + 1e-9, 0.25):
            x, y = points[:, 0] - left, points[:, 1] - top
            best = max(best, int(((x >= 0) & (x <= sides[0]) & (y >= 0) & (y <= sides[1])).sum()))
    return best


@pytest.mark.parametrize("seed", range(12))
def test_equals_the_best_of_all_windows(seed):
    rng = np.random.default_rng(seed)
    width, height = 17, 14
    points = rng.integers(0, [width, height], size=(int(rng.integers(1, 40)), 2)).astype(float)
    # 1 mm per pixel; 8 x 6 = 48 mm2.
    found = hotspot(points, width, height, 1000.0, mm2=48.0)
    assert found.mm2 == pytest.approx(48.0)
    assert found.count == max(brute_force(points, width, height, (8, 6)), brute_force(points, width, height, (6, 8)))
    inside = (np.abs(points[:, 0] - found.x_px) <= found.width_px / 2 + 1e-9) & (
        np.abs(points[:, 1] - found.y_px) <= found.height_px / 2 + 1e-9
    )
    assert inside.sum() == found.count
    assert found.left_px >= -0.5 - 1e-9 and found.top_px >= -0.5 - 1e-9
    assert found.left_px + found.width_px <= width - 0.5 + 1e-9
    assert found.top_px + found.height_px <= height - 0.5 + 1e-9


def test_borders_count_and_the_upright_window_wins_where_it_holds_more():
    # A window of 12 mm2 at 1 mm per pixel is 4 x 3 or 3 x 4.
    column = np.array([[10.0, 10.0], [10.0, 12.0], [10.0, 14.0]])
    found = hotspot(column, 30, 30, 1000.0, mm2=12.0)
    assert (found.width_px, found.height_px, found.count) == (pytest.approx(3), pytest.approx(4), 3)
    assert (found.x_px, found.y_px) == (10.0, 12.0)
    row = column[:, ::-1]
    found = hotspot(row, 30, 30, 1000.0, mm2=12.0)
    assert (found.width_px, found.height_px, found.count) == (pytest.approx(4), pytest.approx(3), 3)
    apart = np.array([[10.0, 10.0], [10.0, 14.01]])
    assert hotspot(apart, 30, 30, 1000.0, mm2=12.0).count == 1


def test_a_corner_keeps_the_window_inside_the_image():
    found = hotspot(np.array([[29.0, 0.0]]), 30, 30, 1000.0, mm2=12.0)
    # 4 x 3 against the borders 29.5 and -0.5.
    assert (found.x_px, found.y_px, found.count) == (pytest.approx(27.5), pytest.approx(1.0), 1)


def test_equal_points_all_count():
    assert hotspot(np.full((5, 2), 7.0), 30, 30, 1000.0, mm2=12.0).count == 5


def test_without_points_it_is_the_middle():
    found = hotspot(np.zeros((0, 2)), 31, 21, 1000.0, mm2=12.0)
    assert (found.x_px, found.y_px, found.count) == (15.0, 10.0, 0)


def test_a_small_image_is_its_own_hotspot():
    # 2000 x 2000 at 0.25 um: 0.5 x 0.5 mm.
    found = hotspot(np.array([[0.0, 0.0], [1999.0, 1999.0]]), 2000, 2000, 0.25)
    assert (found.x_px, found.y_px, found.width_px, found.height_px) == (999.5, 999.5, 2000, 2000)
    assert found.mm2 == pytest.approx(0.25)
    assert found.count == 2


def test_the_standard_window_in_pixels():
    # 4:3 with 2.37 mm2: height sqrt(2.37 * 3 / 4) = 1.33323 mm, so 5332.9 px at 0.25 um, width 7110.6 px.
    found = hotspot(np.array([[10000.0, 10000.0]]), 20000, 20000, 0.25)
    assert (found.width_px, found.height_px) == (pytest.approx(7110.56, abs=0.01), pytest.approx(5332.92, abs=0.01))
    assert found.mm2 == pytest.approx(2.37)


@pytest.mark.parametrize(("width", "height"), [(2, 20), (20, 2)])
def test_a_narrow_image_keeps_the_area(width, height):
    # 12 mm2 in a strip 2 mm wide is 2 x 6.
    along = np.array([1.0, 4.0, 7.0, 7.5, 15.0])
    points = np.stack([np.zeros(5), along], axis=1) if width < height else np.stack([along, np.zeros(5)], axis=1)
    found = hotspot(points, width, height, 1000.0, mm2=12.0)
    assert sorted([found.width_px, found.height_px]) == pytest.approx([2, 6])
    # 1 to 7 holds three; 7.5 - 1 = 6.5 is too long; 4 to 7.5 holds three too.
    assert (found.count, found.mm2) == (3, pytest.approx(12.0))


def test_thousands_of_points_take_seconds_at_most():
    points = np.random.default_rng(0).uniform(0, 9000, size=(5000, 2))
    start = time.perf_counter()
    assert hotspot(points, 9000, 9000, 0.25).count > 0
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize("wrong", [{"mm2": 0.0}, {"aspect": -1.0}])
def test_nonsense_raises(wrong):
    with pytest.raises(ValueError, match="must be above 0"):
        hotspot(np.zeros((0, 2)), 10, 10, 0.25, **wrong)


@pytest.mark.parametrize(("count", "score"), [(0, 1), (8, 1), (9, 2), (17, 2), (18, 3), (500, 3)])
def test_score_of_ten_standard_fields(count, score):
    assert nottingham_score(count, 2.37) == score
    # Ten circles of 0.55 mm.
    assert nottingham_score(count, 10 * math.pi * 0.275**2) == score


def test_score_of_other_fields_of_the_table():
    # Ten fields of 0.59 mm (score 3 from 20) and of 0.63 mm (from 23).
    assert [nottingham_score(n, 10 * math.pi * 0.295**2) for n in (9, 10, 19, 20)] == [1, 2, 2, 3]
    assert [nottingham_score(n, 10 * math.pi * 0.315**2) for n in (11, 12, 22, 23)] == [1, 2, 2, 3]


def test_the_rows_agree_with_each_other_by_area():
    # Score 2 from 10 and score 3 from 20 in fields of 0.59 mm are 8.7 and 17.4 in fields of 0.55 mm.
    ratio = (0.55 / 0.59) ** 2
    assert (math.ceil(10 * ratio), math.ceil(20 * ratio)) == (9, 18)


@pytest.mark.parametrize("mm2", [0.0, 0.25, 2.0, 2.3699, 2.5, 5.0])
def test_no_score_for_an_area_that_is_not_in_the_table(mm2):
    assert nottingham_score(30, mm2) is None


def test_a_negative_count_raises_and_the_table_has_a_name():
    with pytest.raises(ValueError, match="cannot be negative"):
        nottingham_score(-1, 2.37)
    assert "0.55 mm" in NOTTINGHAM_TABLE


def test_several_hotspots_share_no_point():
    # Two crowds of 5 and 3, far apart, and one alone; windows of 100 x 75 px.
    crowd = [(100, 100), (110, 105), (120, 110), (130, 100), (140, 110)]
    other = [(800, 500), (820, 510), (830, 505)]
    points = np.array([*crowd, *other, (500, 900)], float)
    mm2 = 100 * 75 * 0.25**2 * 1e-6
    found = hotspots(points, 1000, 1000, 0.25, most=5, mm2=mm2)
    assert [window.count for window in found] == [5, 3, 1]
    assert (found[0].x_px, found[0].y_px) == (120, 105)
    assert (found[1].x_px, found[1].y_px) == (815, 505)
    assert found[0] == hotspot(points, 1000, 1000, 0.25, mm2=mm2)
    assert len(hotspots(points, 1000, 1000, 0.25, most=2, mm2=mm2)) == 2
    assert hotspots(np.zeros((0, 2)), 1000, 1000, 0.25) == []
    # A crowd wider than the window is shared out: 3 of 4 in a row of 40 px steps fit in 100 px.
    row = np.array([(100 + 40 * i, 300) for i in range(4)], float)
    assert [window.count for window in hotspots(row, 1000, 1000, 0.25, mm2=mm2)] == [3, 1]
