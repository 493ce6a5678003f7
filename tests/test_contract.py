"""What every architecture of the registry must keep."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import UnknownNameError
from mitozoo.models import registry
from mitozoo.training.losses import cross_entropy, guided_loss, heat_loss, heat_truth

MODELS = registry.names()


def windows(spec, count=4):
    generator = np.random.default_rng(0)
    return generator.random((count, spec.input_px, spec.input_px, 3)).astype("float32")


def test_there_are_models():
    assert MODELS == ["cnn12", "scout", "stn"]


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_those_of_the_spec(name):
    spec = registry.spec(name)
    assert registry.build(name).count_params() == spec.params
    assert spec.name == name
    assert spec.source


@pytest.mark.parametrize("name", MODELS)
def test_outputs_are_those_of_the_spec(name):
    spec = registry.spec(name)
    found = registry.build(name)(windows(spec))
    assert {key: tuple(value.shape[1:]) for key, value in found.items()} == dict(spec.outputs)


@pytest.mark.parametrize("name", MODELS)
def test_saved_weights_give_equal_outputs(name, tmp_path):
    spec = registry.spec(name)
    first, second = registry.build(name), registry.build(name)
    batch = windows(spec)
    first.save_weights(tmp_path / "a.weights.h5")
    assert not all(np.allclose(value, second(batch)[key]) for key, value in first(batch).items())
    second.load_weights(tmp_path / "a.weights.h5")
    for key, value in first(batch).items():
        np.testing.assert_array_equal(value, second(batch)[key])


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_lowers_the_loss(name):
    keras.utils.set_random_seed(0)
    spec, model = registry.spec(name), registry.build(name)
    batch, labels = windows(spec, 6), np.arange(6) % len(spec.classes)
    truth = np.tile(np.array([[0.5, 0, 0.2], [0, 0.5, -0.1]], "float32"), (6, 1, 1))
    optimizer = keras.optimizers.Adam(1e-4)

    def loss():
        # Normalised by the batch: a deep network with fresh statistics gives hardly any signal.
        found = model(batch, training=spec.task == "propose-verify")
        if "theta" in found:
            return tf.reduce_mean(guided_loss(truth, found["theta"], labels, found["logits"], kappa=0.1))
        loss = tf.reduce_mean(cross_entropy(labels, found["logits"]))
        if "heat" in found:
            side = spec.outputs["heat"][0]
            truth_heat = heat_truth(truth[:, 0, 2], truth[:, 1, 2], labels > 0, side=side, stride_px=8)
            loss += tf.reduce_mean(heat_loss(truth_heat, found["heat"]))
        return loss

    before = float(loss())
    for _ in range(3):
        with tf.GradientTape() as tape:
            value = loss()
        optimizer.apply(tape.gradient(value, model.trainable_variables), model.trainable_variables)
    assert float(loss()) < before


@pytest.mark.parametrize("name", MODELS)
def test_an_unknown_setting_is_named(name):
    with pytest.raises(UnknownNameError) as error:
        registry.build(name, clases=3)
    assert str(error.value) == f"No setting of {name} named 'clases'. Did you mean 'classes'?"


def test_an_unknown_model_is_named():
    with pytest.raises(UnknownNameError) as error:
        registry.build("sttn")
    assert str(error.value) == "No model named 'sttn'. Did you mean 'stn'?"


def test_a_name_is_registered_once():
    spec = registry.spec("stn")
    with pytest.raises(ValueError, match="A model named 'stn' is registered already."):
        registry.register(spec)(lambda: None)


def test_a_fresh_stn_looks_at_the_middle_at_half_scale():
    theta = registry.build("stn")(windows(registry.spec("stn")))["theta"]
    np.testing.assert_array_equal(theta, np.tile([[0.5, 0, 0], [0, 0.5, 0]], (4, 1, 1)))
