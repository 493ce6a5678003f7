"""Rounds of mining and the average of the weights, with and without a kill."""

import numpy as np
import on_cells
import pytest

from mitozoo.base.errors import DataError
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.training import cell_lessons
from mitozoo.training.recipe import Recipe, Stage

pytestmark = pytest.mark.usefixtures("untraced")

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


class Stopped(Exception):
    """In place of a kill."""


def a_recipe(**change) -> Recipe:
    stages = (
        Stage(name="first", part="whole", epochs=1, lr=1e-3),
        Stage(name="second", part="whole", epochs=2, lr=1e-3, mine="proposals"),
        Stage(name="third", part="whole", epochs=2, lr=1e-3, mine="detections"),
    )
    arguments = {"model": "cnn12", "preset": "quick", "source": "test", "stages": stages, "batch_size": 8} | change
    return Recipe(**arguments)


@pytest.fixture(scope="module")
def cells() -> Cells:
    canvases = np.random.default_rng(0).integers(0, 256, (12, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    origins = np.where(np.arange(12) % 2 == 0, "labelled", "neighbour").astype("U15")
    return Cells(canvases, np.tile(np.arange(3, dtype=np.int32), 4), np.full(12, "slide"), origins, CLASSES)


class Remine:
    """Mines a cell whose colour tells the weights that mined it."""

    def __init__(self):
        self.asked = []

    def __call__(self, model, what):
        mark = int(np.abs(model.get_weights()[0]).sum() * 1000) % 251
        self.asked.append((what, mark))
        canvas = np.full((1, CANVAS_PX, CANVAS_PX, 3), mark, np.uint8)
        return Cells(canvas, np.zeros(1, np.int32), np.array(["slide"]), np.array([f"hard {what}"]), CLASSES)


@pytest.fixture(scope="module")
def unbroken(cells, tmp_path_factory):
    remine = Remine()
    folder = tmp_path_factory.mktemp("unbroken")
    weights = on_cells.train(a_recipe(ema=0.9), cells, None, folder, mark="m", remine=remine).get_weights()
    return weights, remine.asked, folder


def test_stages_mine_what_they_say_and_leave_no_file(unbroken):
    _, asked, folder = unbroken
    assert [what for what, _ in asked] == ["proposals", "detections"]
    assert asked[0][1] != asked[1][1]
    assert not list(folder.glob("mined_by_*"))


@pytest.mark.parametrize("stop_after", [1, 2, 3, 4])
def test_resumed_equals_unbroken(cells, unbroken, tmp_path, stop_after):
    weights, asked, _ = unbroken

    def stop(progress):
        if progress.done == stop_after:
            raise Stopped

    with pytest.raises(Stopped):
        on_cells.train(a_recipe(ema=0.9), cells, None, tmp_path, mark="m", remine=Remine(), tell=stop)
    again = Remine()
    resumed = on_cells.train(a_recipe(ema=0.9), cells, None, tmp_path, mark="m", remine=again).get_weights()
    assert again.asked == asked
    for found, wanted in zip(resumed, unbroken[0], strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_the_average_is_what_a_stage_leaves(cells, tmp_path):
    one = a_recipe(stages=(Stage(name="first", part="whole", epochs=3, lr=1e-3),), ema=0.9)
    import dataclasses

    averaged = on_cells.train(one, cells, None, tmp_path / "a", mark="m").get_weights()
    last = on_cells.train(dataclasses.replace(one, ema=0.0), cells, None, tmp_path / "b", mark="m").get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(averaged, last, strict=True)) > 1e-4


def test_origins_that_are_left_out_are_not_learnt_from(cells, tmp_path, monkeypatch):
    seen = {}
    windows = cell_lessons.training_windows

    def watched(kept, *args, **more):
        seen[more["stage"]] = sorted(set(kept.origins))
        return windows(kept, *args, **more)

    monkeypatch.setattr(cell_lessons, "training_windows", watched)
    on_cells.train(a_recipe(without=("neighbour", "proposals")), cells, None, tmp_path, mark="m", remine=Remine())
    assert list(seen.values()) == [["labelled"], ["labelled"], ["hard detections", "labelled"]]


def test_nothing_left_is_an_error(cells, tmp_path):
    with pytest.raises(DataError) as error:
        on_cells.train(a_recipe(without=("neighbour", "labelled")), cells, None, tmp_path, mark="m")
    assert str(error.value) == "No cell is left without those of neighbour, labelled. Leave out less."
