"""The examples in the docstrings of the public functions work, with the bundled weights where there are any."""

import doctest

import pytest
from painted import manifest, painted_weights  # noqa: F401

from mitozoo import api
from mitozoo.models import zoo


@pytest.fixture
def some_zoo(painted_weights, tmp_path, monkeypatch):  # noqa: F811
    if not (zoo.folder() / api.DEFAULT_MODEL / "manifest.json").exists():
        monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
        zoo.write_entry(tmp_path / "stn", manifest("stn", "stn"), painted_weights / "stn.weights.h5")


def test_examples(some_zoo):
    found = doctest.testmod(api)
    assert found.failed == 0 and found.attempted >= 8
