"""Masks of chromatin around a labelled centre."""

import cv2
import numpy as np
import pytest

from mitozoo.data.chromatin import AREA_PX, FALLBACK_RADIUS_PX, chromatin

PINK, VIOLET, DARK = (225, 175, 205), (160, 120, 185), (60, 30, 95)


def tissue(side=128, seed=0):
    noise = np.random.default_rng(seed).normal(0, 4, (side, side, 3))
    return np.clip(np.array(PINK) + cv2.GaussianBlur(noise, (0, 0), 1.0), 0, 255).astype(np.uint8)


def drawn(*figures, side=128):
    """Tissue with ellipses (x, y, half axes, angle, colour), and where the dark ones are."""
    image, mask = tissue(side), np.zeros((side, side), np.uint8)
    for x, y, axes, angle, colour in figures:
        cv2.ellipse(image, (x, y), axes, angle, 0, 360, colour, -1)
        if colour == DARK:
            cv2.ellipse(mask, (x, y), axes, angle, 0, 360, 1, -1)
    return cv2.GaussianBlur(image, (0, 0), 0.7), mask > 0


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize(("x", "y", "angle"), [(63, 63, 0), (63, 63, 40), (60, 66, 90)])
def test_a_plate_is_found_with_its_centre_and_extent(x, y, angle):
    image, truth = drawn((x, y, (15, 6), angle, DARK))
    found = chromatin(image, 63.5, 63.5)
    assert found.found and iou(found.mask, truth) > 0.85
    assert np.hypot(found.x_px - x, found.y_px - y) < 1
    assert 13 <= found.radius_px <= 17


def test_both_plates_of_a_telophase_and_not_the_nucleus_beside_them():
    image, truth = drawn((63, 50, (11, 4), 0, DARK), (63, 77, (11, 4), 0, DARK))
    found = chromatin(image, 63.5, 63.5)
    assert found.found and iou(found.mask, truth) > 0.8
    assert abs(found.y_px - 63.5) < 1
    image, truth = drawn((63, 63, (12, 5), 0, DARK), (88, 63, (9, 9), 0, VIOLET))
    found = chromatin(image, 63.5, 63.5)
    assert found.found and iou(found.mask, truth) > 0.8


def test_a_paler_nucleus_around_does_not_join():
    image, truth = drawn((63, 63, (26, 26), 0, VIOLET), (63, 63, (9, 6), 0, DARK))
    found = chromatin(image, 63.5, 63.5)
    assert found.found and iou(found.mask, truth) > 0.75


@pytest.mark.parametrize(
    "image",
    [
        tissue(),
        np.full((128, 128, 3), 255, np.uint8),
        np.zeros((128, 128, 3), np.uint8),
        drawn((63, 63, (60, 60), 0, DARK))[0],
        drawn((63, 63, (2, 2), 0, DARK))[0],
    ],
    ids=["even tissue", "glass", "black", "all dark", "a dot"],
)
def test_what_cannot_be_told_is_a_disc_and_says_so(image):
    found = chromatin(image, 63.5, 63.5)
    assert not found.found
    rows, columns = np.mgrid[:128, :128]
    np.testing.assert_array_equal(found.mask, np.hypot(columns - 63.5, rows - 63.5) <= FALLBACK_RADIUS_PX)


def test_a_centre_in_the_corner():
    image, truth = drawn((4, 5, (9, 6), 0, DARK))
    found = chromatin(image, 4, 5)
    assert found.found and iou(found.mask, truth) > 0.75
    assert AREA_PX[0] <= found.mask.sum() <= AREA_PX[1]
