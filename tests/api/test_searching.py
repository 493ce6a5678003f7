"""The bar over a search, and labelled fields through one."""

import contextlib

import painted
import pytest

from mitozoo.api import searching
from mitozoo.base.errors import DataError
from mitozoo.base.points import MITOTIC_FIGURE, Cell
from mitozoo.data.dataset import Field
from mitozoo.inference.session import Search, Settings
from mitozoo.models import zoo


@pytest.fixture
def bar(monkeypatch):
    """What the bar was told: its total, then each step."""
    told = []

    @contextlib.contextmanager
    def progress_bar(title, total, *, quiet):
        told.append((title, total))
        try:
            yield lambda done, note="": told.append((done, note))
        finally:
            told.append("closed")

    monkeypatch.setattr(searching, "progress_bar", progress_bar)
    return told


@pytest.fixture
def images(tmp_path):
    """Two images, and one between them that cannot be read."""
    for name in ("a.png", "c.png"):
        painted.save(tmp_path / name, painted.flat())
    (tmp_path / "b.png").write_bytes(b"")
    return [(name, tmp_path / name) for name in ("a.png", "b.png", "c.png")]


def test_one_model_counts_images_once_their_files_are_written(known_points, images, bar):
    for result, _ in searching.results_of(Search(zoo.load("colour")), images, quiet=True):
        bar.append(result.name)
    assert bar == [
        ("Searching", 3), "a.png", (1, "a.png"), "b.png", (2, "b.png"), "c.png", (3, "c.png"), "closed",
    ]  # fmt: skip


def test_models_and_views_are_counted(known_points, images, bar):
    loaded = zoo.load("colour")
    search = Search([loaded, loaded], Settings(tta=2))
    for result, _ in searching.results_of(search, images, quiet=True):
        bar.append(result.name)
    assert bar == [
        ("Searching", 12),
        (1, "a.png"), (2, "a.png"), (3, "a.png"), "a.png", (4, "a.png"),
        "b.png", (8, "b.png"),
        (9, "c.png"), (10, "c.png"), (11, "c.png"), "c.png", (12, "c.png"),
        "closed",
    ]  # fmt: skip


def test_fields_and_what_was_found_in_them(known_points, images):
    cell = Cell(40, 30, MITOTIC_FIGURE)
    a, b, c = images
    wanted = [(a, Field(a[1], "1", (cell,), um_per_px=0.25)), (c, Field(c[1], "2", ()))]
    truths, found, assumed = searching.search_fields(Search(zoo.load("colour")), wanted)
    assert [(item.name, item.case, len(item.mitoses)) for item in truths] == [("a.png", "1", 1), ("c.png", "2", 0)]
    assert [item.scores.tolist() for item in found] == [[pytest.approx(0.9), pytest.approx(0.4)]] * 2
    assert assumed == 1


def test_a_field_that_fails_closes_the_bar(known_points, images, bar):
    a, _, c = images
    wanted = [(a, Field(a[1], "1", ())), (c, Field(c[1], "2", ()))]
    search = Search(zoo.load("colour"))
    search.predictor.max_px = 100
    with pytest.raises(DataError, match="is 200 x 160 px") as caught:
        searching.search_fields(search, wanted)
    # While the error is on its way, and not once its traceback is forgotten.
    assert caught.tb is not None and bar == [("Fields", 2), "closed"]
