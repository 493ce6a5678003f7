"""Proposals and their verification, with networks that answer to colours."""

import keras
import numpy as np
import pytest

from mitozoo.inference.decoders.propose_verify import ProposeVerify, turned

GREY = 120


@pytest.fixture
def model():
    """Proposes what is bright in red or green; verifies by 8 times the mean of red (mitotic) and green (atypical)."""
    field = keras.Input((None, None, 3))
    colour = field[..., 0] + field[..., 1] - 2 * field[..., 2]
    proposer = keras.Model(
        field, 20.0 * keras.layers.AveragePooling2D(8)(colour[..., None])[..., 0] - 5.0, name="proposer"
    )
    cell = keras.Input((80, 80, 3))
    middle = keras.layers.Cropping2D(36)(cell)
    mean = keras.ops.mean(middle - middle[..., 2:], axis=(1, 2))
    logits = 8.0 * keras.ops.stack([0 * mean[:, 0] + 0.5, mean[:, 0], mean[:, 1]], axis=-1)
    verifier = keras.Model(cell, logits, name="verifier")
    window = keras.Input((128, 128, 3))
    crop = keras.layers.Cropping2D(24)(window)
    return keras.Model(window, {"heat": proposer(window), "logits": verifier(crop)})


def field(*squares, size=400):
    """Squares (x, y, colour) of 16 px on grey."""
    image = np.full((size, size, 3), GREY, np.uint8)
    for x, y, colour in squares:
        image[y - 8 : y + 8, x - 8 : x + 8] = colour
    return image


def test_what_is_proposed_is_verified(model):
    image = field((100, 80, (255, 0, 0)), (304, 200, (0, 255, 0)), (200, 320, (110, 110, 0)))
    found = ProposeVerify(model)(image)
    order = np.argsort(found.xy[:, 0])
    np.testing.assert_allclose(found.xy[order][[0, 2]], [(99.5, 79.5), (303.5, 199.5)], atol=1.1)
    e = np.exp
    wanted = e([4, 8, 0]) / e([4, 8, 0]).sum()
    np.testing.assert_allclose(found.probabilities[order[0]], wanted, atol=0.02)
    np.testing.assert_allclose(found.probabilities[order[2]], wanted[[0, 2, 1]], atol=0.02)
    # The brown one was proposed too, and is doubtful: red and green both 110/255.
    doubtful = e([4, 8 * 110 / 255, 8 * 110 / 255]) / e([4, 8 * 110 / 255, 8 * 110 / 255]).sum()
    np.testing.assert_allclose(found.probabilities[order[1]], doubtful, atol=0.02)


def test_temperature_and_cut(model):
    image = field((100, 80, (255, 0, 0)))
    soft = ProposeVerify(model, temperature=4.0)(image)
    wanted = np.exp([1, 2, 0]) / np.exp([1, 2, 0]).sum()
    np.testing.assert_allclose(soft.probabilities[0], wanted, atol=0.02)
    assert len(ProposeVerify(model, cut=0.999)(image).xy) == 0


def test_in_a_crowd_only_the_strongest_are_verified(model):
    squares = [(x, 200, (255 - x // 10, 0, 0)) for x in range(60, 400, 60)]  # 60, 120, … 360, ever fainter
    one = ProposeVerify(model, near_px=70, near_most=1, sure_heat=2.0)(field(*squares))
    # Every square but the first has a stronger one 60 px to its left.
    np.testing.assert_allclose(one.xy, [(59.5, 199.5)], atol=1.1)
    two = ProposeVerify(model, near_px=130, near_most=2, sure_heat=2.0)(field(*squares))
    # Two to the left within 130 px: only the first two have fewer.
    assert sorted(np.round(two.xy[:, 0] + 0.5)) == [60, 120]
    assert len(ProposeVerify(model, near_px=50, near_most=1, sure_heat=2.0)(field(*squares)).xy) == 6
    # What is proposed for sure is verified in any crowd.
    assert len(ProposeVerify(model, near_px=130, near_most=1, sure_heat=0.5)(field(*squares)).xy) == 6


def test_two_within_the_radius_are_one(model):
    image = field((100, 80, (255, 0, 0)), (128, 80, (200, 0, 0)))
    assert len(ProposeVerify(model, merge_px=10)(image).xy) == 2
    merged = ProposeVerify(model, merge_px=35)(image)
    assert len(merged.xy) == 1 and abs(merged.xy[0, 0] - 99.5) < 2


def test_batches_and_turns_change_nothing_of_even_colours(model):
    image = field((100, 80, (255, 0, 0)), (304, 200, (0, 255, 0)), (200, 320, (250, 0, 0)))
    one = ProposeVerify(model)(image)
    for other in (ProposeVerify(model, batch_size=2), ProposeVerify(model, turns=8)):
        again = other(image)
        np.testing.assert_allclose(again.xy, one.xy)
        np.testing.assert_allclose(again.probabilities, one.probabilities, atol=0.02)


def test_nothing_there(model):
    found = ProposeVerify(model)(field())
    assert found.xy.shape == (0, 2) and found.probabilities.shape == (0, 3)


def test_settings_that_make_no_sense(model):
    with pytest.raises(ValueError, match="temperature must be above 0"):
        ProposeVerify(model, temperature=0)
    with pytest.raises(ValueError, match="turns must be 1, 2, 4 or 8"):
        ProposeVerify(model, turns=3)


def test_half_a_cell_at_the_edge_is_left_out(model):
    image = field((8, 200, (255, 0, 0)), (392, 80, (255, 0, 0)), (200, 200, (255, 0, 0)))
    inner = ProposeVerify(model, edge_px=12)(image)
    np.testing.assert_allclose(inner.xy, [(199.5, 199.5)], atol=1.1)
    assert len(ProposeVerify(model, edge_px=0)(image).xy) == 3


def test_only_what_could_be_mitotic_is_turned(model):
    looked = []
    decoder = ProposeVerify(model, turns=4, first_cut=0.6, batch_size=64)
    look = decoder._looks[0]
    decoder._looks[0] = lambda batch: (looked.append(batch.numpy()), look(batch))[1]
    cells = np.full((20, 80, 80, 3), GREY, np.uint8)
    cells[3] = (255, 0, 0)
    cells[3, 0, 0] = (255, 0, 99)
    cells[7] = (0, 255, 0)
    found = decoder.verify(cells)
    # 20 cells in a batch of 32; two of them over the cut, in three more views, in one batch of 8.
    assert [len(batch) for batch in looked] == [32, 8]
    corners = {(y, x): [0, 2, 4].index(place) for y in (0, 79) for x in (0, 79)
               for place in np.flatnonzero(looked[1][:, y, x, 2] == 99)}  # fmt: skip
    # Turned by half, mirrored, both.
    assert corners == {(79, 79): 0, (0, 79): 1, (79, 0): 2}
    e = np.exp([4.0, 0.0, 0.0])
    np.testing.assert_allclose(found[0], e / e.sum(), atol=1e-5)
    e = np.exp([4.0, 8.0, 0.0])
    np.testing.assert_allclose(found[3], e / e.sum(), atol=1e-5)


def with_a_second(model):
    """The same with a verifier that gives everything the same three logits: log 1, log 2 and log 5."""
    cell = keras.Input((80, 80, 3))
    nothing = 0.0 * keras.ops.mean(cell, axis=(1, 2))
    second = keras.Model(cell, nothing + np.log(np.array([1.0, 2.0, 5.0], np.float32)), name="verifier2")
    window = keras.Input((128, 128, 3))
    crop = keras.layers.Cropping2D(24)(window)
    one = model.get_layer("verifier")
    return keras.Model(window, {"heat": model.get_layer("proposer")(window), "logits": one(crop) + second(crop)})


def test_the_verifiers_mean_counts_where_the_first_sees_a_chance(model):
    cells = np.full((2, 80, 80, 3), GREY, np.uint8)
    cells[1] = (255, 0, 0)
    first_of_grey = np.exp([4.0, 0.0, 0.0]) / np.exp([4.0, 0.0, 0.0]).sum()
    first_of_red = np.exp([4.0, 8.0, 0.0]) / np.exp([4.0, 8.0, 0.0]).sum()
    both = with_a_second(model)
    found = ProposeVerify(both, turns=2, first_cut=0.6).verify(cells)
    # Grey has 3.5 % at first sight and is shown to no other; red is seen twice by each.
    np.testing.assert_allclose(found[0], first_of_grey, atol=1e-5)
    np.testing.assert_allclose(found[1], (first_of_red + [1 / 8, 2 / 8, 5 / 8]) / 2, atol=1e-5)
    assert ProposeVerify(both, turns=2).other_looks() == [(1, 0), (0, 1), (1, 1)]
    alone = ProposeVerify(both, turns=2, verifiers=1, first_cut=0.6)
    np.testing.assert_allclose(alone.verify(cells)[1], first_of_red, atol=1e-5)
    for wrong in (0, 3):
        with pytest.raises(ValueError, match="1 to 2"):
            ProposeVerify(both, verifiers=wrong)


def test_the_views_are_the_eight_ways_to_turn_a_square(model):
    """A verifier that answers to the upper left corner sees, in eight views, all corners, each twice."""
    cell = keras.Input((80, 80, 3))
    logits = keras.ops.stack([cell[:, 0, 1, 0], cell[:, 0, 1, 1], cell[:, 0, 1, 2]], axis=-1) * 10.0
    corner = keras.Model(cell, logits, name="verifier")
    whole = keras.Model(model.input, {"heat": model.output["heat"], "logits": corner(model.input[:, 24:104, 24:104])})
    decoder = ProposeVerify(whole)
    image = np.zeros((1, 80, 80, 3), np.uint8)
    places = [(0, 1), (0, 78), (79, 1), (79, 78), (1, 0), (78, 0), (1, 79), (78, 79)]
    for value, (row, column) in enumerate(places, start=1):
        image[0, row, column, 0] = 25 * value
    seen = []
    for view in range(8):
        p = decoder._look(turned(image, view), 0)[0]
        seen.append(round(np.log(p[0] / p[1]) * 255 / 10 / 25))
    assert sorted(seen) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert seen[:4] == [1, 4, 2, 3]
