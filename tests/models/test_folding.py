"""Batch normalisation inside convolutions: the same answers, worked out by hand and layer by layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from mitozoo.models import registry, zoo
from mitozoo.models.folding import folded


def shaken(model: keras.Model, seed: int = 0) -> keras.Model:
    """The model with other numbers in all its batch normalisations, as training leaves them."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights(
                [
                    rng.uniform(0.5, 2, value.shape) * rng.choice([-1, 1], value.shape)
                    for value in layer.get_weights()[:2]
                ]
                + [rng.normal(size=layer.moving_mean.shape), rng.uniform(0.2, 3, layer.moving_variance.shape)]
            )
    return model


def normalisations(model: keras.Model) -> list[str]:
    return [item.name for item in model._flatten_layers() if isinstance(item, layers.BatchNormalization)]


def test_by_hand():
    image = keras.Input((1, 1, 1))
    x = layers.Conv2D(1, 1, name="conv")(image)
    model = keras.Model(image, layers.BatchNormalization(epsilon=0.75, name="norm")(x))
    model.get_layer("conv").set_weights([np.full((1, 1, 1, 1), 2.0), np.array([1.0])])
    # Scale 3, shift 5, mean 7, variance 0.25: 3 / sqrt(0.25 + 0.75) = 3; kernel 2 * 3, bias (1 - 7) * 3 + 5.
    model.get_layer("norm").set_weights([np.array([v]) for v in (3.0, 5.0, 7.0, 0.25)])
    found = folded(model)
    kernel, bias = found.get_layer("conv").get_weights()
    assert (kernel.item(), bias.item()) == (6.0, -13.0)
    assert normalisations(found) == []
    assert found(np.full((1, 1, 1, 1), 10.0)).numpy().item() == 6 * 10 - 13


@pytest.mark.parametrize(
    "convolution",
    [
        lambda: layers.Conv2D(5, 3, strides=2, padding="same", use_bias=False),
        lambda: layers.Conv2D(5, 3, dilation_rate=2),
        lambda: layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
    ],
)
@pytest.mark.parametrize(("scale", "center"), [(True, True), (False, True), (True, False)])
def test_kinds_of_convolution(convolution, scale, center):
    image = keras.Input((12, 10, 4))
    x = layers.BatchNormalization(scale=scale, center=center)(convolution()(image))
    model = keras.Model(image, layers.ReLU()(x))
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.3, 1.5, value.shape) for value in model.get_weights()])
    found = folded(model)
    assert normalisations(model)
    assert normalisations(found) == []
    batch = rng.normal(size=(2, 12, 10, 4)).astype(np.float32)
    np.testing.assert_allclose(found(batch), model(batch, training=False), rtol=1e-4, atol=1e-5)


def test_what_others_read_too_stays():
    image = keras.Input((8, 8, 3))
    both, bent, last = layers.Conv2D(4, 1, name="both"), layers.Conv2D(4, 1, activation="relu"), layers.Conv2D(4, 1)
    shared = layers.Conv2D(3, 1)
    x = both(image)
    a = layers.BatchNormalization(name="read_twice")(x)
    b = layers.BatchNormalization(name="bent")(bent(layers.Add()([x, a])))
    c = last(b)
    d = layers.BatchNormalization(name="used_twice")(shared(image))
    d = layers.Add()([d, shared(d)])
    first = layers.BatchNormalization(name="first")(layers.Concatenate()([c, d]))
    rows = layers.BatchNormalization(axis=1, name="over_rows")(layers.Conv2D(8, 1)(image))
    norm = layers.BatchNormalization(name="of_two")
    two = [norm(layers.Conv2D(4, 1)(image)), norm(layers.Conv2D(4, 1)(image))]
    model = shaken(keras.Model(image, [*two, rows, first, c, layers.BatchNormalization(name="output_too")(c)]))
    assert folded(model) is model
    assert sorted(normalisations(model)) == [
        "bent",
        "first",
        "of_two",
        "output_too",
        "over_rows",
        "read_twice",
        "used_twice",
    ]


def test_models_inside_models():
    inside = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()]
    )
    image = keras.Input((8, 8, 3), name="image")
    plain = layers.Conv2D(4, 1, name="plain")
    graph = keras.Model(inside.inputs, layers.BatchNormalization()(inside.outputs[0]), name="graph")
    model = shaken(keras.Model(image, {"a": plain(graph(image)), "b": graph(image)}))
    found = folded(model)
    batch = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    wanted, given = model(batch, training=False), found(batch, training=False)
    assert sorted(given) == ["a", "b"]
    for name in given:
        np.testing.assert_allclose(given[name], wanted[name], rtol=1e-4, atol=1e-5)
    # The first of two in a row.
    assert len(normalisations(found)) == 1
    assert found.get_layer("plain") is plain
    assert [tensor.name for tensor in found.inputs] == ["image"]


def test_nothing_to_fold():
    model = registry.build("cnn12")
    assert folded(model) is model
    assert folded("served") == "served"


def test_folding_twice_gives_the_same():
    model = shaken(registry.build("unet", widths=(4, 8, 8)))
    batch = np.random.default_rng(0).uniform(size=(1, 64, 64, 3)).astype(np.float32)
    once, again = folded(model), folded(model)
    np.testing.assert_array_equal(once(batch)["mask"], again(batch)["mask"])
    assert folded(once) is once


@pytest.mark.parametrize("name", ["scout", "segmitos-slim", "maskrcnn-slim"])
def test_zoo(name):
    model = zoo.load(name).model
    found = folded(model)
    assert not normalisations(found)
    side = model.input_shape[1] or 128
    batch = np.random.default_rng(0).uniform(size=(1, side, side, 3)).astype(np.float32)
    wanted, given = model(batch, training=False), found(batch, training=False)
    assert sorted(given) == sorted(wanted)
    for key in wanted:
        np.testing.assert_allclose(given[key], wanted[key], atol=1e-3, rtol=1e-3)


def test_search_and_export_use_it():
    from mitozoo.export.serving.signatures import Served
    from mitozoo.inference.predictor import Predictor

    loaded = zoo.load("scout")
    predictor = Predictor(loaded)
    assert not normalisations(predictor.decoders[0].proposer.network)
    served = Served(loaded, predictor.settings, threshold=0.5, cut=0.05, radius_px=30.0, int8=False, most_px=1_000_000)
    assert len(served.variables_of_model.kept) == len(folded(loaded.model).weights) < len(loaded.model.weights)


def test_kernels_that_int8_holds_are_held_after_folding_too():
    from mitozoo.export.serving.precision import Weights, in_int8

    model = folded(in_int8(zoo.load("scout")).model)
    weights = Weights(model, int8=True)
    pairs = zip(weights._replaced, weights.stored.whole, weights.stored.scales, strict=True)
    for variable, whole, scale in pairs:
        kernel = keras.ops.convert_to_numpy(variable)
        np.testing.assert_allclose(whole.numpy() * scale.numpy(), kernel, atol=1e-6 * np.abs(kernel).max())
