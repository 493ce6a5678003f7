"""Targets of Mask R-CNN, and that it learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.points import NON_MITOTIC
from mitozoo.data.synthetic import draw_field
from mitozoo.inference.decoders import decoder
from mitozoo.models import registry
from mitozoo.training.rcnn_trainer import LOSSES, loss_of_output, targets_for_rcnn, trainer

SMALL = {"backbone": "mobilenet", "pyramid": 64, "head": 128, "proposals": 50, "rois": 24}
RADIUS_PX = 14


def blank(tiles=2, side=64, truths=3):
    return {
        "points": np.full((tiles, truths, 3), -1, "float32"),
        "mask": np.full((tiles, side, side), 255, "uint8"),
        "weak": np.zeros((tiles, side, side), "uint8"),
        "strong": np.zeros(tiles, "float32"),
    }


def test_targets_by_hand():
    targets = blank()
    # A pixel whose centre is (19, 29) covers up to (20, 30); the square of 7 px around it is 14 px wide.
    targets["points"][0, 0] = [19.5, 29.5, 7]
    targets["points"][0, 2] = [3.5, 62.5, 7]
    targets["weak"][0, 30:37, 13:27] = 1
    targets["weak"][0, 23:25, 13:20] = 255
    found = {key: np.array(value) for key, value in targets_for_rcnn(targets).items()}
    assert found["boxes"].tolist() == [
        [[13, 23, 27, 37], [-1] * 4, [0, 56, 11, 64]],
        [[-1] * 4] * 3,
    ]
    # The lower half, and what is not known in the upper left: two mask pixels for each of the tile.
    wanted = np.zeros((28, 28))
    wanted[14:], wanted[:4, :14] = 1, -1
    np.testing.assert_array_equal(found["masks"][0, 0], wanted)
    assert (found["masks"][0, 1] == -1).all() and (found["masks"][0, 2] == 0).all()
    assert (found["masks"][1] == -1).all()


def test_the_mask_is_the_chromatin_where_there_is_one():
    targets = blank()
    targets["points"][:, 0] = [31.5, 31.5, 14]
    targets["weak"][:] = 1
    targets["mask"][1], targets["strong"][1] = 0, 1
    targets["mask"][1, 30:34, 30:34] = 1
    masks = np.array(targets_for_rcnn(targets)["masks"])
    assert masks[0, 0].min() == 1
    assert masks[1, 0].sum() == 16 and masks[1, 0, 12:16, 12:16].min() == 1


@pytest.fixture(scope="module")
def fields():
    """Four drawn fields, three with a mitotic figure, all with a look-alike."""
    return [draw_field(192, seed=number, mitoses=int(number < 3), look_alikes=1) for number in range(4)]


def mitoses(field):
    return [(cell.x_px, cell.y_px, RADIUS_PX) for cell in field.cells if cell.label != NON_MITOTIC]


def as_data(fields, batch_size):
    """Tiles and targets as the contract of fields gives them, for ever."""
    points = np.full((len(fields), 16, 3), -1, "float32")
    for rows, field in zip(points, fields, strict=True):
        found = mitoses(field)
        rows[: len(found)] = np.reshape(found, (-1, 3))
    mask = np.stack([field.mask for field in fields])
    targets = {"points": points, "mask": mask, "weak": mask, "strong": np.ones(len(fields), "float32")}
    images = np.stack([field.image for field in fields]).astype("float32") / 255

    def prepare(image, targets):
        return {"image": image, **targets_for_rcnn(targets)}, {key: tf.zeros(tf.shape(image)[0]) for key in LOSSES}

    return tf.data.Dataset.from_tensor_slices((images, targets)).repeat().batch(batch_size).map(prepare)


@pytest.mark.slow
def test_it_learns_drawn_tiles_by_heart(fields):
    keras.utils.set_random_seed(0)
    model = registry.build("maskrcnn", **SMALL, tile_px=192)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.8
    learner = trainer(model)
    calls = []

    def counted(nothing, loss):
        calls.append(1)
        return loss_of_output(nothing, loss)

    learner.compile(keras.optimizers.Adam(1e-3), loss=dict.fromkeys(LOSSES, counted))
    data = as_data(fields, 4)
    learner.fit(data, steps_per_epoch=1, verbose=0, shuffle=False)
    traced = len(calls)
    history = learner.fit(data, steps_per_epoch=20, epochs=3, verbose=0, shuffle=False).history
    assert len(calls) == traced, "a later batch was traced again"
    assert history["loss"][2] < history["loss"][0] / 4
    for name in LOSSES:
        assert history[f"{name}_loss"][2] < history[f"{name}_loss"][0], name
    find = decoder("detect", model, {"tile_px": 192, "cut": 0.5})
    for field in fields:
        found = find(field.image)
        wanted = np.reshape(mitoses(field), (-1, 3))[:, :2]
        assert len(found.xy) == len(wanted)
        np.testing.assert_allclose(found.xy, wanted, atol=4)


def test_what_it_draws_depends_on_the_seed_and_the_weights_are_shared():
    keras.utils.set_random_seed(0)
    model = registry.build("maskrcnn", **SMALL | {"pyramid": 8, "head": 8}, tile_px=64)
    learner = trainer(model, truths=2)
    inputs = {
        "image": np.random.default_rng(0).random((1, 64, 64, 3)).astype("float32"),
        "boxes": np.array([[[8, 8, 38, 38], [-1, -1, -1, -1]]], "float32"),
        "masks": np.ones((1, 2, 28, 28), "float32"),
    }

    def losses(state):
        for layer in learner._flatten_layers():
            if getattr(layer, "seed_generator", None) is not None:
                layer.seed_generator.state.assign(np.array([state, 0], "uint32"))
        return {key: float(value[0]) for key, value in learner(inputs, training=False).items()}

    # Fresh heads say the same of every region; these do not.
    rpn = model.get_layer("rpn")
    rpn.set_weights([300 * w for w in rpn.get_weights()])
    first = losses(1)
    assert set(first) == set(LOSSES) and all(value > 0 for value in first.values())
    assert losses(1) == first and losses(2) != first
    learner.get_layer("rpn").set_weights([0 * w for w in rpn.get_weights()])
    assert not any(w.any() for w in rpn.get_weights())
    # Of logits of nought one loses ln 2, whatever is drawn.
    assert losses(1)["rpn_class"] == pytest.approx(np.log(2), rel=1e-6)
    assert len(learner.trainable_variables) == len(model.trainable_variables)


def test_a_tile_without_mitoses_has_no_loss_of_boxes_and_masks():
    model = registry.build("maskrcnn", **SMALL | {"pyramid": 8, "head": 8}, tile_px=64)
    inputs = {
        "image": np.full((1, 64, 64, 3), 0.5, "float32"),
        "boxes": np.full((1, 2, 4), -1, "float32"),
        "masks": np.full((1, 2, 28, 28), -1, "float32"),
    }
    losses = {key: float(value[0]) for key, value in trainer(model, truths=2)(inputs).items()}
    assert losses["rpn_box"] == losses["box"] == losses["mask"] == 0
    assert losses["rpn_class"] > 0 and losses["class"] > 0
