"""Target maps, against counted pixels and a few independent lines."""

import numpy as np
import pytest

from mitozoo.data.targets import (
    IGNORED,
    R12_R24,
    R15_R30,
    discs,
    ellipses,
    pixel_lists,
    random_ellipses,
    random_radii,
    random_rings,
    rings,
    with_ignored,
)


def test_a_disc_of_radius_1_is_a_cross_and_its_rim_counts():
    expected = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    np.testing.assert_array_equal(discs(3, 3, np.array([[1, 1]]), 1.0), expected)
    assert discs(3, 3, np.array([[1, 1]]), 0.99).sum() == 1
    assert discs(3, 3, np.array([[1, 1]]), 1.5).sum() == 9


def test_discs_are_cut_by_the_map_and_may_lie_outside():
    found = discs(4, 6, np.array([[-1.0, 0.0], [20, 20], [5, 3]]), np.array([1.0, 3.0, 0.5]))
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(np.argwhere(found), [[0, 0], [3, 5]])
    assert discs(5, 5, np.zeros((0, 2)), 3.0).sum() == 0


def test_ellipses_against_the_equation():
    xy, axes, angles = np.array([[20.3, 17.8], [30, 40]]), np.array([[13.0, 5.0], [9, 6]]), np.array([60.0, 90.0])
    rows, columns = np.mgrid[:50, :45]
    expected = np.zeros((50, 45), bool)
    for (x, y), (a, b), degrees in zip(xy, axes, angles, strict=True):
        # Up is positive for the eye, but rows count down.
        z = ((columns - x) + 1j * (y - rows)) * np.exp(-1j * np.pi * degrees / 180)
        expected |= (z.real / a) ** 2 + (z.imag / b) ** 2 <= 1
    np.testing.assert_array_equal(ellipses(50, 45, xy, axes, angles), expected)


def test_an_ellipse_at_90_degrees_stands_upright():
    found = ellipses(21, 21, np.array([[10, 10]]), np.array([[8.0, 3.0]]), np.array([90.0]))
    assert found[:, 10].sum() == 17 and found[10].sum() == 7


def test_rings_learn_inside_ignore_between_and_the_inside_of_another_wins():
    found = rings(1, 12, np.array([[2, 0], [7, 0]]), np.array([1.0, 1.0]), np.array([3.0, 4.0]))
    x = IGNORED
    np.testing.assert_array_equal(found, [[x, 1, 1, 1, x, x, 1, 1, 1, x, x, x]])
    fixed = rings(1, 40, np.array([[0, 0]]), *R12_R24)[0]
    assert [int((fixed == value).sum()) for value in (1, x, 0)] == [13, 12, 15]
    fixed = rings(1, 40, np.array([[0, 0]]), *R15_R30)[0]
    assert [int((fixed == value).sum()) for value in (1, x, 0)] == [16, 15, 9]


def test_excluded_circles_are_ignored_whatever_is_there():
    labels = np.array([[1, 0, 1, 0, 0]], np.uint8)
    np.testing.assert_array_equal(with_ignored(labels, [(0.0, 0.0, 1.0)]), [[255, 255, 1, 0, 0]])
    np.testing.assert_array_equal(with_ignored(labels, []), labels)
    assert labels[0, 0] == 1


def test_lists_of_pixels():
    found = pixel_lists(3, 4, [[0, 0, 3, 2], [1.0, 1.0]])
    np.testing.assert_array_equal(np.argwhere(found), [[0, 0], [1, 1], [2, 3]])
    assert not pixel_lists(3, 4, []).any()
    with pytest.raises(ValueError, match=r"^the pixel x 4, y 0 lies outside the image \(4 x 3 px\)\.$"):
        pixel_lists(3, 4, [[4, 0]])
    with pytest.raises(ValueError, match="^a list of pixels has 3 numbers"):
        pixel_lists(3, 4, [[1, 1, 2]])


def test_random_shapes_fill_their_ranges_and_no_more():
    np.testing.assert_allclose(random_radii(np.array([0.0, 0.5, 1.0])), [10, 13, 16])
    axes, angles = random_ellipses(np.array([[0.0, 1.0, 0.0], [0.5, 0.25, 0.99]]))
    np.testing.assert_allclose(axes, [[5, 13], [9, 7]])
    np.testing.assert_allclose(angles, [60, 90])
    inner, outer = random_rings(np.array([[0.0, 0.0], [1.0, 1.0]]))
    np.testing.assert_allclose(inner, [10, 17])
    np.testing.assert_allclose(outer, [15, 42.5])
    inner, outer = random_rings(np.array([[0.3, 0.7]]), (12.0, 12.0), (2.0, 2.0))
    np.testing.assert_allclose([inner[0], outer[0]], R12_R24)
