"""Micrometres and pixels."""

import math

import pytest

from mitozoo.base.errors import InputError
from mitozoo.base.units import HOTSPOT_MM2, area_mm2, check_um_per_px, px_to_um, side_px_of_area, um_to_px


def test_lengths():
    assert um_to_px(7.5, 0.25) == 30
    assert px_to_um(30, 0.25) == 7.5


def test_area():
    # 4000 x 2000 px of 0.25 µm are 1 mm x 0.5 mm.
    assert area_mm2(4000 * 2000, 0.25) == pytest.approx(0.5)


def test_sides_of_the_hotspot():
    width, height = side_px_of_area(HOTSPOT_MM2, 4 / 3, 0.25)
    # height = sqrt(2.37e6 / (4 / 3)) µm = 1333.2 µm = 5332.9 px.
    assert height == pytest.approx(math.sqrt(2.37e6 * 0.75) / 0.25)
    assert (width / height, height) == (pytest.approx(4 / 3), pytest.approx(5332.9, abs=0.1))
    assert area_mm2(width * height, 0.25) == pytest.approx(2.37)


@pytest.mark.parametrize("spacing", [0.05, 0.25, 20.0])
def test_plausible_spacings_pass(spacing):
    assert check_um_per_px(spacing) == spacing


@pytest.mark.parametrize(
    ("spacing", "said"),
    [(0.049, "0.049"), (0, "0"), (-0.25, "-0.25"), (25.0, "25"), (math.nan, "nan"), (math.inf, "inf")],
)
def test_other_spacings_are_refused(spacing, said):
    with pytest.raises(InputError) as error:
        check_um_per_px(spacing)
    assert str(error.value) == (
        f"A spacing of {said} µm per pixel is not plausible (0.05 to 20). "
        "Give the true one with --um-per-px (0.25 is usual at 40x)."
    )
