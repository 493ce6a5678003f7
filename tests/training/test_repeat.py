"""Repeating a run from its run.json: what it must hold, and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mitozoo.base.errors import DataError, RecipeError
from mitozoo.base.points import Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.training import repeat
from mitozoo.training.changes import varied
from mitozoo.training.recipe import trainable


@pytest.mark.parametrize("model", trainable())
def test_a_recipe_comes_back_from_json(model):
    recipe = varied(model, "quick", epochs=7, seed=5)
    assert repeat.recipe_of(json.loads(json.dumps({"recipe": recipe.as_dict()}))) == recipe


def test_a_recipe_of_another_version():
    plain = varied("cnn12", "quick").as_dict() | {"vigour": 0.9}
    with pytest.raises(
        RecipeError, match="The run's recipe is not one of this version: .*'vigour'. Repeat it with its"
    ):
        repeat.recipe_of({"recipe": plain})


def test_options_come_back_with_their_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    kept = json.loads(
        json.dumps(repeat.request({"model": "stn", "data": (Path("set"),), "negatives": (), "folds": 5, "lr": None}))
    )
    assert kept == {
        "model": "stn", "data": ["set"], "negatives": [], "folds": 5, "lr": None,
        "absolute": {"data": [str(tmp_path / "set")], "negatives": [], "leave_out": []},
    }  # fmt: skip
    # From elsewhere, by the absolute path; where that is gone, by the path as given.
    monkeypatch.chdir(tmp_path.parent)
    assert repeat.options_of({"request": kept})["data"] == (tmp_path / "set",)
    (tmp_path / "set").rename(tmp_path / "moved")
    assert repeat.options_of({"request": kept})["data"] == (Path("set"),)


def test_options_that_contradict():
    stored = {"model": "stn", "folds": 5, "data": (Path("a"),), "batch_size": None}
    repeat.check_options(Path("run"), stored, {"model": "stn", "folds": 5, "data": (Path("x/../a"),)})
    for given, shown in (
        ({"folds": 4}, "--folds"),
        ({"model": "cnn12"}, "MODEL"),
        ({"data": (Path("b"),)}, "--data"),
        ({"batch_size": 8}, "--batch-size"),
    ):
        with pytest.raises(RecipeError) as error:
            repeat.check_options(Path("run"), stored, given)
        assert str(error.value) == f"--from-run repeats run as it was, and {shown} says otherwise. Leave it out."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{} has no run.json. Give the folder of a run of 'mitozoo train'."),
        ("{", "{}/run.json is damaged, so the run cannot be repeated."),
        ("[1]", "{}/run.json is damaged, so the run cannot be repeated."),
        (
            '{"recipe": {}}',
            "{}/run.json does not hold all that a repetition needs: it is of one fold, or of an earlier version. "
            "Give the folder of the whole run, or train with its options.",
        ),
    ],
)
def test_records_that_cannot_be_repeated(tmp_path, content, message):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(RecipeError) as error:
        repeat.read_record(tmp_path)
    assert str(error.value) == message.format(tmp_path)


@pytest.fixture
def dataset(tmp_path):
    fields = []
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"12345")
        fields.append(Field(tmp_path / name, name, (Cell(1, 2, "mitotic_figure"),)))
    return Dataset("set", tuple(fields))


def test_data_that_have_not_changed(dataset, tmp_path):
    record = {"data_state": json.loads(json.dumps(repeat.data_state([dataset], [dataset])))}
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for field in dataset.fields:
        field.path.rename(moved / field.path.name)
    fields = tuple(replace(field, path=moved / field.path.name) for field in reversed(dataset.fields))
    again = replace(dataset, fields=fields)
    repeat.check_data(Path("run"), record, repeat.data_state([again], [again]))


def test_data_that_have_changed_are_named(dataset):
    record = {"data_state": repeat.data_state([dataset], [])}
    first, second = dataset.fields
    end = "Bring the data back as they were, or train without --from-run."

    def refused(fields, message, negatives=()):
        with pytest.raises(DataError) as error:
            repeat.check_data(Path("run"), record, repeat.data_state([replace(dataset, fields=fields)], negatives))
        assert str(error.value) == f"{message} {end}"

    refused((first,), "set has changed since run, in the number of images: 2 then, 1 now.")
    refused((first, replace(second, case="a.png")), "set has changed since run, in the number of cases: 2 then, 1 now.")
    refused(
        (first, replace(second, cells=())), "set has changed since run, in the number of labelled cells: 2 then, 1 now."
    )
    moved = replace(second, cells=(Cell(1, 3, "mitotic_figure"),))
    refused((first, moved), "set has changed since run, in the labels.")
    refused((first, second), "run learnt from data set; now there is data set, negatives set.", [dataset])
    second.path.write_bytes(b"123456")
    refused((first, second), "set has changed since run, in the names or sizes of its images.")


def test_other_pixels_and_other_weights_to_start_from():
    start = [np.zeros(3)]
    record = {"cells_sha256": "a", "initial_sha256": repeat.arrays_sha256(start)}
    repeat.check_cells(Path("run"), record, "a")
    repeat.check_initial(Path("run"), record, start)
    with pytest.raises(DataError, match="The images have the names, sizes and labels of run, but other pixels, or"):
        repeat.check_cells(Path("run"), record, "b")
    for other in ([np.ones(3)], None):
        with pytest.raises(DataError, match="The weights of --imagenet are not those that run started from."):
            repeat.check_initial(Path("run"), record, other)


@pytest.mark.parametrize("earlier", [False, True])
def test_files_of_imagenet_are_found_where_they_were(tmp_path, monkeypatch, earlier):
    monkeypatch.chdir(tmp_path)
    for name in ("v.npz", "m.npz"):
        Path(name).write_bytes(b"1")
    record = {"request": repeat.request({"imagenet": ("v.npz", "imagenet", "m.npz"), "seed": 3})}
    if earlier:  # a version that took one file kept its name
        record["request"]["imagenet"] = "v.npz"
        record["request"]["absolute"]["imagenet"] = str(tmp_path / "v.npz")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    found = repeat.options_of(json.loads(json.dumps(record)))["imagenet"]
    assert found == (
        (str(tmp_path / "v.npz"),) if earlier else (str(tmp_path / "v.npz"), "imagenet", str(tmp_path / "m.npz"))
    )
    (tmp_path / "v.npz").unlink()
    assert repeat.options_of(record)["imagenet"][0] == "v.npz"


def test_a_hash_of_arrays_follows_type_shape_and_order():
    values = np.arange(6, dtype=np.int32)
    hashes = {
        repeat.arrays_sha256(arrays)
        for arrays in (
            [values],
            [values.reshape(2, 3)],
            [values.astype(np.int64)],
            [values[:3], values[3:]],
            [values[::-1]],
        )
    }
    assert len(hashes) == 5
    assert repeat.arrays_sha256([values]) == repeat.arrays_sha256([values.copy()])
    assert repeat.arrays_sha256([np.array(["a", "bb"])]) != repeat.arrays_sha256([np.array(["ab", "b"])])
