"""PartMitosis: the transfer function by NumPy, what learns from which loss, and parameters by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from counts import dense_convolutions, fcn32, mobilenet, vgg16
from symbolic import parameters

from mitozoo.base.errors import UnknownNameError
from mitozoo.models import registry
from mitozoo.models.layers.transfer_score import GAMMAS
from mitozoo.training.pixel_losses import concentric_loss, softmax_loss

SMALL = {"encoder": "mobilenet", "alpha": 0.25, "width": 3, "hidden": 5, "dropout": 0.0}
SLIM = {"encoder": "mobilenet", "width": 40}


def image(count=1):
    return np.random.default_rng(0).random((count, 32, 64, 3)).astype("float32")


def gamma_by_hand(width, hidden, depth):
    """Dense layers from a class' weights and bias, width + 1 numbers, to as many."""
    sizes = [width + 1, *[hidden] * depth, width + 1]
    return sum(a * b + b for a, b in zip(sizes, sizes[1:], strict=False))


@pytest.mark.parametrize("gamma", sorted(GAMMAS))
def test_parameters_by_hand(gamma):
    depth = int(gamma[0]) - 1
    both = 2 * (mobilenet(0.25) + dense_convolutions(256, 3)) + 3 * 2 + 2
    assert parameters("partmitosis", **SMALL, gamma=gamma) == both + gamma_by_hand(3, 5, depth)


def test_parameters_of_the_paper_of_no_transfer_and_of_the_slim_one():
    concentric, strong = vgg16() + fcn32(512, 4096), vgg16() + dense_convolutions(512, 4096)
    whole = concentric + strong + gamma_by_hand(4096, 256, 1)
    assert parameters("partmitosis") == registry.spec("partmitosis").params == whole == 270_631_299
    assert parameters("partmitosis", gamma="none") == 2 * concentric
    assert 2 * parameters("partmitosis", **SLIM) <= 22e6


@pytest.mark.parametrize("gamma", sorted(GAMMAS))
def test_the_weights_of_the_strong_scores_by_numpy(gamma):
    model = registry.build("partmitosis", **SMALL, gamma=gamma)
    for weight in model.get_layer("strong").get_layer("score").weights:
        weight.assign(np.random.default_rng(sum(weight.shape)).normal(size=weight.shape))
    score = model.get_layer("concentric").get_layer("score")
    score.kernel.assign(np.random.default_rng(1).normal(size=(1, 1, 3, 2)))
    score.bias.assign([0.3, -0.7])
    # One class a row: its three weights and its bias.
    vectors = np.column_stack([score.kernel.numpy()[0, 0].T, score.bias.numpy()])
    transfer = model.get_layer("strong").get_layer("score")
    kernels = [w.numpy() for w in transfer.weights if w.name == "kernel"]
    biases = [w.numpy() for w in transfer.weights if w.name == "bias"]
    assert len(kernels) == int(gamma[0])
    for i, (kernel, bias) in enumerate(zip(kernels, biases, strict=True)):
        vectors = vectors @ kernel + bias
        if i + 1 < len(kernels):
            slope = 0.01 if "leaky" in gamma else 0.0
            vectors = np.where(vectors > 0, vectors, slope * vectors)
    features = np.random.default_rng(2).normal(size=(1, 2, 2, 3)).astype("float32")
    wanted = features @ vectors[:, :3].T + vectors[:, 3]
    np.testing.assert_allclose(transfer(features), wanted, rtol=1e-4, atol=1e-5)


def moved_by(model, part):
    """The variables that get a gradient from the loss of one branch, as (branch, variable)."""
    labels = np.zeros((1, 32, 64), "uint8")
    labels[:, 8:20, 10:30] = 1
    owners = [(branch, v) for branch in ("concentric", "strong") for v in model.get_layer(branch).trainable_variables]
    with tf.GradientTape() as tape:
        logits = model(image(), training=True)[part]
        loss = tf.reduce_sum((concentric_loss if part == "concentric" else softmax_loss)(labels, logits))
    found = tape.gradient(loss, [v.value for _, v in owners])
    return [owner for owner, g in zip(owners, found, strict=True) if g is not None and np.abs(g).max() > 0]


def test_with_the_stop_each_loss_moves_its_own_branch_alone():
    model = registry.build("partmitosis", **SMALL)
    for part in ("concentric", "strong"):
        moved = moved_by(model, part)
        assert {branch for branch, _ in moved} == {part}
    # The transfer function learns: every kernel of it.
    kernels = {v.path for v in model.get_layer("strong").get_layer("score").weights if v.name == "kernel"}
    assert kernels <= {v.path for branch, v in moved if branch == "strong"}


def test_without_the_stop_the_strong_loss_moves_the_concentric_scores_and_nothing_else_there():
    model = registry.build("partmitosis", **SMALL, stop_gradient=False)
    score = model.get_layer("concentric").get_layer("score")
    moved = [v for branch, v in moved_by(model, "strong") if branch == "concentric"]
    assert {id(v) for v in moved} == {id(score.kernel), id(score.bias)}


def test_without_a_transfer_the_branches_have_nothing_in_common():
    model = registry.build("partmitosis", **SMALL, gamma="none", stop_gradient=False)
    assert {branch for branch, _ in moved_by(model, "strong")} == {"strong"}
    before = model(image())["strong"].numpy()
    model.get_layer("concentric").get_layer("score").bias.assign([5.0, -5.0])
    np.testing.assert_array_equal(model(image())["strong"], before)


def test_no_variable_is_in_both_branches():
    model = registry.build("partmitosis", **SMALL)
    one, other = ({id(v) for v in model.get_layer(name).weights} for name in ("concentric", "strong"))
    assert not one & other and len(one | other) == len(model.weights)


def test_the_strong_branch_trained_alone_leaves_the_concentric_one_as_it_is():
    model = registry.build("partmitosis", **SMALL)
    strong, concentric = model.get_layer("strong"), model.get_layer("concentric")
    kept, first = concentric.get_weights(), strong.get_weights()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    strong.compile(keras.optimizers.SGD(0.1), loss, run_eagerly=True)
    strong.train_on_batch(image(2), np.ones((2, 32, 64)))
    for before, after in zip(kept, concentric.get_weights(), strict=True):
        np.testing.assert_array_equal(after, before)
    assert any((a != b).any() for a, b in zip(first, strong.get_weights(), strict=True))
    # It follows what the concentric branch becomes later.
    before = model(image())["strong"].numpy()
    concentric.get_layer("score").bias.assign([2.0, -2.0])
    assert np.abs(model(image())["strong"] - before).max() > 1e-6
    np.testing.assert_array_equal(model(image())["strong"], strong(image()))


def test_an_unknown_shape_of_the_transfer_function():
    with pytest.raises(UnknownNameError) as error:
        registry.build("partmitosis", **SMALL, gamma="2-layer-leaky")
    assert str(error.value) == (
        "No shape of the transfer function named '2-layer-leaky'. Did you mean '2-layer-leaky-relu'?"
    )
