"""Boxes of overlapping tiles become points, with a network that answers to colours."""

import keras
import numpy as np
import pytest
from keras import ops

from mitozoo.data.field_tiles import grid_starts
from mitozoo.inference.decoders import decoder
from mitozoo.inference.decoders.detect import Detect, centres

TILE, BLOCK = 64, 16


@pytest.fixture(scope="module")
def model():
    """Finds a box in each block of 16 px of a tile: how red it is, and where."""
    tile = keras.Input((TILE, TILE, 3))
    red = ops.maximum(tile[..., 0] - tile[..., 2], 0.0)
    side = TILE // BLOCK
    blocks = ops.reshape(ops.transpose(ops.reshape(red, (-1, side, BLOCK, side, BLOCK)), (0, 1, 3, 2, 4)),
                         (-1, side * side, BLOCK, BLOCK))  # fmt: skip
    scores = ops.max(blocks, axis=(2, 3))
    corner = np.array([(x, y) for y in range(0, TILE, BLOCK) for x in range(0, TILE, BLOCK)], "float32")
    boxes = ops.convert_to_tensor(np.concatenate([corner, corner + BLOCK], axis=1)[None])
    boxes = ops.where(scores[..., None] > 0, boxes, -1.0)
    masks = ops.where(blocks > 0, 0.9, 0.1)
    scores = ops.where(scores > 0, scores, -1.0)
    return keras.Model(tile, {"boxes": boxes, "scores": scores, "masks": masks})


def field(*squares, height=160, width=200):
    """Grey, with squares of 4 px at (x, y), as red as `red` of 127."""
    image = np.full((height, width, 3), 128, np.uint8)
    for x, y, red in squares:
        image[y : y + 4, x : x + 4, 0] = 128 + red
    return image


def found(model, image, **settings):
    candidates = Detect(model, **{"tile_px": TILE, "rim_px": 2.0} | settings)(image)
    order = np.lexsort((candidates.xy[:, 0], candidates.xy[:, 1]))
    return candidates.xy[order], candidates.probabilities[order]


def test_cells_lie_where_their_masks_do(model):
    xy, probabilities = found(model, field((50, 38, 127), (100, 120, 51)))
    # Pixels 50 to 53 have their centre at 51.5.
    np.testing.assert_allclose(xy, [[51.5, 39.5], [101.5, 121.5]])
    np.testing.assert_allclose(probabilities[:, 1], [127 / 255, 51 / 255], rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_at_the_rim_the_neighbour_answers_and_at_the_edge_of_the_field_nobody_else_can(model):
    # Tiles begin at 0, 32, 64, 96 and at 136 across, 0, 32, 64 and 96 down: a cell in the corner of the field, and one
    # in the last columns of the tiles at 0 that only those at 32 see in a box that stays clear of their rims.
    xy, _ = found(model, field((0, 0, 100), (196, 156, 100), (57, 57, 100)))
    np.testing.assert_allclose(xy, [[1.5, 1.5], [58.5, 58.5], [197.5, 157.5]])


def test_the_plates_of_a_telophase_count_once_and_as_the_surer(model):
    image = field((50, 40, 60), (70, 40, 110), (130, 40, 80))
    xy, probabilities = found(model, image)
    np.testing.assert_allclose(xy, [[71.5, 41.5], [131.5, 41.5]])
    np.testing.assert_allclose(probabilities[:, 1], [110 / 255, 80 / 255], rtol=1e-5)
    assert len(found(model, image, merge_px=15.0)[0]) == 3


def test_what_is_under_the_cut_is_dropped(model):
    image = field((50, 40, 60), (130, 40, 110))
    assert len(found(model, image, cut=0.3)[0]) == 1
    assert len(found(model, image, cut=0.9)[0]) == 0


@pytest.mark.parametrize("size", [(17, 17), (20, 70), (64, 64), (65, 63), (200, 64)])
def test_fields_of_any_size(model, size):
    image = np.full((*size, 3), 128, np.uint8)
    image[0, 0, 0] = 255
    candidates = Detect(model, tile_px=TILE, rim_px=2.0)(image)
    np.testing.assert_allclose(candidates.xy, [[0, 0]], atol=0.5)
    blank = Detect(model, tile_px=TILE)(np.full((*size, 3), 128, np.uint8))
    assert blank.xy.shape == (0, 2) and blank.probabilities.shape == (0, 2)


def test_a_field_of_any_batch_size_gives_the_same(model):
    image = field(*((x, y, 40 + x // 2) for x in range(8, 190, 40) for y in range(8, 150, 40)))
    one, other = found(model, image, batch_size=1), found(model, image, batch_size=7)
    assert len(one[0]) == 20
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b)


def test_tiles_reach_to_the_end():
    assert grid_starts(64, 64, 0.5) == [0]
    assert grid_starts(65, 64, 0.5) == [0, 1]
    assert grid_starts(128, 64, 0.5) == [0, 32, 64]
    assert grid_starts(130, 64, 0.5) == [0, 32, 64, 66]


def test_centres_by_hand():
    boxes = np.array([[10, 20, 38, 76], [0, 0, 28, 28]], float)
    masks = np.zeros((2, 28, 28))
    masks[0, 0, 0] = masks[0, 0, 1] = 0.5
    # One and a half pixel from the left is 11, half a row of 2 px from the top 21; the empty mask has its middle.
    np.testing.assert_allclose(centres(boxes, masks), [[10.5, 20.5], [13.5, 13.5]])
    assert centres(boxes[:0], masks[:0]).shape == (0, 2)


def test_the_registry_of_decoders_knows_it(model):
    assert isinstance(decoder("detect", model, {"tile_px": TILE}), Detect)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"tile_px": 128}, "tile_px must be that of the model, 64, got 128."),
        ({"tile_px": 64, "overlap": 1.0}, "overlap must be at least 0 and less than 1, got 1.0."),
    ],
)
def test_settings_that_cannot_be(model, settings, text):
    with pytest.raises(ValueError) as error:
        Detect(model, **settings)
    assert str(error.value) == text
