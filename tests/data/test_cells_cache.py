"""The cache of collected cells."""

import numpy as np
import pytest

from mitozoo.base.points import CLASSES, Cell
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.data.cells_cache import cached, fingerprint
from mitozoo.data.dataset import Dataset, Field


def some_cells() -> Cells:
    canvases = np.random.default_rng(0).integers(0, 256, (3, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    return Cells(canvases, np.array([0, 1, 2], np.int32), np.array(["a", "b", "b"]), np.array(["field"] * 3), CLASSES)


def never() -> Cells:
    raise AssertionError("made anew")


def test_second_time_reads_what_the_first_stored(tmp_path):
    first = cached(tmp_path, "key", some_cells)
    second = cached(tmp_path, "key", never)
    np.testing.assert_array_equal(second.canvases, first.canvases)
    assert second.labels.tolist() == [0, 1, 2]
    assert second.cases.tolist() == ["a", "b", "b"]
    assert second.classes == CLASSES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key.canvases.npy", "key.npz"]


def test_damaged_cache_is_made_anew(tmp_path):
    cached(tmp_path, "key", some_cells)
    (tmp_path / "key.npz").write_bytes(b"PK\x03\x04 half a file")
    assert len(cached(tmp_path, "key", some_cells)) == 3
    assert len(cached(tmp_path, "key", never)) == 3


def test_without_folder_nothing_is_stored(tmp_path):
    assert len(cached(None, "key", some_cells)) == 3
    with pytest.raises(AssertionError):
        cached(None, "key", never)


def test_fingerprint_follows_labels_files_and_seed(tmp_path):
    image = tmp_path / "a.png"
    image.write_bytes(b"1")

    def key(label="mitotic_figure", seed=0):
        return fingerprint([Dataset("d", (Field(image, "case", (Cell(1, 2, label),)),))], [], CLASSES, seed)

    first = key()
    assert key() == first
    assert key(label="non_mitotic") != first
    assert key(seed=1) != first
    image.write_bytes(b"22")
    assert key() != first
