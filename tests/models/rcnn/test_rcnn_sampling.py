"""What a training step draws, and what it should say."""

import numpy as np

from mitozoo.models.layers.rcnn.sampling import RoiTargets, RpnTargets, balanced_sample, region_masks

NONE = [-1.0, -1, -1, -1]


def boxes(*rows):
    return np.array([rows], "float32")


def test_positives_come_first_and_negatives_fill_up():
    labels = np.array([[1] * 5 + [0] * 10 + [-1] * 5, [1] + [0] * 2 + [-1] * 17, [-1] * 20])
    chances = np.random.default_rng(0).random((3, 20)).astype("float32")
    index, positive, drawn = (np.array(x) for x in balanced_sample(labels, chances, total=8, most_positive=3))
    assert positive.sum(axis=1).tolist() == [3, 1, 0]
    assert drawn.sum(axis=1).tolist() == [8, 3, 0]
    for row in range(3):
        chosen = index[row][drawn[row]]
        assert len(set(chosen)) == len(chosen)
        assert (labels[row][chosen] == positive[row][drawn[row]]).all()
        assert (np.diff(positive[row].astype(int)) <= 0).all() and (np.diff(drawn[row].astype(int)) <= 0).all()
    # Those with the highest chances.
    assert sorted(index[0, :3]) == sorted(np.argsort(-chances[0, :5])[:3])
    assert sorted(index[0, 3:]) == sorted(5 + np.argsort(-chances[0, 5:15])[:5])


def anchors():
    """Four hundred anchors of 20 px, 10 px apart."""
    y, x = np.mgrid[:20, :20].reshape(2, -1) * 10.0
    return np.stack([x, y, x + 20, y + 20], axis=1).astype("float32")


def test_anchors_to_learn_from():
    truths = boxes([50, 60, 70, 80], [103, 100, 123, 124], NONE)
    index, positive, drawn, steps = (np.array(x[0]) for x in RpnTargets(anchors(), total=40)(truths))
    found = anchors()[index]
    # The anchor that is the first truth; and the best of the second, with 17 * 20 of 400 + 480 - 340.
    assert sorted(found[positive == 1].tolist()) == [[50, 60, 70, 80], [100, 100, 120, 120]]
    assert drawn.sum() == 40
    second = found[:2].tolist().index([100, 100, 120, 120])
    np.testing.assert_allclose(steps[1 - second], [0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(steps[second], [0.15 / 0.1, 0.1 / 0.1, 0, np.log(1.2) / 0.2], rtol=1e-5, atol=1e-6)
    assert not steps[2:].any()
    # No negative overlaps a truth by 0.3: 10 px beside it is a third.
    beside = {(40, 60), (60, 60), (50, 50), (50, 70)}
    assert not beside & {tuple(box[:2]) for box in found[positive == 0]}


def test_a_tile_without_truths_is_all_negative():
    _, positive, drawn, steps = RpnTargets(anchors(), total=40)(boxes(NONE, NONE))
    assert np.array(drawn).sum() == 40 and not np.array(positive).any() and not np.array(steps).any()


def test_what_is_drawn_depends_on_the_seed_alone():
    truths = boxes([50, 60, 70, 80])
    layers = [RpnTargets(anchors(), total=40, seed=seed) for seed in (3, 3, 4)]
    first, same, other = (np.array(layer(truths)[0]) for layer in layers)
    assert (first == same).all() and (first != other).any()
    assert (np.array(layers[0](truths)[0]) != first).any()
    # As the training loop does it at every epoch.
    for layer in layers[:2]:
        layer.seed_generator.state.assign(np.array([77, 0], "uint32"))
    assert (np.array(layers[0](truths)[0]) == np.array(layers[1](truths)[0])).all()


def test_regions_to_learn_from():
    regions = boxes([0, 0, 20, 20], [2, 0, 22, 20], [30, 30, 50, 50], [12, 0, 32, 20], NONE, NONE)
    scores = np.array([[0.9, 0.8, 0.7, 0.6, -1, -1]], "float32")
    truths = boxes([0, 0, 20, 20], NONE)
    masks = -np.ones((1, 2, 28, 28), "float32")
    masks[0, 0] = np.arange(28)[None] < 14
    layer = RoiTargets(total=8, positive_share=0.5)
    found, positive, drawn, steps, seen = (np.array(x[0]) for x in layer(regions, scores, truths, masks))
    # Of eight rows three are none; the truth is a region too.
    assert drawn.tolist() == [1] * 5 + [0] * 3
    assert sorted(found[positive == 1].tolist()) == [[0, 0, 20, 20], [0, 0, 20, 20], [2, 0, 22, 20]]
    assert sorted(found[(drawn == 1) & (positive == 0)].tolist()) == [[12, 0, 32, 20], [30, 30, 50, 50]]
    moved = found.tolist().index([2, 0, 22, 20])
    np.testing.assert_allclose(steps[moved], [-0.1 / 0.1, 0, 0, 0], rtol=1e-5, atol=1e-6)
    assert seen.shape == (4, 28, 28)
    # Moved by 2 of 20 px the left half ends at 8 of 20: 11.2 of 28 pixels; the last tenth lies outside the truth.
    np.testing.assert_array_equal(seen[moved], np.tile(np.arange(28) < 11, (28, 1)))
    assert (seen[3] == -1).all()


def test_one_region_in_four_is_positive_at_most():
    regions = np.zeros((1, 300, 4), "float32") + np.array([0, 0, 20, 20], "float32")
    regions[0, 150:] += 100
    layer = RoiTargets()
    truths, masks = boxes([0, 0, 20, 20]), np.ones((1, 1, 28, 28), "float32")
    _, positive, drawn, _, seen = layer(regions, np.ones((1, 300), "float32"), truths, masks)
    assert (np.array(positive).sum(), np.array(drawn).sum()) == (19, 78)
    assert seen.shape == (1, 19, 28, 28) and np.array(seen).min() == 1


def test_masks_are_those_of_the_matched_truth_of_the_same_tile():
    # Four truths in two tiles with masks of one number each; what is not known stays so.
    masks = np.array([[0, 1], [1, -1]], "float32")[:, :, None, None] * np.ones((2, 2, 4, 4), "float32")
    truths = np.tile(np.array([0, 0, 8, 8], "float32"), (2, 2, 1))
    found = np.array(region_masks(truths, truths, np.array([[1, 0], [1, 0]]), masks))
    assert found[:, :, 0, 0].tolist() == [[1, 0], [-1, 1]]
    bigger = np.tile(np.array([-8, 0, 8, 8], "float32"), (2, 2, 1))
    found = np.array(region_masks(bigger, truths, np.array([[1, 1], [0, 0]]), masks))
    np.testing.assert_array_equal(found[1, 0], np.tile([0, 0, 1, 1], (4, 1)))
