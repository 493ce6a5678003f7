"""From fields to candidates."""

import numpy as np
import pytest
import tensorflow as tf

from mitozoo.inference.decoders import decoder
from mitozoo.inference.decoders.classify import Classify
from mitozoo.inference.decoders.locate_classify import TURNS, LocateClassify
from mitozoo.inference.merging import merge_hits
from mitozoo.models import registry


@pytest.fixture(scope="module")
def stn():
    model = registry.build("stn")
    generator = np.random.default_rng(0)
    head = model.get_layer("localizer").get_layer("head").get_layer("dense6")
    head.set_weights([generator.normal(0, 0.05, w.shape).astype("float32") + w for w in head.get_weights()])
    return model


def test_the_shared_trunk_gives_what_each_window_gives_alone(stn):
    field = np.random.default_rng(1).integers(0, 256, (64 * 4 + 64, 64 * 3 + 64, 3), np.uint8)
    found = LocateClassify(stn, block_windows=2)._locate_all(tf.constant(field), 3, 4)
    windows = np.stack([field[y : y + 128, x : x + 128] for x, y in found[1].astype(int)]) / np.float32(255)
    wanted = stn.get_layer("localizer")(windows)
    assert len(windows) == 12
    # The blocks come in rows of two: every window of the 3 x 4 grid is there once.
    assert sorted(map(tuple, found[1].astype(int).tolist())) == [(x * 64, y * 64) for x in range(3) for y in range(4)]
    np.testing.assert_allclose(found[0], wanted, atol=1e-5)


def test_cells_of_a_field_are_what_the_network_cuts_from_the_window(stn):
    field = np.random.default_rng(2).integers(0, 256, (128, 128, 3), np.uint8)
    theta = np.array([[[0.4, 0.1, 0.05], [-0.1, 0.4, -0.1]]], "float32")
    found = LocateClassify(stn)._cells(tf.constant(field), tf.zeros((1, 2)), tf.constant(theta))
    wanted = stn.get_layer("sampler")(field[None] / np.float32(255), theta)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_the_eight_turns_are_all_there():
    assert len({tuple(np.ravel(turn)) for turn in TURNS}) == 8
    assert all(abs(round(np.linalg.det(turn))) == 1 for turn in TURNS)


@pytest.mark.parametrize("size", [(1, 1), (20, 300), (129, 64)])
def test_any_size_of_field(stn, size):
    field = np.full((*size, 3), 200, np.uint8)
    found = LocateClassify(stn, cut=0.0)(field)
    assert (found.xy >= 0).all() and (found.xy <= [size[1] - 1, size[0] - 1]).all()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-5)


def test_blocks_and_batches_change_nothing(stn):
    field = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    one = LocateClassify(stn, cut=0.3)(field)
    other = LocateClassify(stn, cut=0.3, block_windows=3, batch_size=16)(field)
    np.testing.assert_allclose(one.xy, other.xy, atol=1e-2)
    np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-4)


def test_stride_must_fit(stn):
    with pytest.raises(ValueError, match="stride_px must be a multiple of 8 and at most half the window."):
        LocateClassify(stn, stride_px=100)


def plateau_decoder(centres, monkeypatch) -> tuple[Classify, np.ndarray]:
    """A classifier whose map is 1 within 32 px of the given centres."""
    field = np.zeros((400, 600, 3), np.uint8)
    found = Classify(registry.build("cnn12"))
    step = found.step_px
    y, x = np.mgrid[: 400 // step + 1, : 600 // step + 1] * step - 0.5
    mitotic = np.zeros(x.shape)
    for cx, cy in centres:
        mitotic = np.maximum(mitotic, (np.abs(x - cx) <= 32) & (np.abs(y - cy) <= 32))
    table = np.stack([1 - mitotic, mitotic, 0 * mitotic], axis=-1).astype(np.float32)
    monkeypatch.setattr(found, "probability_map", lambda _: table)
    return found, field


def test_a_plateau_gives_its_centre(monkeypatch):
    found, field = plateau_decoder([(200, 150), (450, 300)], monkeypatch)
    candidates = found(field)
    order = np.argsort(candidates.xy[:, 0])
    np.testing.assert_allclose(candidates.xy[order], [(200, 150), (450, 300)], atol=8)
    np.testing.assert_allclose(candidates.probabilities, [[0, 1, 0]] * 2, atol=1e-6)


def test_a_map_of_nothing_at_no_threshold(monkeypatch):
    found, field = plateau_decoder([], monkeypatch)
    found.cut = 0.0
    candidates = found(field)
    assert np.isfinite(candidates.xy).all()
    np.testing.assert_array_equal(candidates.probabilities[:, 0], 1)


def test_the_map_is_what_each_window_gives_alone():
    model = registry.build("cnn12")
    field = np.random.default_rng(4).integers(0, 256, (256, 320, 3), np.uint8)
    table = Classify(model, batch_size=9).probability_map(field)
    for row, column in ((4, 4), (5, 7), (8, 12), (9, 13)):
        x, y = column * 16 - 64, row * 16 - 64
        window = field[y : y + 128, x : x + 128][None] / np.float32(255)
        np.testing.assert_allclose(table[row, column], tf.nn.softmax(model(window)["logits"])[0], atol=1e-5)


def test_a_task_without_decoder():
    with pytest.raises(ValueError, match="No decoder for the task 'dream'."):
        decoder("dream", registry.build("cnn12"), {})


def test_merging_takes_the_strongest_first_whatever_the_order():
    xy = np.array([[0.0, 0], [8, 0], [16, 0], [100, 0]])
    scores = np.array([0.5, 0.9, 0.6, 0.9])
    groups = merge_hits(xy, scores, 10)
    assert [group.tolist() for group in groups] == [[1, 2, 0], [3]]
    for order in ([3, 2, 1, 0], [2, 0, 3, 1]):
        again = merge_hits(xy[order], scores[order], 10)
        assert [[order[i] for i in group] for group in again] == [[1, 2, 0], [3]]


def test_merging_nothing():
    assert merge_hits(np.zeros((0, 2)), np.zeros(0), 10) == []
