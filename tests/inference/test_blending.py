"""Tiles that are blended: weights by hand, and a network that sees one pixel is not changed by tiling."""

import numpy as np
import pytest

from mitozoo.inference.blending import blended, starts, tent


def test_weights_of_neighbours_add_to_one():
    line = tent(8, 4)
    np.testing.assert_allclose(line, [0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125])
    np.testing.assert_allclose(line[4:] + line[:4], 1.0)
    np.testing.assert_allclose(tent(8, 6), [0.25, 0.75, 1, 1, 1, 1, 0.75, 0.25])
    np.testing.assert_allclose(tent(8, 8), np.ones(8))


def test_tiles_begin_before_the_field_and_end_after_it():
    assert starts(10, 8, 4) == [-2, 2, 6]
    assert starts(4, 8, 4) == [-2]
    assert starts(9, 8, 8) == [0, 8]


@pytest.mark.parametrize(("size", "overlap"), [((70, 51), 0.5), ((16, 16), 0.25), ((5, 7), 0.5), ((64, 33), 0.0)])
def test_what_looks_at_one_pixel_gives_the_same_in_tiles(size, overlap):
    field = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    found = blended(
        field, lambda tiles: tiles[..., :2].astype(np.float32), tile_px=16, overlap=overlap, channels=2, batch_size=3
    )
    assert found.shape == (*size, 2)
    np.testing.assert_allclose(found, field[..., :2], rtol=1e-5)


def test_the_rim_of_a_tile_counts_least():
    """A network that is wrong at its rim: the field's own edge never lies there, and seams are mostly the others'."""

    def run(tiles):
        out = np.ones((*tiles.shape[:3], 1), np.float32)
        out[:, 0] = out[:, -1] = out[:, :, 0] = out[:, :, -1] = 0.0
        return out

    found = blended(np.zeros((40, 40, 3), np.uint8), run, tile_px=16, overlap=0.5, channels=1)
    # A rim line weighs 1/16 of its place, and two rims cross at most.
    assert found.min() == pytest.approx((15 / 16) ** 2)
    assert found[0, 0, 0] == pytest.approx(1.0)
