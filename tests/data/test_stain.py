"""Optical density and the two stains."""

import numpy as np
import pytest

from mitozoo.data.stain import HE_VECTORS, haematoxylin, optical_density


@pytest.mark.parametrize(
    ("value", "density"),
    # (value + 1) / 256 = 1, 1/2, 1/16, 1/256; log10(2) = 0.30103.
    [(255, 0.0), (127, 0.30103), (15, 1.20412), (0, 2.40824)],
)
def test_density_by_hand(value, density):
    found = optical_density(np.full((2, 3), value, np.uint8))
    assert found.dtype == np.float32 and found.shape == (2, 3)
    np.testing.assert_allclose(found, density, atol=1e-5)


def test_the_vectors_are_of_unit_length():
    np.testing.assert_allclose((HE_VECTORS**2).sum(axis=1), 1)


def mixed(h, e, rest=0.0):
    """A pixel of so much of each stain, as the scanner would see it."""
    return np.round(256 * 10 ** -(np.array([h, e, rest]) @ HE_VECTORS) - 1).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("h", "e"), [(0.0, 0.0), (1.0, 0.0), (0.0, 0.8), (0.7, 0.4)])
def test_haematoxylin_is_told_from_eosin(h, e):
    pixel = np.broadcast_to(mixed(h, e), (2, 2, 3))
    np.testing.assert_allclose(haematoxylin(pixel), np.full((2, 2), h), atol=0.02)


def test_by_solving_the_three_equations():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), np.uint8)
    for row in range(5):
        for column in range(4):
            density = -np.log10((pixels[row, column] + 1.0) / 256)
            wanted = np.linalg.solve(HE_VECTORS.T, density)[0]
            assert haematoxylin(pixels)[row, column] == pytest.approx(wanted, abs=1e-4)
