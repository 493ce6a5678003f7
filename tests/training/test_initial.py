"""Weights that a training takes over from other ones."""

import json

import keras
import numpy as np
import pytest

from mitozoo.base.errors import UnknownNameError, WeightsError
from mitozoo.models import registry
from mitozoo.training.freezing import freeze
from mitozoo.training.initial import fresh_weights, take_over
from mitozoo.training.recipe import recipe


def branch(name, width=3):
    x = inner = keras.Input((4,))
    x = keras.layers.Dense(width, name="first")(x)
    return keras.Model(inner, keras.layers.Dense(2, name="second")(x), name=name)


def whole(*branches):
    field = keras.Input((4,))
    return keras.Model(field, [item(field) for item in branches], name="whole")


def test_layers_of_one_name_in_two_branches_are_told_apart():
    source = whole(branch("left"), branch("right"))
    target = whole(branch("left"), branch("right"))
    assert take_over(target, source, "zoo:whole") == 8
    for mine, other in zip(target.get_weights(), source.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_only_what_fits_is_taken():
    source, target = whole(branch("left", 5)), whole(branch("left", 3), branch("right", 5))
    before = target.get_layer("right").get_weights()
    # The bias of the second layer alone has one shape in both.
    assert take_over(target, source, "zoo:other") == 1
    for mine, old in zip(target.get_layer("right").get_weights(), before, strict=True):
        np.testing.assert_array_equal(mine, old)


@pytest.mark.parametrize("name", ["", "model.weights.h5", "bare/model.weights.h5"])
def test_a_run_or_its_weights_are_where_another_begins(tmp_path, name):
    old = registry.build("cnn12")
    (tmp_path / "bare").mkdir()
    for folder in (tmp_path, tmp_path / "bare"):
        old.save_weights(folder / "model.weights.h5")
    record = {"model": "cnn12", "settings": {}, "classes": list(registry.spec("cnn12").classes)}
    (tmp_path / "run.json").write_text(json.dumps(record))
    arrays = fresh_weights(recipe("cnn12", "quick"), None, str(tmp_path / name))
    for mine, other in zip(arrays, old.get_weights(), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-6)


def test_nothing_that_fits_is_an_error():
    with pytest.raises(WeightsError) as error:
        take_over(whole(branch("left")), branch("up", 7), "zoo:up")
    assert str(error.value) == "No layer of zoo:up fits whole. Start from weights of the same architecture."


def test_frozen_layers_stay_and_all_others_learn_again():
    model = whole(branch("left"), branch("right"))
    freeze(model, ["left"])
    assert [weight.path.split("/")[0] for weight in model.trainable_weights] == ["first", "first", "second", "second"]
    assert {id(w) for w in model.trainable_weights} == {id(w) for w in model.get_layer("right").weights}
    freeze(model, ["second"])
    assert len(model.trainable_weights) == 4
    freeze(model, [])
    assert len(model.trainable_weights) == 8


def test_an_unknown_layer_is_named():
    with pytest.raises(UnknownNameError) as error:
        freeze(whole(branch("left")), ["lefd"])
    assert str(error.value) == "No layer of whole named 'lefd'. Did you mean 'left'?"
