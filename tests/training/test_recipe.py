"""Recipes."""

import dataclasses

import pytest

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.data.field_tiles import TileSettings
from mitozoo.models import registry
from mitozoo.training.recipe import Stage, recipe, trainable


def test_the_paper_recipe_is_the_papers():
    found = recipe("stn", "paper")
    assert [(s.part, s.epochs, s.lr, s.decay) for s in found.stages] == [
        ("classifier", 50, 1e-3, "constant"),
        ("localizer", 200, 1e-4, "constant"),
        ("whole", 100, 1e-4, "constant"),
    ]
    assert all(stage.balanced for stage in found.stages)
    assert found.located == ()
    baseline = recipe("cnn12", "paper")
    assert [(s.part, s.epochs, s.lr) for s in baseline.stages] == [("whole", 200, 1e-3)]


def test_models_with_recipes():
    assert trainable() == registry.names()


@pytest.mark.parametrize("model", trainable())
@pytest.mark.parametrize("preset", ["paper", "quick"])
def test_recipes_fit_their_models(model, preset):
    found = recipe(model, preset)
    assert (found.model, found.preset) == (model, preset)
    assert found.settings.keys() <= registry.spec(model).settings.keys()
    TileSettings(**found.tiles)


@pytest.mark.parametrize("total", [3, 4, 17, 100, 350, 1000])
def test_scaled_epochs_add_up_and_no_stage_vanishes(total):
    scaled = recipe("stn", "paper").with_epochs(total)
    assert scaled.epochs == total
    assert min(stage.epochs for stage in scaled.stages) >= 1


def test_scaled_epochs_keep_their_shares():
    assert [stage.epochs for stage in recipe("stn", "paper").with_epochs(35).stages] == [5, 20, 10]


def test_fewer_epochs_than_stages():
    with pytest.raises(RecipeError) as error:
        recipe("stn", "quick").with_epochs(2)
    assert str(error.value) == "stn trains in 3 stages: give --epochs 3 or more, not 2."


def test_learning_rates_scale_together():
    scaled = recipe("stn", "paper").with_lr(2e-3)
    assert [stage.lr for stage in scaled.stages] == pytest.approx([2e-3, 2e-4, 2e-4])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"batch_size": 0}, "The batch size must be 1 or more, got 0."),
        ({"kappa": -0.5}, "kappa must be 0 or more, got -0.5."),
        ({"kappa": float("nan")}, "kappa must be 0 or more, got nan."),
        ({"seed": -1}, "The seed must be between 0 and 4294967295, got -1."),
        ({"seed": 2**32}, "The seed must be between 0 and 4294967295, got 4294967296."),
        ({"precision": "float31"}, "No precision named 'float31'. Did you mean 'float32'?"),
    ],
)
def test_a_recipe_checks_itself(change, text):
    with pytest.raises((RecipeError, UnknownNameError)) as error:
        dataclasses.replace(recipe("stn", "quick"), **change)
    assert str(error.value) == text


def test_a_stage_checks_itself():
    with pytest.raises(RecipeError, match="Stage 'x': epochs must be 0 or more, got -1."):
        Stage(name="x", part="whole", epochs=-1, lr=1e-3)
    with pytest.raises(RecipeError, match="Stage 'x': a learning rate of 0 is not between 0 and 10."):
        Stage(name="x", part="whole", epochs=1, lr=0)
    with pytest.raises(UnknownNameError, match="No learning-rate decay named 'cosin'. Did you mean 'cosine'?"):
        Stage(name="x", part="whole", epochs=1, lr=1e-3, decay="cosin")


def test_unknown_model_and_preset():
    with pytest.raises(UnknownNameError) as error:
        recipe("snt", "quick")
    assert str(error.value) == "No model to train named 'snt'. Did you mean 'stn'?"
    with pytest.raises(UnknownNameError) as error:
        recipe("stn", "papper")
    assert str(error.value) == "No preset of stn named 'papper'. Did you mean 'paper'?"
