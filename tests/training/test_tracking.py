"""Pictures of held-out windows, and what goes to MLflow."""

import json
import sys
from types import ModuleType

import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import MitozooError
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.models import registry
from mitozoo.training import tracking
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.run import run_training
from mitozoo.training.tracking import FRAME_PX, FRAMES, example_grid, examples, flat, mlflow_run, sort_examples

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


def test_the_narrowest_hits_and_the_worst_mistakes_come_first():
    mitotic = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    scores = np.array([0.9, 0.6, 0.1, 0.4, 0.7, 0.95, 0.2, 0.5])
    got = {name: rows.tolist() for name, rows in sort_examples(mitotic, scores).items()}
    assert got == {"hits": [1, 0], "misses": [2, 3], "false alarms": [5, 4, 7]}
    assert sort_examples(mitotic, scores, most=1)["false alarms"].tolist() == [5]


def test_the_grid_by_hand():
    # One hit in a window of two halves, one false alarm in black; tiles of 32 px from windows of 64 px.
    windows = np.zeros((2, 64, 64, 3))
    windows[0, :, 32:] = 1.0
    grid = example_grid(windows, np.array([True, False]), np.array([0.75, 1.0]), columns=2, tile_px=32)
    side = 32 + 2 * FRAME_PX
    assert grid.shape == (3 * side, 2 * side, 3)
    assert grid[0, 0].tolist() == list(FRAMES["hits"])
    assert grid[2 * side, 0].tolist() == list(FRAMES["false alarms"])
    # No miss, no second hit.
    assert (grid[side : 2 * side] == 224).all() and (grid[:side, side:] == 224).all()
    tile = grid[FRAME_PX : FRAME_PX + 32, FRAME_PX : FRAME_PX + 32]
    assert (tile[:10, :16] == 0).all() and (tile[:10, 16:] == 255).all()


def test_scores_are_written_in_digits():
    grid = example_grid(np.full((1, 64, 64, 3), 0.5), np.array([True]), np.array([0.71]), columns=1, tile_px=64)
    label = grid[FRAME_PX + 64 - 14 : FRAME_PX + 64, FRAME_PX : FRAME_PX + 34, 0]
    # "0.71": four digits of 3 x 5 with a pixel between and around them, twice as large, black on white.
    expected = ["0000000000000000", "0111000001110010", "0101000000010110", "0101000000010010", "0101000000010010",
                "0111001000010111", "0000000000000000"]  # fmt: skip
    drawn = ["".join("1" if value == 0 else "0" for value in row[::2]) for row in label[::2]]
    assert [row[:16] for row in drawn] == expected


@pytest.fixture(scope="module")
def cells():
    canvases = np.random.default_rng(0).integers(0, 256, (12, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    cases = np.repeat([f"slide {i}" for i in range(4)], 3)
    return Cells(canvases, np.tile(np.arange(3, dtype=np.int32), 4), cases, np.full(12, "labelled"), CLASSES)


def a_recipe(model="cnn12"):
    stages = (Stage(name="whole", part="whole", epochs=1, lr=1e-3),)
    return Recipe(model=model, preset="quick", source="test", stages=stages, batch_size=8)


def test_examples_of_a_model_are_the_same_at_every_call(cells):
    model = registry.build("cnn12")
    first, second = examples(model, a_recipe(), cells), examples(model, a_recipe(), cells)
    np.testing.assert_array_equal(first, second)
    assert first.shape == (3 * 70, 8 * 70, 3)
    # Every mitotic cell is a hit or a miss: eight of them.
    frames = first[1::70, 1::70]
    colours = [tuple(frame.tolist()) for frame in frames.reshape(-1, 3)]
    assert colours.count(FRAMES["hits"]) + colours.count(FRAMES["misses"]) == 8


def test_a_run_leaves_pictures_beside_its_losses(cells, tmp_path):
    run_training(a_recipe(), cells, tmp_path / "run", validation=0.25)
    (log,) = (tmp_path / "run" / "logs").iterdir()
    tags = {
        value.tag: value for event in tf.compat.v1.train.summary_iterator(str(log)) for value in event.summary.value
    }
    assert {"whole/loss", "whole/val_loss", "whole/hits, misses, false alarms"} <= set(tags)
    stored = tags["whole/hits, misses, false alarms"].tensor.string_val
    assert stored[:2] == [b"560", b"210"]
    assert tf.io.decode_png(stored[2]).shape == (210, 560, 3)


class Fake(ModuleType):
    """As much of mlflow as is used; remembers what it was told."""

    def __init__(self):
        super().__init__("mlflow")
        self.calls, self.ended = [], None

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*args, **settings):
            self.calls.append((name, *args, *settings.items()))
            return self

        return call

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.ended = kind


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    module = Fake()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return module


def test_what_mlflow_is_told(fake, tmp_path):
    (tmp_path / "fold_0").mkdir()
    for name in ("run.json", "fold_0/history.csv", "fold_0/model.weights.h5"):
        (tmp_path / name).write_text("")
    with mlflow_run("here", "runs/a", lambda: {"model": "stn", "recipe": {"stages": [{"lr": 0.5}]}}) as log:
        log.epoch(3, {"loss": 0.25}, "fold_0/")
        log.metrics({"f1": 0.5, "auc": float("nan")})
        log.artifacts(tmp_path)
    assert fake.calls == [
        ("set_tracking_uri", "here"),
        ("set_experiment", "mitozoo"),
        ("start_run", ("run_name", "runs/a")),
        ("log_params", {"model": "stn", "recipe.stages.0.lr": "0.5"}),
        ("log_metrics", {"fold_0/loss": 0.25}, ("step", 3)),
        ("log_metrics", {"f1": 0.5}),
        ("log_artifact", str(tmp_path / "fold_0" / "history.csv"), "fold_0"),
        ("log_artifact", str(tmp_path / "run.json"), None),
    ]
    assert fake.ended is None


def test_a_run_that_fails_ends_as_failed(fake):
    with pytest.raises(ValueError), mlflow_run("here", "a", dict):
        raise ValueError
    assert fake.ended is ValueError


def test_without_a_uri_nothing_is_imported(monkeypatch):
    monkeypatch.setattr(tracking, "import_mlflow", None)
    with mlflow_run(None, "a", dict) as log:
        assert log is None


def test_mlflow_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MitozooError) as error, mlflow_run("here", "a", dict):
        pass
    assert str(error.value) == "--mlflow needs the package mlflow: pip install 'mitozoo[mlflow]'."


def test_a_uri_that_does_not_work(fake, monkeypatch):
    def refuse(uri):
        raise OSError("no such server")

    monkeypatch.setattr(fake, "set_tracking_uri", refuse, raising=False)
    with pytest.raises(MitozooError) as error, mlflow_run("nowhere", "a", dict):
        pass
    assert str(error.value) == "MLflow cannot write to nowhere: no such server"


def test_settings_become_flat():
    assert flat({"a": 1, "b": {"c": [1, 2], "d": [{"e": "x"}, {"e": "y"}]}}) == {
        "a": "1", "b.c": "[1, 2]", "b.d.0.e": "x", "b.d.1.e": "y",
    }  # fmt: skip
    assert len(flat({"long": "x" * 900})["long"]) == 500
    assert json.dumps(flat({}))
