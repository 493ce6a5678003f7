"""The examples in the docstrings of the public functions work, with the bundled weights where there are any."""

import doctest

import pytest
from painted import manifest, painted_weights  # noqa: F401

from mitozoo.api import evaluating, exporting, loading, predicting
from mitozoo.models import zoo


@pytest.fixture
def some_zoo(painted_weights, tmp_path, monkeypatch):  # noqa: F811
    if not (zoo.folder() / loading.DEFAULT_MODEL / "manifest.json").exists():
        monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
        for name in ("stn", loading.DEFAULT_MODEL):
            zoo.write_entry(tmp_path / name, manifest(name, "stn"), painted_weights / "stn.weights.h5")


def test_examples(some_zoo):
    found = [doctest.testmod(module) for module in (evaluating, exporting, loading, predicting)]
    assert sum(one.failed for one in found) == 0 and sum(one.attempted for one in found) >= 8
