"""Weights that a training takes over from other ones."""

import keras
import numpy as np
import pytest

from mitozoo.base.errors import UnknownNameError, WeightsError
from mitozoo.training.freezing import freeze
from mitozoo.training.initial import take_over


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
