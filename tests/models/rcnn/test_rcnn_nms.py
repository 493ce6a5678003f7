"""Proposals and detections against greedy suppression in NumPy."""

import keras
import numpy as np
import tensorflow as tf

from mitozoo.models.layers.rcnn.boxes import stepped
from mitozoo.models.layers.rcnn.nms import Detections, Proposals

SIZES, RATIOS, TILE = (32, 64, 128, 256), (0.5, 1.0, 2.0), 128


def overlap(a, b):
    wide, high = (max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in range(2))
    both = wide * high
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / max(union, 1e-9)


def greedy(boxes, scores, limit, most):
    """Indices that are kept, best first."""
    kept = []
    for i in np.argsort(-scores, kind="stable"):
        if len(kept) < most and all(overlap(boxes[i], boxes[j]) <= limit for j in kept):
            kept.append(i)
    return kept


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def answers(layer, generator, tiles=2):
    counts = [len(anchors) for anchors in layer.anchors]
    logits = [generator.normal(size=(tiles, n)).astype("float32") for n in counts]
    return logits, [generator.normal(size=(tiles, n, 4)).astype("float32") for n in counts]


def test_proposals_are_those_of_numpy():
    layer = Proposals(TILE, SIZES, RATIOS, most=60, most_level=200)
    logits, steps = answers(layer, np.random.default_rng(0))
    boxes, scores = (np.array(x) for x in layer(logits, steps))
    assert boxes.shape == (2, 60, 4)
    for tile in range(2):
        wanted = []
        for anchors, level_logits, level_steps in zip(layer.anchors, logits, steps, strict=True):
            best = np.argsort(-level_logits[tile])[:200]
            moved = np.clip(np.array(stepped(anchors[best], level_steps[tile, best])), 0, TILE)
            chance = sigmoid(level_logits[tile, best])
            wanted += [(chance[i], *moved[i]) for i in greedy(moved, chance, 0.7, 60)]
        wanted = np.array(sorted(wanted, reverse=True)[:60])
        np.testing.assert_allclose(scores[tile], wanted[:, 0], rtol=1e-5)
        np.testing.assert_allclose(boxes[tile], wanted[:, 1:], atol=1e-3)


def test_where_there_are_fewer_rows_are_minus_one():
    layer = Proposals(64, SIZES, RATIOS, most=300)
    logits, steps = answers(layer, np.random.default_rng(0), tiles=1)
    # All anchors of a level become the same box.
    steps = [np.zeros_like(s) for s in steps]
    layer.anchors = [np.tile(np.array([8, 8, 40, 40], "float32"), (len(a), 1)) for a in layer.anchors]
    boxes, scores = (np.array(x[0]) for x in layer(logits, steps))
    assert (boxes[:4] == [8, 8, 40, 40]).all() and (boxes[4:] == -1).all()
    np.testing.assert_allclose(scores[:4], sorted((sigmoid(x.max()) for x in logits), reverse=True), rtol=1e-5)
    assert (scores[4:] == -1).all()


def test_half_precision_rounds_no_box():
    wanted_layer = Proposals(TILE, SIZES, RATIOS, most=20)
    logits, steps = answers(wanted_layer, np.random.default_rng(1))
    wanted = wanted_layer(logits, steps)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = Proposals(TILE, SIZES, RATIOS, most=20)(logits, steps)
    finally:
        keras.config.set_dtype_policy("float32")
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_detections_are_those_of_numpy():
    generator = np.random.default_rng(2)
    corner = generator.uniform(0, 90, (1, 80, 2))
    regions = np.concatenate([corner, corner + generator.uniform(10, 38, (1, 80, 2))], axis=-1).astype("float32")
    region_scores = generator.uniform(0.1, 1, (1, 80)).astype("float32")
    region_scores[:, 70:], regions[:, 70:] = -1, -1
    logits, steps = generator.normal(size=(1, 80, 2)), generator.normal(size=(1, 80, 4)) / 4
    boxes, scores = Detections(TILE, most=40, iou=0.3, score=0.4)(
        regions, region_scores, logits.astype("float32"), steps.astype("float32")
    )
    moved = np.clip(np.array(stepped(regions[0], steps[0].astype("float32"))), 0, TILE)
    chance = sigmoid(logits[0, :, 1] - logits[0, :, 0])
    chance[70:] = 0
    kept = [i for i in greedy(moved, chance, 0.3, 40) if chance[i] > 0.4]
    assert 5 < len(kept) < 40
    np.testing.assert_allclose(boxes[0, : len(kept)], moved[kept], atol=1e-3)
    np.testing.assert_allclose(scores[0, : len(kept)], chance[kept], rtol=1e-5)
    assert (np.array(scores[0, len(kept) :]) == -1).all() and (np.array(boxes[0, len(kept) :]) == -1).all()


def test_both_work_in_a_graph_whatever_the_batch():
    layer = Proposals(TILE, SIZES, RATIOS, most=20)
    shapes = [len(anchors) for anchors in layer.anchors]
    signature = [[tf.TensorSpec((None, n)) for n in shapes], [tf.TensorSpec((None, n, 4)) for n in shapes]]
    graph = tf.function(lambda logits, steps: layer(logits, steps), input_signature=signature)
    for tiles in (1, 3):
        given = answers(layer, np.random.default_rng(tiles), tiles)
        for one, other in zip(graph(*given), layer(*given), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


def test_settings_are_saved():
    one = Proposals(TILE, SIZES, RATIOS, most=20, most_level=50, iou=0.6, sampled=9)
    assert Proposals.from_config(one.get_config()).get_config() == one.get_config()
    two = Detections(TILE, most=5, iou=0.2, score=0.3)
    assert Detections.from_config(two.get_config()).get_config() == two.get_config()
