"""Settings of a recipe changed by name."""

import pytest

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.training.changes import changed, names_of, varied
from mitozoo.training.recipe import recipe


def test_settings_of_every_kind():
    before = recipe("scout", "quick")
    after = changed(
        before,
        ["smoothing=0", "augment.scanner=0.5", "augment.turn=no", "model.width=32", "without=neighbour, field",
         "stages.mine=none"],
    )  # fmt: skip
    assert after.smoothing == 0.0 and before.smoothing == 0.05
    assert after.augment == {**before.augment, "scanner": 0.5, "turn": False}
    assert after.settings == {"verifiers": 2, "width": 32}
    assert after.without == ("neighbour", "field")
    assert [stage.epochs for stage in after.stages] == [10, 24, 0, 24, 60]
    assert {stage.mine for stage in after.stages} == {"none"}


def test_the_last_of_the_same_name_counts():
    assert changed(recipe("scout", "quick"), ["ema=0.5", "ema=0.25"]).ema == 0.25


def test_a_stage_may_lose_its_epochs_before_another_gets_some():
    by_stages = changed(recipe("partmitosis", "quick"), ["whole.epochs=0", "concentric.epochs=6", "strong.epochs=6"])
    assert [stage.epochs for stage in by_stages.stages] == [6, 6, 0, 0]


def test_changes_come_before_the_epochs_are_shared():
    short = varied("scout", "quick", epochs=10, changes=["second.epochs=0", "sharpen.epochs=0", "verifier.epochs=30"])
    # 10 and 30 epochs, of which 10 are a quarter: 2.5 and 7.5.
    assert [stage.epochs for stage in short.stages] in ([2, 8, 0, 0, 0], [3, 7, 0, 0, 0])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("smoothing", "'smoothing' is not NAME=VALUE. Write for example --set smoothing=0."),
        ("smoothing=much", "smoothing must be a number, got 'much'."),
        ("refine.epochs=1.5", "refine.epochs must be a whole number, got '1.5'."),
        ("augment.turn=perhaps", "augment.turn must be yes or no, got 'perhaps'."),
        ("smoothing=2", "Label smoothing must be 0 or more and under 1, got 2."),
        ("ema=1", "The share of the moving average must be 0 or more and under 1, got 1."),
    ],
)
def test_wrong_values_say_what_is_wanted(change, text):
    with pytest.raises(RecipeError) as error:
        changed(recipe("scout", "quick"), [change])
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("change", "meant"),
    [
        ("smothing=0", "smoothing"),
        ("augment.scaner=0", "scanner"),
        ("model.widht=8", "width"),
        ("refine.epoch=1", "refine.epochs"),
        ("refined.epochs=1", "refine.epochs"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(change, meant):
    with pytest.raises(UnknownNameError, match=meant):
        changed(recipe("scout", "quick"), [change])


def test_a_kind_of_mining_that_there_is_not():
    with pytest.raises(UnknownNameError, match="No kind of mining named 'hard'"):
        changed(recipe("scout", "quick"), ["refine.mine=hard"])


def test_every_name_that_is_listed_can_be_set():
    chosen = recipe("scout", "quick")
    for name in names_of(chosen):
        group, _, inner = name.rpartition(".")
        source = {"augment": "0.5", "model": "2"}.get(group, "0.5")
        if inner in ("epochs", "draws", "window_px", "pool", "tile_px", "tile_height_px", "points", "step_epochs"):
            source = "32"
        words = {"decay": "cosine", "balanced": "no", "mine": "none", "located": "x", "without": "x", "frozen": "x"}
        words |= {"loss": "focal", "labels": "mask", "optimizer": "sgd", "part": "whole", "shape": "ellipse"}
        words |= dict.fromkeys(("disc_px", "inner_px", "outer_ratio"), "11,12")
        yes = "any" if name == "tiles.rotate" else "yes"
        source = words.get(inner or name, yes if inner in ("rotate", "turn", "mirror", "look_alikes") else source)
        assert changed(chosen, [f"{name}={source}"]) is not chosen
