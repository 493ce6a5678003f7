"""Dark nuclei."""

import cv2
import numpy as np
import pytest

from mitozoo.data.candidates import darkness, nuclei
from mitozoo.data.stain import haematoxylin, optical_density

PALE = (225, 190, 215)


def tissue(discs, size=160, radius=6):
    """Discs (x, y, colour) on even tissue."""
    image = np.full((size, size, 3), PALE, np.uint8)
    for x, y, colour in discs:
        cv2.circle(image, (x, y), radius, colour, -1)
    return image


def test_darkness_of_even_tissue_is_the_mean_of_haematoxylin_and_red():
    image = np.full((40, 40, 3), (90, 60, 130), np.uint8)
    wanted = (haematoxylin(image) + optical_density(image[..., 0])) / 2
    np.testing.assert_allclose(darkness(image, 0.25), wanted, atol=1e-5)


def test_the_blur_is_given_in_micrometres():
    image = tissue([(80, 80, (60, 30, 90))], radius=1)
    # Twice the spacing, half the blur in pixels: a point is blurred to a quarter of the area and four times the height.
    base = darkness(tissue([]), 0.25)[0, 0]
    fine, coarse = (darkness(image, spacing)[80, 80] - base for spacing in (0.25, 0.5))
    assert coarse / fine == pytest.approx(4, rel=0.15)


def test_nuclei_come_by_falling_darkness():
    image = tissue([(40, 50, (120, 80, 150)), (110, 60, (40, 20, 70)), (60, 120, (80, 50, 110))])
    found = nuclei(image, 0.25)
    np.testing.assert_allclose(found[:3, :2], [(110, 60), (60, 120), (40, 50)], atol=1)
    assert (np.diff(found[:, 2]) <= 0).all()
    dark = darkness(image, 0.25)
    np.testing.assert_allclose(found[:, 2], [dark[int(y), int(x)] for x, y, _ in found])


def test_eosin_is_no_nucleus():
    image = tissue([(40, 80, (80, 50, 110)), (120, 80, (250, 90, 140))])
    assert tuple(nuclei(image, 0.25)[0, :2].round()) == (40, 80)
    dark = darkness(image, 0.25)
    assert dark[80, 40] > 4 * max(dark[80, 120], 0)


def test_two_nuclei_are_as_far_apart_as_asked():
    # 24 px, that is 6 µm.
    image = tissue([(60, 80, (50, 30, 80)), (84, 80, (60, 40, 90))])

    def beside(**settings):
        found = nuclei(image, 0.25, **settings)
        return [tuple(row[:2].astype(int)) for row in found if abs(row[1] - 80) < 3 and 50 < row[0] < 95]

    assert len(beside()) == 2
    assert len(beside(separation_um=8.0)) == 1
    assert abs(beside(separation_um=8.0)[0][0] - 60) <= 1


def test_places_are_the_same_at_half_the_spacing():
    image = tissue([(40, 50, (120, 80, 150)), (110, 60, (40, 20, 70))])
    twice = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    one, other = nuclei(image, 0.25)[:2, :2], (nuclei(twice, 0.125)[:, :2] + 0.5) / 2 - 0.5
    assert all(np.hypot(*(other - place).T).min() < 1 for place in one)


def test_black_padding_is_no_nucleus():
    image = tissue([(120, 80, (60, 30, 90))])
    image[:, :50] = 0
    found = nuclei(image, 0.25)
    assert len(found) and (found[:, 0] > 55).all()
    np.testing.assert_allclose(found[0, :2], (120, 80), atol=1)
    # A nucleus with a few black pixels stays one.
    image = tissue([(120, 80, (60, 30, 90))])
    image[79:81, 119:121] = 0
    np.testing.assert_allclose(nuclei(image, 0.25)[0, :2], (120, 80), atol=1)
