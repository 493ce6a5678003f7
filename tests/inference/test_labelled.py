"""Labelled cells of pictures whose colours say what the hand-set network answers."""

import dataclasses

import numpy as np
import painted
import pytest

from mitozoo.base.errors import DataError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.inference import labelled
from mitozoo.inference.labelled import Patches, mean_of, patch_probabilities
from mitozoo.models import zoo

#: Softmax of (10, 0, 0): the share of the right class, and of each other one.
RIGHT, WRONG = np.exp(10) / (np.exp(10) + 2), 1 / (np.exp(10) + 2)


@pytest.fixture
def loaded(painted_zoo):
    return zoo.load("colour")


def patch(path, colour, label, case="1", **settings):
    painted.save(path, painted.flat(colour, 128, 128))
    return Field(path, case, (Cell(63.5, 63.5, label),), complete=False, **settings)


def test_every_cell_gets_the_probabilities_of_its_window(loaded, tmp_path):
    fields = (
        patch(tmp_path / "a.png", painted.RED, MITOTIC_FIGURE),
        patch(tmp_path / "b.png", painted.GREEN, NON_MITOTIC, "2"),
        patch(tmp_path / "c.png", painted.BLUE, ATYPICAL, "2"),
    )
    done = []
    found = patch_probabilities(loaded, Dataset("set", fields), progress=done.append)
    np.testing.assert_allclose(
        found.probabilities, [[WRONG, RIGHT, WRONG], [WRONG, WRONG, RIGHT], [RIGHT, WRONG, WRONG]], rtol=1e-5
    )
    assert found.labels.tolist() == [1, 0, 2] and found.cases.tolist() == ["1", "2", "2"] and done == [1, 2, 3]


def test_batches_do_not_mix_up_the_cells(loaded, tmp_path, monkeypatch):
    monkeypatch.setattr(labelled, "_BATCH", 3)
    colours = [painted.RED, painted.GREEN, painted.BLUE, painted.RED, painted.BLUE, painted.GREEN, painted.RED]
    fields = [patch(tmp_path / f"{i}.png", colour, NON_MITOTIC) for i, colour in enumerate(colours)]
    # The last field has no cell: what waits must be classified all the same.
    fields.append(Field(tmp_path / "nothing.png", "1", complete=False))
    found = patch_probabilities(loaded, Dataset("set", tuple(fields)))
    assert found.probabilities.argmax(axis=1).tolist() == [1, 2, 0, 1, 0, 2, 1]


@pytest.mark.parametrize(("um_per_px", "flag"), [(0.5, None), (None, 0.5), (0.25, 0.5)])
def test_cells_of_another_spacing_are_found_at_their_place(loaded, tmp_path, um_per_px, flag):
    # At 0.5 µm the 64 px around each cell become the window of 128: all red for one cell, all green for the other.
    image = np.concatenate([painted.flat(painted.RED, 80, 70), painted.flat(painted.GREEN, 80, 70)], axis=1)
    painted.save(tmp_path / "a.png", image)
    cells = (Cell(40, 35, MITOTIC_FIGURE), Cell(120, 35, ATYPICAL))
    field = Field(tmp_path / "a.png", "1", cells, um_per_px=um_per_px)
    found = patch_probabilities(loaded, Dataset("set", (field,)), um_per_px=flag)
    np.testing.assert_allclose(found.probabilities, [[WRONG, RIGHT, WRONG], [WRONG, WRONG, RIGHT]], rtol=1e-5)


def test_a_cell_at_the_corner_sees_a_mirror(loaded, tmp_path):
    painted.save(tmp_path / "a.png", painted.flat(painted.RED, 40, 30))
    found = patch_probabilities(loaded, Dataset("set", (Field(tmp_path / "a.png", "1", (Cell(0, 0, ATYPICAL),)),)))
    np.testing.assert_allclose(found.probabilities, [[WRONG, RIGHT, WRONG]], rtol=1e-5)


def test_unlabelled_fields_are_left_out(loaded, tmp_path):
    seen = patch(tmp_path / "a.png", painted.RED, MITOTIC_FIGURE)
    unseen = patch(tmp_path / "b.png", painted.RED, MITOTIC_FIGURE, labelled=False)
    assert len(patch_probabilities(loaded, Dataset("set", (seen, unseen))).labels) == 1
    with pytest.raises(DataError) as caught:
        patch_probabilities(loaded, Dataset("set", (unseen,)))
    assert str(caught.value) == "set has no labelled cell to measure on. Check it with another --data-format."


def test_a_class_that_the_model_does_not_know(loaded, tmp_path):
    field = patch(tmp_path / "a.png", painted.RED, "tumour")
    with pytest.raises(DataError) as caught:
        patch_probabilities(loaded, Dataset("set", (field,)))
    assert str(caught.value) == (
        f"{tmp_path / 'a.png'}: class 'tumour' is not one of colour's: non_mitotic, mitotic_figure, "
        "atypical_mitotic_figure."
    )


def test_a_model_that_does_not_classify(loaded, tmp_path):
    other = dataclasses.replace(loaded, spec=dataclasses.replace(loaded.spec, outputs={"heatmap": (None, None)}))
    with pytest.raises(DataError) as caught:
        patch_probabilities(other, Dataset("set", ()))
    assert str(caught.value) == "colour does not classify patches. Measure it on fields with complete labels."


@pytest.mark.parametrize(("tta", "red_views"), [(1, 1), (2, 1), (4, 1), (8, 2)])
def test_views_are_averaged(loaded, tmp_path, tta, red_views):
    # The network looks at the first pixel alone, where each corner stands once in 4 views, and twice in 8.
    image = painted.flat(painted.BLUE, 128, 128)
    image[:64, :64] = painted.RED
    painted.save(tmp_path / "a.png", image)
    field = Field(tmp_path / "a.png", "1", (Cell(63.5, 63.5, MITOTIC_FIGURE),), complete=False)
    first = dataclasses.replace(
        loaded, model=lambda batch, training: {"logits": 10 * batch[:, 0, 0][:, [2, 0, 1]]}, decoder={}
    )
    found = patch_probabilities(first, Dataset("set", (field,)), tta=tta)
    share = red_views / tta
    expected = [share * WRONG + (1 - share) * RIGHT, share * RIGHT + (1 - share) * WRONG, WRONG]
    np.testing.assert_allclose(found.probabilities, [expected], rtol=1e-5)


def test_the_mean_of_models_by_the_names_of_their_classes():
    cases = np.array(["1", "2"])
    three = Patches(np.array([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1]]), np.array([1, 0]), cases)
    two = Patches(np.array([[0.9, 0.1], [0.4, 0.6]]), np.array([0, 1]), cases)
    names = [(NON_MITOTIC, MITOTIC_FIGURE, ATYPICAL), (MITOTIC_FIGURE, NON_MITOTIC)]
    found = mean_of([three, two], names, (MITOTIC_FIGURE, NON_MITOTIC))
    np.testing.assert_allclose(found.probabilities, [[(0.5 + 0.9) / 2, 0.3], [(0.2 + 0.4) / 2, 0.7]])
    assert found.labels.tolist() == [0, 1] and found.cases.tolist() == ["1", "2"]
    same = mean_of([three, three], [names[0]] * 2, names[0])
    np.testing.assert_allclose(same.probabilities, three.probabilities)
    assert same.labels.tolist() == [1, 0]
