"""From paths to cells, plots of losses, and devices."""

import cv2
import numpy as np
import pytest

from mitozoo.base.errors import DataError, RecipeError
from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.training.data import in_classes, read_sets, training_cells
from mitozoo.training.devices import strategy
from mitozoo.training.plots import plot_history


def patch(path):
    image = np.full((128, 128, 3), (215, 190, 225), np.uint8)
    for point in ((64, 64), (64, 26), (100, 70)):
        cv2.circle(image, point, 7, (90, 30, 60), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)
    return path


def test_every_path_is_read_by_its_own_layout(tmp_path):
    patch(tmp_path / "one" / "mitosis" / "s1_1.png")
    patch(tmp_path / "two" / "patches" / "a.png")
    (tmp_path / "two" / "index.csv").write_text("file,label,dataset,slide\na.png,atypical,M,1\n")
    sets = read_sets([tmp_path / "one", tmp_path / "two"])
    assert [item.count("mitotic_figure") for item in sets] == [1, 0]
    assert [item.count("atypical_mitotic_figure") for item in sets] == [0, 1]
    assert read_sets([]) == []
    with pytest.raises(DataError, match="is in no known label format|could be"):
        read_sets([tmp_path])


def a_set(tmp_path, label):
    cells = (Cell(63.5, 63.5, label),) if label else ()
    name = f"{label}.png"
    return Dataset("set", (Field(patch(tmp_path / name), name, cells, 0.25, complete=not label),))


def test_cells_of_all_sets_and_a_cache(tmp_path):
    data = [a_set(tmp_path, label) for label in CLASSES[1:]]
    told = []
    cells = training_cells(
        data, [], CLASSES, seed=0, cache=tmp_path / "cache", progress=lambda done, total: told.append((done, total))
    )
    assert told == [(1, 2), (2, 2)]
    assert np.bincount(cells.labels[cells.origins == "labelled"], minlength=3).tolist() == [0, 1, 1]
    assert (cells.labels[cells.origins == "neighbour"] == 0).all()
    again = training_cells(data, [], CLASSES, seed=0, cache=tmp_path / "cache", progress=lambda *_: told.append("anew"))
    assert "anew" not in told
    np.testing.assert_array_equal(again.canvases, cells.canvases)
    training_cells(data, [], CLASSES, seed=1, cache=tmp_path / "cache", progress=lambda *_: told.append("anew"))
    assert "anew" in told


def test_labelled_mitotic_figures_are_no_negatives(tmp_path):
    data = a_set(tmp_path, "mitotic_figure")
    with pytest.raises(DataError) as error:
        training_cells([data], [data], CLASSES, seed=0)
    assert str(error.value) == (
        f"{tmp_path / 'mitotic_figure.png'} has labelled mitotic figures: give its folder with --data, not --negatives."
    )


@pytest.mark.parametrize("keys", [("loss",), ("loss", "val_loss")])
def test_one_panel_a_stage(tmp_path, keys):
    history = [
        {"epoch": i + 1, "stage": stage, **dict.fromkeys(keys, 1.0 / (i + 1))}
        for i, stage in enumerate(["classifier", "classifier", "localizer"])
    ]
    plot_history(history, tmp_path / "loss.png")
    image = cv2.imread(str(tmp_path / "loss.png"))
    # 1 + 3.6 inches a stage, 3.4 high, 130 dots an inch.
    assert image.shape == (round(3.4 * 130), round(8.2 * 130), 3)
    # The second curve, #1b7f79 in the order blue, green, red, is there if held-out cases are.
    teal = (np.abs(image.astype(int) - (0x79, 0x7F, 0x1B)).max(axis=-1) < 20).any()
    assert teal == ("val_loss" in keys)


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_device_is_tensorflows_own_choice(gpus, monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [tf.config.LogicalDevice("/gpu:0", kind)])
    assert strategy(gpus) is tf.distribute.get_strategy()


def test_more_gpus_than_there_are(monkeypatch):
    import tensorflow as tf

    monkeypatch.setattr(tf.config, "list_logical_devices", lambda kind: [tf.config.LogicalDevice("/gpu:0", kind)])
    with pytest.raises(RecipeError) as error:
        strategy(3)
    assert str(error.value) == "--gpus 3: TensorFlow finds 1 here. Give --gpus 1 or fewer."


def test_a_model_of_two_classes_takes_atypical_figures_as_mitotic(tmp_path):
    cells = (Cell(1, 1, ATYPICAL), Cell(2, 2, MITOTIC_FIGURE), Cell(3, 3, NON_MITOTIC))
    data = Dataset(name="d", fields=(Field(path=tmp_path / "a.png", case="1", cells=cells),))
    two = in_classes(data, (NON_MITOTIC, MITOTIC_FIGURE))
    assert [cell.label for cell in two.fields[0].cells] == [MITOTIC_FIGURE, MITOTIC_FIGURE, NON_MITOTIC]
    assert in_classes(data, CLASSES) is data
    assert in_classes(data, ("a", "b")) is data
