"""Training: resumed runs equal unbroken ones, folds are held out, wrong resumes are refused."""

import json

import h5py
import numpy as np
import on_cells
import pytest

from mitozoo.base.errors import DataError, OutputError, RecipeError, WeightsError
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.training import checkpoint, loop
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.run import run_training

pytestmark = pytest.mark.usefixtures("untraced")

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


class Stopped(Exception):
    """In place of a kill."""


def tiny(**change) -> Recipe:
    arguments = {
        "model": "stn",
        "preset": "quick",
        "source": "test",
        "stages": (
            Stage(name="classifier", part="classifier", epochs=2, lr=1e-3),
            Stage(name="localizer", part="localizer", epochs=2, lr=1e-3, decay="cosine", balanced=False),
            Stage(name="whole", part="whole", epochs=2, lr=1e-3),
        ),
        "batch_size": 8,
        "settings": {"dropout": 0.3},
        "located": CLASSES[1:],
    } | change
    return Recipe(**arguments)


@pytest.fixture(scope="module")
def cells() -> Cells:
    generator = np.random.default_rng(0)
    canvases = generator.integers(0, 256, (12, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    labels = np.tile(np.arange(3, dtype=np.int32), 4)
    cases = np.repeat([f"slide {i}" for i in range(4)], 3)
    return Cells(canvases, labels, cases, np.full(12, "labelled"), CLASSES)


@pytest.fixture(scope="module")
def unbroken(cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    model = on_cells.train(tiny(), cells, None, folder, mark="m")
    return model.get_weights(), (folder / "history.csv").read_text()


@pytest.mark.parametrize("stop_after", [2, 3, 5])
def test_resumed_equals_unbroken(cells, unbroken, tmp_path, stop_after):
    def stop(progress):
        if progress.done == stop_after:
            raise Stopped

    with pytest.raises(Stopped):
        on_cells.train(tiny(), cells, None, tmp_path, mark="m", tell=stop)
    done = []
    model = on_cells.train(tiny(), cells, None, tmp_path, mark="m", tell=lambda progress: done.append(progress.done))
    assert done == list(range(stop_after + 1, 7))
    for found, wanted in zip(model.get_weights(), unbroken[0], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 7
    assert (tmp_path / "model.weights.h5").exists()


def test_a_checkpoint_of_another_recipe_is_refused(cells, tmp_path):
    def stop(_):
        raise Stopped

    with pytest.raises(Stopped):
        on_cells.train(tiny(), cells, None, tmp_path, mark="m", tell=stop)
    with pytest.raises(RecipeError) as error:
        on_cells.train(tiny(), cells, None, tmp_path, mark="other")
    assert str(error.value) == (
        f"{tmp_path} was trained with another recipe or other data. "
        "Resume with the same options, or choose another --out."
    )


def test_a_damaged_checkpoint_says_so(cells, tmp_path):
    (tmp_path / checkpoint.NAME).write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(WeightsError, match="checkpoint.npz is damaged .* Delete it to start this fold anew."):
        on_cells.train(tiny(), cells, None, tmp_path, mark="m")


def test_a_loss_that_is_no_number_stops_and_keeps_the_epoch_before(cells, tmp_path, monkeypatch):
    fit = loop._StageRun.epoch
    monkeypatch.setattr(
        loop._StageRun,
        "epoch",
        lambda self, epoch: fit(self, epoch) | ({"loss": float("nan")} if self.number == 1 else {}),
    )
    with pytest.raises(DataError) as error:
        on_cells.train(tiny(), cells, None, tmp_path, mark="m")
    assert str(error.value) == (
        "The loss is no longer a number in epoch 1 of stage 'localizer'. The weights of the epoch before are in "
        f"{tmp_path / 'checkpoint.npz'}; try a smaller --lr or --precision float32."
    )
    with np.load(tmp_path / checkpoint.NAME) as stored:
        state = json.loads(stored["state"].tobytes())
    assert (state["stage"], state["epoch"]) == (1, 0)


def quick(seed=0) -> Recipe:
    return tiny(model="cnn12", stages=(Stage(name="whole", part="whole", epochs=1, lr=1e-3),), settings={}, seed=seed)


def test_folds_hold_out_every_cell_once(cells, tmp_path):
    outcome = run_training(quick(), cells, tmp_path / "run", folds=2)
    assert len(outcome.labels) == len(cells)
    assert sorted(outcome.cases.tolist()) == sorted(cells.cases.tolist())
    assert outcome.error_px is None
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    for fold in range(2):
        held = set(outcome.cases[outcome.folds == fold])
        assert held == {case for case, number in record["fold_of"].items() if number == fold}
    assert record["status"] == "complete"
    np.testing.assert_allclose(outcome.probabilities.sum(axis=1), 1, atol=1e-5)
    files = {path.name for path in (tmp_path / "run" / "fold_1").iterdir()}
    assert {"model.weights.h5", "predictions.npz", "history.csv", "loss.png", "run.json", "logs"} <= files
    assert checkpoint.NAME not in files


def test_finished_folds_are_not_trained_again(cells, tmp_path):
    first = run_training(quick(), cells, tmp_path, folds=2)
    told = []
    again = run_training(quick(), cells, tmp_path, folds=2, resume=True, tell=lambda fold, _: told.append(fold))
    assert told == []
    np.testing.assert_array_equal(first.probabilities, again.probabilities)


def test_a_run_is_not_overwritten(cells, tmp_path):
    run_training(quick(), cells, tmp_path / "run")
    with pytest.raises(OutputError) as error:
        run_training(quick(), cells, tmp_path / "run")
    assert str(error.value) == (
        f"{tmp_path / 'run'} holds a run already. Add --resume to go on with it, or choose another --out."
    )
    with pytest.raises(RecipeError, match="was started with another recipe or other data."):
        run_training(quick(seed=1), cells, tmp_path / "run", resume=True)


def test_another_folder_is_left_alone(cells, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty and holds no run. Choose another --out."):
        run_training(quick(), cells, tmp_path)


def test_more_gpus_than_there_are(cells, tmp_path):
    with pytest.raises(RecipeError) as error:
        run_training(quick(), cells, tmp_path / "run", gpus=64)
    assert str(error.value).startswith("--gpus 64: TensorFlow finds ")


def test_saved_weights_hold_no_optimizer(cells, tmp_path):
    run_training(tiny().with_epochs(3), cells, tmp_path)
    with h5py.File(tmp_path / "model.weights.h5") as stored:
        names: list[str] = []
        stored.visit(names.append)
    assert not [name for name in names if "optimizer" in name]


def test_a_split_says_what_is_held_out(cells, tmp_path):
    parts = {"train": ["slide 0", "slide 3"], "validation": ["slide 1"], "test": ["slide 2", "a slide of other data"]}
    found = run_training(tiny(), cells, tmp_path / "run", parts=parts)
    assert sorted(set(found.cases)) == ["slide 1", "slide 2"]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["fold_of"] == {"slide 0": 1, "slide 1": 0, "slide 2": 0, "slide 3": 1}
    for wrong, text in (
        ({"train": ["slide 0"], "test": ["slide 1"]}, "does not name case 'slide 2' (and 1 others)"),
        ({"train": [f"slide {i}" for i in range(4)]}, "and others to hold out"),
    ):
        with pytest.raises(DataError) as error:
            run_training(tiny(), cells, tmp_path / "other", parts=wrong)
        assert text in str(error.value)
    with pytest.raises(RecipeError, match="give one of the two"):
        run_training(tiny(), cells, tmp_path / "other", parts=parts, folds=2)
