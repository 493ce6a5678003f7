"""Runs that are stopped at awkward places, run in half precision, or cannot be run at all."""

import json

import keras
import numpy as np
import on_cells
import pytest

from mitozoo.base.errors import DataError, OutputError, RecipeError
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.models import registry
from mitozoo.training import checkpoint, loop
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.run import run_training

pytestmark = pytest.mark.usefixtures("untraced")

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


class Stopped(Exception):
    """In place of a kill."""


def stop(*_):
    raise Stopped


def a_recipe(epochs=1, **change) -> Recipe:
    stages = (Stage(name="whole", part="whole", epochs=epochs, lr=1e-3),)
    arguments = {"model": "cnn12", "preset": "quick", "source": "test", "stages": stages, "batch_size": 8} | change
    return Recipe(**arguments)


@pytest.fixture(scope="module")
def cells() -> Cells:
    canvases = np.random.default_rng(0).integers(0, 256, (12, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    cases = np.repeat([f"slide {i}" for i in range(4)], 3)
    return Cells(canvases, np.tile(np.arange(3, dtype=np.int32), 4), cases, np.full(12, "labelled"), CLASSES)


@pytest.fixture
def float32_after():
    yield
    keras.config.set_dtype_policy("float32")


def test_half_precision_trains_and_leaves_other_models_alone(cells, tmp_path, float32_after):
    model = on_cells.train(a_recipe(precision="mixed_bfloat16"), cells, None, tmp_path, mark="m")
    assert model.get_layer("trunk").get_layer("conv1").compute_dtype == "bfloat16"
    assert all(value.dtype == np.float32 for value in model.get_weights())
    assert keras.config.dtype_policy().name == "float32"
    assert registry.build("cnn12").get_layer("trunk").get_layer("conv1").compute_dtype == "float32"


def test_a_resumed_run_in_half_precision_goes_on_with_its_loss_scale(cells, tmp_path, float32_after):
    recipe = a_recipe(2, precision="mixed_float16")
    unbroken = on_cells.train(recipe, cells, None, tmp_path / "unbroken", mark="m").get_weights()
    with pytest.raises(Stopped):
        on_cells.train(recipe, cells, None, tmp_path / "broken", mark="m", tell=stop)
    with np.load(tmp_path / "broken" / checkpoint.NAME) as stored:
        # Keras begins at 2^15 and changes it only after 2000 steps without overflow.
        assert 2.0**15 in [float(stored[name]) for name in stored.files if stored[name].shape == ()]
    resumed = on_cells.train(recipe, cells, None, tmp_path / "broken", mark="m").get_weights()
    for found, wanted in zip(resumed, unbroken, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_stopped_between_checkpoint_and_history(cells, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_write_history", stop)
        with pytest.raises(Stopped):
            run_training(a_recipe(), cells, tmp_path / "run")
    run_training(a_recipe(), cells, tmp_path / "run", resume=True)
    rows = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith("1,whole,")


def test_hours_add_up_over_interruptions(cells, tmp_path):
    path = tmp_path / "run" / "run.json"
    with pytest.raises(Stopped):
        run_training(a_recipe(2), cells, tmp_path / "run", tell=stop)
    record = json.loads(path.read_text())
    assert record["status"] == "running"
    assert 0 <= record["hours"] < 1
    path.write_text(json.dumps(record | {"hours": 5.0}))
    run_training(a_recipe(2), cells, tmp_path / "run", resume=True)
    record = json.loads(path.read_text())
    assert record["status"] == "complete"
    assert 5 <= record["hours"] < 6


def test_an_stn_that_diverges_says_so(cells, tmp_path, monkeypatch):
    build = registry.build

    def broken(name, **settings):
        model = build(name, **settings)
        head = model.get_layer("localizer").get_layer("head").get_layer("dense6")
        head.set_weights([value + np.nan for value in head.get_weights()])
        return model

    monkeypatch.setattr(registry, "build", broken)
    with pytest.raises(DataError, match="The loss is no longer a number in epoch 1 of stage 'whole'."):
        on_cells.train(a_recipe(model="stn"), cells, None, tmp_path, mark="m")


def test_a_stage_without_cells(cells, tmp_path):
    recipe = a_recipe(
        model="stn",
        stages=(Stage(name="localizer", part="localizer", epochs=1, lr=1e-3, decay="cosine", balanced=False),),
        located=CLASSES[1:],
    )
    with pytest.raises(DataError) as error:
        on_cells.train(recipe, cells.take(cells.labels == 0), None, tmp_path, mark="m")
    assert str(error.value) == (
        "Stage 'localizer' has no cell to learn from (mitotic_figure, atypical_mitotic_figure). "
        "Give more slides with --data, or fewer --folds."
    )


def test_a_checkpoint_of_another_architecture_is_another_recipe_not_damage(cells, tmp_path):
    with pytest.raises(Stopped):
        on_cells.train(a_recipe(), cells, None, tmp_path, mark="m", tell=stop)
    with pytest.raises(RecipeError, match="was trained with another recipe or other data."):
        checkpoint.load(tmp_path, model=registry.build("stn"), mark="other")


def test_no_checkpoint_is_none(tmp_path):
    assert checkpoint.load(tmp_path, model=registry.build("cnn12"), mark="m") is None


def test_fingerprints_follow_every_setting_and_no_order():
    assert checkpoint.fingerprint({"a": 1, "b": [2, 3]}) == checkpoint.fingerprint({"b": [2, 3], "a": 1})
    assert checkpoint.fingerprint({"a": 1, "b": [2, 3]}) != checkpoint.fingerprint({"a": 1, "b": [3, 2]})


def test_validation_takes_one_slide_where_there_are_few(cells, tmp_path):
    outcome = run_training(a_recipe(), cells, tmp_path / "run", validation=0.1)
    assert len(set(outcome.cases)) == 1
    assert len(outcome.labels) == 3
    history = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert "val_loss" in history[0]


def test_validation_with_one_slide(cells, tmp_path):
    with pytest.raises(DataError) as error:
        run_training(a_recipe(), cells.take(cells.cases == "slide 0"), tmp_path / "run", validation=0.1)
    assert str(error.value) == (
        "One slide cannot be learnt from and held out. Give more with --data, or --validation 0."
    )
    assert not (tmp_path / "run").exists()


def test_out_is_a_file(cells, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError) as error:
        run_training(a_recipe(), cells, tmp_path / "thesis.txt")
    assert str(error.value) == (
        f"Cannot write into {tmp_path / 'thesis.txt'}: it is a file, not a folder. Choose another --out."
    )


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_record(cells, tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(OutputError) as error:
        run_training(a_recipe(), cells, tmp_path, resume=True)
    assert str(error.value) == (f"{tmp_path / 'run.json'} is damaged, so the run cannot go on. Choose another --out.")
