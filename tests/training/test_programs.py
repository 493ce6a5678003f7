"""What each stage trains, and what of its losses reaches whom."""

import math

import keras
import numpy as np
import on_cells
import pytest

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import CLASSES
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.models import registry
from mitozoo.training import loop
from mitozoo.training.programs import program
from mitozoo.training.recipe import Recipe, Stage


def recipe(part, **change):
    stages = (Stage(name=part, part=part, epochs=1, lr=1e-3),)
    return Recipe(**{"model": "stn", "preset": "quick", "source": "test", "stages": stages, "batch_size": 8} | change)


def planned(part, network=None, **change):
    chosen = recipe(part, **change)
    return program(network or registry.build(chosen.model), registry.spec(chosen.model), chosen, chosen.stages[0])


@pytest.fixture(scope="module")
def stn():
    return registry.build("stn")


TARGETS = {
    "theta": np.zeros((4, 2, 3), "float32"),
    "logits": np.array([0, 1, 2, 1], "int32"),
}


def test_the_classifier_sees_centred_cells_of_its_own_size(stn):
    plan = planned("classifier", stn)
    assert plan.model is stn.get_layer("classifier")
    assert (plan.windows.window_px, plan.windows.max_offset_px, plan.windows.pool) == (64, 0.0, 2)
    assert plan.learns_from is None
    assert plan.pick(TARGETS)[0] is TARGETS["logits"]


@pytest.mark.parametrize(("located", "rows"), [((), (0, 1, 2)), (CLASSES[1:], (1, 2))])
def test_the_localizer_sees_whole_windows_of_the_located_classes(stn, located, rows):
    plan = planned("localizer", stn, located=located)
    assert plan.model is stn.get_layer("localizer")
    assert (plan.windows.window_px, plan.windows.max_offset_px, plan.windows.pool) == (128, 32.0, 1)
    assert plan.learns_from == rows
    assert plan.pick(TARGETS)[0] is TARGETS["theta"]


def test_each_verifier_of_scout_learns_alone():
    scout = registry.build("scout", width=8, alpha=0.25, verifiers=2)
    for part in ("verifier", "verifier2"):
        plan = planned(part, scout, model="scout")
        assert plan.model is scout.get_layer(part)
        # As far off as proposals are.
        assert (plan.windows.window_px, plan.windows.max_offset_px) == (80, 5.0)


def test_a_stage_without_its_part_is_left_out_or_refused():
    settings = {"width": 8, "alpha": 0.25, "verifiers": 1}
    with pytest.raises(RecipeError, match="'verifier2', which scout lacks.*--set verifier2.epochs=0"):
        loop.build_model(recipe("verifier2", model="scout", settings=settings))
    stages = (Stage(name="a", part="verifier2", epochs=0, lr=1e-3), Stage(name="b", part="verifier", epochs=1, lr=1e-3))
    assert loop.build_model(recipe("whole", model="scout", settings=settings, stages=stages)).name == "scout"


def test_in_the_whole_the_place_counts_for_located_classes_and_the_class_for_all(stn):
    plan = planned("whole", stn, located=CLASSES[1:], kappa=0.25)
    targets, weights = plan.pick(TARGETS)
    assert targets is TARGETS
    np.testing.assert_array_equal(weights["theta"], [0, 1, 1, 1])
    np.testing.assert_array_equal(weights["logits"], [1, 1, 1, 1])
    assert plan.loss_weights == {"theta": 1.0, "logits": 0.25}


def test_the_loss_that_is_fitted_is_equation_9():
    model = registry.build("stn")
    # Equal logits, and a theta that stays at its start: 0.5 in the middle.
    last = model.get_layer("classifier").get_layer("logits")
    last.set_weights([np.zeros_like(value) for value in last.get_weights()])
    plan = planned("whole", model, kappa=0.25)
    plan.model.compile(keras.optimizers.SGD(0.0), loss=plan.losses, loss_weights=plan.loss_weights)
    theta = np.tile(np.array([[0.5, 0, 0.3], [0, 0.5, -0.4]], "float32"), (4, 1, 1))
    targets, weights = plan.pick({"theta": theta, "logits": TARGETS["logits"]})
    windows = np.random.default_rng(0).random((4, 128, 128, 3)).astype("float32")
    logs = plan.model.test_on_batch(windows, targets, weights, return_dict=True)
    # 0.3² + 0.4² + 0.25 ln 3
    assert float(logs["loss"]) == pytest.approx(0.25 + 0.25 * math.log(3), rel=1e-5)


def test_a_classifier_of_windows_has_one_loss():
    plan = planned("whole", model="cnn12")
    picked, weights = plan.pick(TARGETS)
    assert list(picked) == ["logits"] and weights is None
    assert plan.windows.window_px == 128


def test_augment_settings_reach_the_windows(stn):
    plan = planned("classifier", stn, augment={"mirror": False, "zoom": 0.0, "stain": 0.05})
    assert (plan.windows.mirror, plan.windows.zoom, plan.windows.stain) == (False, 0.0, 0.05)


def test_a_stage_changes_its_own_part_alone(tmp_path):
    canvases = np.random.default_rng(0).integers(0, 256, (6, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    names = np.array([f"slide {i}" for i in range(6)])
    cells = Cells(canvases, np.tile(np.arange(3, dtype=np.int32), 2), names, names, CLASSES)
    chosen = recipe("localizer")
    keras.utils.set_random_seed(chosen.seed)
    before = registry.build("stn")
    after = on_cells.train(chosen, cells, None, tmp_path, mark="m")
    for part, same in (("classifier", True), ("localizer", False)):
        pairs = zip(before.get_layer(part).get_weights(), after.get_layer(part).get_weights(), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs) == same, part


def test_found_and_true_places_of_predicted_windows(tmp_path):
    canvases = np.random.default_rng(0).integers(0, 256, (3, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    names = np.array(["a", "b", "c"])
    cells = Cells(canvases, np.arange(3, dtype=np.int32), names, names, CLASSES)
    model = registry.build("stn")
    found = loop.predict_windows(model, cells, recipe("whole"), seed=1)
    again = loop.predict_windows(model, cells, recipe("whole"), seed=1)
    other = loop.predict_windows(model, cells, recipe("whole"), seed=2)
    np.testing.assert_array_equal(found["theta"], np.tile([[0.5, 0, 0], [0, 0.5, 0]], (3, 1, 1)))
    np.testing.assert_array_equal(found["theta_true"], again["theta_true"])
    assert not np.array_equal(found["theta_true"], other["theta_true"])
    assert np.abs(found["theta_true"][:, :, 2]).max() <= 0.5
    np.testing.assert_allclose(found["probabilities"].sum(axis=1), 1, atol=1e-6)
    assert found["probabilities"].shape == (3, 3)
