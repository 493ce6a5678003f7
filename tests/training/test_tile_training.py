"""Training on tiles of fields: losses by hand, what each stage learns, resumed runs equal unbroken ones."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import DataError, RecipeError, UnknownNameError
from mitozoo.data.training_fields import TrainingFields
from mitozoo.models import registry
from mitozoo.training import loop
from mitozoo.training.field_material import FieldMaterial
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.run import run_training
from mitozoo.training.tile_lessons import TileLessons
from mitozoo.training.tile_programs import pixel_loss, tile_program

pytestmark = pytest.mark.usefixtures("untraced")

IGNORED = 255


class Stopped(Exception):
    """In place of a kill."""


def stop(*_):
    raise Stopped


def some_fields(count=4, strong=True, figures=2):
    generator = np.random.default_rng(0)
    images, labels, points = [], [], []
    for _ in range(count):
        image = generator.integers(180, 256, (96, 96, 3)).astype(np.uint8)
        label = np.zeros((96, 96), np.uint8)
        places = generator.integers(20, 76, (figures, 2))
        for x, y in places:
            image[y - 6 : y + 7, x - 6 : x + 7] = 40
            label[y - 6 : y + 7, x - 6 : x + 7] = 1
        images.append(image)
        labels.append(label)
        points.append(places.astype(np.float64))
    nothing = tuple(np.zeros((0, 3)) for _ in images)
    return TrainingFields(
        tuple(images), tuple(labels), np.full(count, strong), tuple(points), nothing,
        np.array([f"case {i}" for i in range(count)]), np.zeros((count, 6), np.float32),
        tuple(np.zeros((0, 2)) for _ in images),
    )  # fmt: skip


def a_recipe(**changes):
    settings = {
        "model": "unet", "preset": "quick", "source": "test", "batch_size": 2, "loss": "focal+dice",
        "stages": (Stage(name="whole", part="whole", epochs=3, lr=3e-3, draws=8),),
        "settings": {"widths": (4, 8), "dropout": 0.1},
        "tiles": {"tile_px": 64, "positive_share": 1.0, "mirror": True},
    }  # fmt: skip
    return Recipe(**settings | changes)


def test_losses_by_hand():
    labels = np.array([[[1, 0], [IGNORED, 0]]], np.uint8)
    logits = np.array([[[2.0, -1.0], [50.0, 0.0]]], np.float32)
    chance = 1 / (1 + np.exp(-logits[0]))
    cross = -(np.log(chance[0, 0]) + np.log(1 - chance[0, 1]) + np.log(0.5))
    found = {name: float(pixel_loss(name)(labels, logits)[0]) for name in ("cross-entropy", "summed", "focal", "dice")}
    assert found["summed"] == pytest.approx(cross, rel=1e-5)
    assert found["cross-entropy"] == pytest.approx(cross / 3, rel=1e-5)
    focal = -0.25 * (1 - chance[0, 0]) ** 2 * np.log(chance[0, 0])
    focal -= 0.75 * (chance[0, 1] ** 2 * np.log(1 - chance[0, 1]) + 0.25 * np.log(0.5))
    assert found["focal"] == pytest.approx(focal / 3, rel=1e-5)
    seen = chance[0, 0] + chance[0, 1] + 0.5
    assert found["dice"] == pytest.approx(1 - (2 * chance[0, 0] + 1) / (seen + 1 + 1), rel=1e-5)
    both = float(pixel_loss("focal+dice")(labels, logits)[0])
    assert both == pytest.approx(found["focal"] + found["dice"], rel=1e-6)


def test_dice_of_figures_is_dice_where_there_is_one_and_pulls_nowhere_else():
    labels = np.array([[[1, 0], [IGNORED, 0]], [[0, 0], [IGNORED, 0]]], np.uint8)
    logits = tf.Variable(np.full((2, 2, 2), 0.5, np.float32))
    with tf.GradientTape() as tape:
        found = pixel_loss("dice-of-figures")(labels, logits)
        total = tf.reduce_sum(found)
    slope = tape.gradient(total, logits).numpy()
    chance = 1 / (1 + np.exp(-0.5))
    np.testing.assert_allclose(found, [1 - (2 * chance + 1) / (3 * chance + 1 + 1), 0], rtol=1e-5)
    # More of the figure is better and more of the rest worse; what nobody knows, and the empty tile, do not count.
    assert slope[0, 0, 0] < 0 < slope[0, 0, 1] and slope[0, 1, 0] == 0
    assert not slope[1].any()
    # Dice itself has a loss there, which pushes every chance down.
    assert float(pixel_loss("dice")(labels, logits)[1]) > 0.6


@pytest.mark.parametrize("kind", ["cross-entropy", "summed", "focal", "dice", "dice-of-figures"])
def test_two_classes_have_the_loss_of_their_difference(kind):
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(2, 5, 4, 2)).astype(np.float32)
    labels = generator.choice([0, 1, IGNORED], (2, 5, 4)).astype(np.uint8)
    two, one = pixel_loss(kind)(labels, logits), pixel_loss(kind)(labels, logits[..., 1] - logits[..., 0])
    np.testing.assert_allclose(two, one, rtol=2e-5)


@pytest.mark.parametrize("logit", [-1000.0, 1000.0])
def test_extreme_logits_have_finite_losses(logit):
    labels = np.array([[[1, 0]]], np.uint8)
    for kind in ("cross-entropy", "summed", "focal", "dice"):
        assert np.isfinite(float(pixel_loss(kind)(labels, np.full((1, 1, 2), logit, np.float32))[0]))


def test_an_unknown_loss_is_named():
    with pytest.raises(UnknownNameError) as error:
        pixel_loss("focal+dise")
    assert str(error.value) == "No loss of pixels named 'dise'. Did you mean 'dice'?"


def targets():
    return {
        "mask": np.array([[[1]], [[IGNORED]]], np.uint8),
        "weak": np.array([[[0]], [[1]]], np.uint8),
        "concentric": np.array([[[IGNORED]], [[1]]], np.uint8),
        "strong": np.array([1.0, 0.0], np.float32),
        "points": np.zeros((2, 1, 3), np.float32),
    }


def test_the_best_labels_are_the_mask_where_there_is_one():
    model = registry.build("unet", widths=(4, 8))
    plan = tile_program(model, registry.spec("unet"), a_recipe(), a_recipe().stages[0])
    assert plan.pick(None, targets())[1]["mask"].numpy().ravel().tolist() == [1, 1]
    plan = tile_program(model, registry.spec("unet"), a_recipe(labels="weak"), a_recipe().stages[0])
    assert plan.pick(None, targets())[1]["mask"].ravel().tolist() == [0, 1]


def partmitosis(**settings):
    return registry.build("partmitosis", encoder="mobilenet", alpha=0.25, width=8, hidden=8, **settings)


def test_each_branch_learns_its_own_labels_and_parts_learn_alone():
    model, recipe = partmitosis(), a_recipe(model="partmitosis", loss="cross-entropy")
    spec, stage = registry.spec("partmitosis"), recipe.stages[0]
    whole = tile_program(model, spec, recipe, stage)
    picked = whole.pick(None, targets())[1]
    assert picked["concentric"].ravel().tolist() == [IGNORED, 1]
    assert picked["strong"].ravel().tolist() == [1, IGNORED]
    assert whole.loss_weights == {"concentric": 1.0, "strong": 1.0}
    alone = tile_program(model, spec, recipe, dataclasses.replace(stage, part="concentric"))
    assert alone.model is model.get_layer("concentric")
    strong = tile_program(model, spec, recipe, dataclasses.replace(stage, part="strong"))
    assert strong.loss_weights == {"concentric": 0.0, "strong": 1.0}
    with pytest.raises(RecipeError) as error:
        tile_program(model, spec, recipe, dataclasses.replace(stage, part="stong"))
    assert str(error.value) == "partmitosis has no part 'stong': choose whole, concentric or strong."


def test_stages_leave_a_frozen_branch_as_it_was(tmp_path):
    stages = (
        Stage(name="concentric", part="concentric", epochs=1, lr=1e-3, draws=2),
        Stage(name="strong", part="strong", epochs=1, lr=1e-3, draws=2, frozen=("concentric",)),
    )
    settings = {"encoder": "mobilenet", "alpha": 0.25, "width": 8, "hidden": 8}
    recipe = a_recipe(model="partmitosis", stages=stages, settings=settings, loss="cross-entropy+dice")
    kept = {}

    def look(progress):
        kept[progress.stage] = checkpointed(tmp_path)

    def checkpointed(folder):
        with np.load(folder / "checkpoint.npz") as stored:
            return {name: stored[name] for name in stored.files if name.startswith("w")}

    model = loop.train(recipe, TileLessons(recipe, some_fields()), tmp_path, mark="m", tell=look)
    branch = {id(weight) for weight in model.get_layer("concentric").weights}
    own = [f"w{i}" for i, weight in enumerate(model.weights) if id(weight) in branch]
    others = [f"w{i}" for i, weight in enumerate(model.weights) if id(weight) not in branch]
    for name in own:
        np.testing.assert_array_equal(kept["concentric"][name], kept["strong"][name])
    assert any((kept["concentric"][name] != kept["strong"][name]).any() for name in others)


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    recipe, fields = a_recipe(ema=0.9), some_fields()
    unbroken = loop.train(recipe, TileLessons(recipe, fields), tmp_path / "a", mark="m").get_weights()
    with pytest.raises(Stopped):
        loop.train(recipe, TileLessons(recipe, fields), tmp_path / "b", mark="m", tell=stop)
    resumed = loop.train(recipe, TileLessons(recipe, fields), tmp_path / "b", mark="m").get_weights()
    for one, other in zip(unbroken, resumed, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_the_loss_falls_and_held_out_fields_have_one_too(tmp_path):
    stage = Stage(name="whole", part="whole", epochs=5, lr=5e-3, draws=12)
    recipe = a_recipe(stages=(stage,))
    seen = []
    lessons = TileLessons(recipe, some_fields(), some_fields(2))
    loop.train(recipe, lessons, tmp_path, mark="m", tell=lambda progress: seen.append(progress.logs))
    assert seen[-1]["loss"] < 0.8 * seen[0]["loss"]
    assert all(np.isfinite(logs["val_loss"]) for logs in seen)
    (log,) = (tmp_path / "logs").iterdir()
    events = tf.compat.v1.train.summary_iterator(str(log))
    shown = {value.tag: value.tensor.string_val for event in events for value in event.summary.value}
    # Eight held-out tiles side by side, twice, with gaps of 4 px.
    side = recipe.tiles["tile_px"]
    assert shown["whole/labelled, found"][:2] == [b"%d" % (8 * side + 28), b"%d" % (2 * side + 4)]


def test_a_loss_that_is_no_number_stops_and_keeps_the_last_weights(tmp_path):
    recipe = a_recipe(stages=(Stage(name="whole", part="whole", epochs=40, lr=9.9, draws=4),), optimizer="sgd")
    with pytest.raises(DataError) as error:
        # An exploding step: the loss is infinite minus infinite before long.
        loop.train(recipe, Exploding(recipe, some_fields()), tmp_path, mark="m")
    assert str(error.value) == (
        "The loss is no longer a number in epoch 2 of stage 'whole'. The weights of the epoch before are in "
        f"{tmp_path / 'checkpoint.npz'}; try a smaller --lr or --precision float32."
    )
    with np.load(tmp_path / "checkpoint.npz") as stored:
        assert all(np.isfinite(stored[name]).all() for name in stored.files if name.startswith("w"))


class Exploding(TileLessons):
    """Its second epoch holds a pixel that is no number."""

    def lesson(self, model, stage, number):
        found = super().lesson(model, stage, number)

        def epoch(done):
            return found.epoch(done).map(lambda image, label: (image * (1.0 if done < 1 else float("nan")), label))

        return dataclasses.replace(found, epoch=epoch)


def test_fields_without_figures_are_refused(tmp_path):
    with pytest.raises(DataError) as error:
        run_training(a_recipe(), FieldMaterial(some_fields(figures=0)), tmp_path / "run")
    assert str(error.value) == ("No field to learn from has a labelled mitotic figure. Give other data with --data.")


def test_folds_hold_cases_out(tmp_path):
    recipe = a_recipe(stages=(Stage(name="whole", part="whole", epochs=1, lr=1e-3, draws=2),))
    assert run_training(recipe, FieldMaterial(some_fields(4)), tmp_path / "run", folds=2) is None
    assert sorted(path.parent.name for path in (tmp_path / "run").rglob("model.weights.h5")) == ["fold_0", "fold_1"]


def test_an_optimizer_is_the_recipes():
    from mitozoo.training.optimizers import optimizer_of

    stage = Stage(name="s", part="whole", epochs=5, lr=1e-2, decay="steps", step_epochs=2, draws=4)
    found = optimizer_of(a_recipe(optimizer="sgd", momentum=0.99, weight_decay=5e-4, clip_norm=2.0), stage, 10)
    assert isinstance(found, keras.optimizers.SGD)
    assert (found.momentum, found.weight_decay, found.global_clipnorm) == (0.99, 5e-4, 2.0)
    schedule = found._learning_rate
    # A tenth after 2 and after 4 epochs of 10 steps.
    rates = [float(schedule(step)) for step in (0, 20, 21, 40, 41, 50)]
    np.testing.assert_allclose(rates, [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4], rtol=1e-6)


def test_a_stage_mines_before_it_begins_and_a_resumed_run_mines_the_same(tmp_path):
    stages = (
        Stage(name="first", part="whole", epochs=1, lr=1e-3, draws=4),
        Stage(name="second", part="whole", epochs=2, lr=1e-3, draws=4, mine="detections"),
    )
    recipe, fields, asked = a_recipe(stages=stages), some_fields(2), []

    def remine(model, known):
        asked.append(model.get_weights()[0].copy())
        return [np.array([[10.0, 20.0]]) for _ in range(len(known))]

    lessons = TileLessons(recipe, fields, remine=remine)
    unbroken = loop.train(recipe, lessons, tmp_path / "a", mark="m").get_weights()
    assert [places.tolist() for places in lessons.fields.hard] == [[[10.0, 20.0]]] * 2
    seen = []

    def stop_in_second(progress):
        seen.append(progress)
        if len(seen) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        loop.train(recipe, TileLessons(recipe, fields, remine=remine), tmp_path / "b", mark="m", tell=stop_in_second)
    resumed = loop.train(recipe, TileLessons(recipe, fields, remine=remine), tmp_path / "b", mark="m").get_weights()
    for one, other in zip(unbroken, resumed, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    # Every time with the weights that the second stage began with.
    assert len(asked) == 3
    for weights in asked:
        np.testing.assert_allclose(weights, asked[0], rtol=1e-6)
    assert not list((tmp_path / "b").glob("mined_by_*"))
