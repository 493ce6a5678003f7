"""A transfer study: nested shares, every case tested once, nothing learnt from a case that is tested."""

import dataclasses
import json

import numpy as np
import pytest

from mitozoo.base.errors import DataError, OutputError, RecipeError
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.models import registry
from mitozoo.training import transfer
from mitozoo.training.recipe import Recipe, Stage, recipe
from mitozoo.training.transfer import Study, nested_cases, run_study, short_recipe, trials

pytestmark = pytest.mark.usefixtures("untraced")

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


def some_cells(cases=6, size=CANVAS_PX):
    canvases = np.random.default_rng(0).integers(0, 256, (3 * cases, size, size, 3), np.uint8)
    labels = np.tile(np.arange(3, dtype=np.int32), cases)
    names = np.repeat([f"slide {i}" for i in range(cases)], 3)
    return Cells(canvases, labels, names, np.full(3 * cases, "labelled"), CLASSES)


def small_recipe():
    return Recipe(
        model="cnn12", preset="quick", source="test", batch_size=8,
        stages=(Stage(name="a", part="whole", epochs=1, lr=1e-3),),
    )  # fmt: skip


def test_shares_are_nested_and_equal_ones_are_one():
    cells = some_cells(10, size=2)
    found = nested_cases(cells, (0.01, 0.1, 0.11, 0.25, 1.0), seed=3)
    # Of 10 cases: 0.1 -> 1, 1 -> 1, 1.1 -> 2, 2.5 -> 3, 10 -> 10.
    assert [len(cases) for cases in found] == [1, 2, 3, 10]
    assert list(found.values()) == [(0.01, 0.1), (0.11,), (0.25,), (1.0,)]
    longest = list(found)[-1]
    assert all(longest[: len(cases)] == cases for cases in found)
    assert longest != list(nested_cases(cells, (1.0,), seed=4))[0]


def test_a_case_without_mitotic_figure_comes_last():
    cells = some_cells(5, size=2)
    cells.labels[cells.cases == "slide 2"] = 0
    for seed in range(10):
        (cases,) = nested_cases(cells, (1.0,), seed=seed)
        assert cases[-1] == "slide 2"
    cells.labels[:] = 0
    with pytest.raises(DataError, match="No case to learn from has a labelled mitotic figure"):
        nested_cases(cells, (1.0,), seed=0)


def test_every_case_is_held_out_once_and_never_learnt_from():
    cells = some_cells(6, size=2)
    study = Study(fractions=(0.5, 1.0), repeats=3)
    found = trials(cells, study)
    # Four cases to learn from in each of three repeats: two and four, from two starts.
    assert len(found) == 3 * 2 * 2
    held = []
    for repeat in range(3):
        learnt = {case for trial in found if trial.repeat == repeat for case in trial.cases}
        assert len(learnt) == 4
        held += sorted({f"slide {i}" for i in range(6)} - learnt)
    assert sorted(held) == [f"slide {i}" for i in range(6)]


def test_windows_are_shared_as_the_recipe_shares_its_epochs():
    quick = recipe("stn", "quick")  # 50, 45 and 20 epochs
    short = short_recipe(quick, "scratch", 20_000, seed=7)
    # 50,000, 45,000 and 20,000 windows in epochs of about 4,096; a cell gives two windows.
    assert [stage.epochs for stage in short.stages] == [12, 11, 5]
    assert [stage.epochs * stage.draws * 2 for stage in short.stages] == pytest.approx(
        [50_000, 45_000, 20_000], rel=0.01
    )
    assert short.seed == 7
    (only,) = short_recipe(quick, "source", 20_000, seed=7).stages
    assert only == short.stages[-1]
    assert short_recipe(quick, "source", 1, seed=0).stages[0].draws == 1


def test_every_verifier_of_scout_is_trained_and_no_stage_that_tells_no_class_is_the_last():
    quick = recipe("scout", "quick")  # proposer 10, verifier 24, none of refine, verifier2 24, and the proposer again
    short = short_recipe(quick, "source", 20_000, seed=7)
    assert [(stage.part, stage.epochs, stage.draws) for stage in short.stages] == [
        ("verifier", 5, 4000),
        ("verifier2", 5, 4000),
    ]
    # 10 epochs are to 24 as 8,333 windows are to 20,000.
    scratch = short_recipe(quick, "scratch", 20_000, seed=7).stages
    assert [(stage.part, stage.epochs * stage.draws) for stage in scratch if stage.epochs] == [
        ("proposer", 8334),
        ("verifier", 20_000),
        ("verifier2", 20_000),
    ]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"fractions": ()}, "--fractions are shares above 0 and up to 1, got none."),
        ({"fractions": (0.1, 1.5)}, "--fractions are shares above 0 and up to 1, got 0.1, 1.5."),
        ({"fractions": (0.0,)}, "--fractions are shares above 0 and up to 1, got 0."),
        ({"repeats": 1}, "--repeats must be 2 or more: one part is held out in turn, got 1."),
        ({"starts": ("sauce",)}, "--starts takes source, imagenet, scratch, got sauce."),
        ({"windows": 0}, "--windows must be 1 or more, got 0."),
    ],
)
def test_a_study_that_makes_no_sense(change, text):
    with pytest.raises(RecipeError) as error:
        Study(**change)
    assert str(error.value) == text


def test_a_study_runs_resumes_and_is_refused_on_other_data(tmp_path, monkeypatch):
    cells = some_cells(4)
    study = Study(fractions=(1.0,), repeats=2, windows=16)
    source = registry.build("cnn12")
    before = [array.copy() for array in source.get_weights()]
    finished = run_study(small_recipe(), cells, source, study, tmp_path / "s")
    # The source as it is in two repeats; two cases, two starts, two repeats.
    assert [len(item.trial.cases) for item in finished] == [0] * 2 + [2] * 4
    assert [item.figures for item in finished] == [0] * 2 + [4] * 4
    for item in finished:
        assert not set(item.trial.cases) & set(item.outcome.cases)
    assert all((a == b).all() for a, b in zip(before, source.get_weights(), strict=True))
    assert json.loads((tmp_path / "s" / "run.json").read_text())["status"] == "complete"

    with pytest.raises(OutputError, match="holds a run already"):
        run_study(small_recipe(), cells, source, study, tmp_path / "s")
    with pytest.raises(RecipeError, match="was started with another recipe or other data"):
        run_study(small_recipe(), cells, source, dataclasses.replace(study, windows=17), tmp_path / "s", resume=True)
    # One is lost: only that one is trained again, and gives the same.
    lost = tmp_path / "s" / finished[3].trial.name / "predictions.npz"
    lost.unlink()
    trained = []
    monkeypatch.setattr(transfer, "train", lambda *args, **more: trained.append(args[2]) or loop_train(*args, **more))
    again = run_study(small_recipe(), cells, source, study, tmp_path / "s", resume=True)
    assert trained == [lost.parent]
    np.testing.assert_allclose(again[3].outcome.probabilities, finished[3].outcome.probabilities, atol=1e-6)


loop_train = transfer.train


def test_a_source_is_needed_to_start_from_it(tmp_path):
    with pytest.raises(RecipeError, match="give --from"):
        run_study(small_recipe(), some_cells(4), None, Study(repeats=2), tmp_path / "s")


def test_imagenet_is_a_start_of_its_own(tmp_path):
    cells, study = some_cells(4), Study(fractions=(1.0,), repeats=2, windows=16, starts=("imagenet", "scratch"))
    with pytest.raises(RecipeError, match="give --imagenet"):
        run_study(small_recipe(), cells, None, study, tmp_path / "s")
    weights = [np.full_like(array, 0.01) for array in registry.build("cnn12").get_weights()]
    finished = run_study(small_recipe(), cells, None, study, tmp_path / "s", imagenet=weights)
    assert [item.trial.start for item in finished] == ["imagenet", "scratch"] * 2
    assert not np.allclose(finished[0].outcome.probabilities, finished[1].outcome.probabilities, atol=1e-3)
