"""How often a step of training is traced."""

import keras
import numpy as np
import on_cells

from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.training.recipe import Recipe, Stage


def test_a_step_is_traced_once(tmp_path, monkeypatch):
    """Variables of an optimizer that are made in the first trace cost a second: seconds of every stage."""
    canvases = np.random.default_rng(0).integers(0, 256, (12, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    labels, cases = np.arange(12, dtype=np.int32) % 3, np.full(12, "slide")
    classes = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")
    cells = Cells(canvases, labels, cases, np.full(12, "labelled"), classes)
    recipe = Recipe(
        model="cnn12",
        preset="quick",
        source="test",
        stages=(Stage(name="whole", part="whole", epochs=2, lr=1e-3),),
        batch_size=8,
        settings={"dropout": 0.3},
    )
    step, traced = keras.Model.train_step, []
    monkeypatch.setattr(keras.Model, "train_step", lambda self, data: traced.append(1) or step(self, data))
    on_cells.train(recipe, cells, None, tmp_path, mark="m")
    assert len(traced) == 1
