"""The README's table of models is what the manifests say, also of an empty zoo and of figures that nobody measured."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import painted
import pytest
from painted import painted_weights  # noqa: F401

from mitozoo.models import zoo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script():
    place = importlib.util.spec_from_file_location("model_table", ROOT / "scripts" / "model_table.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_the_readme_has_the_table_of_now(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["model_table.py", "--check"])
    assert script.main() == 0, "run python scripts/model_table.py"


def test_an_empty_zoo(script, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
    assert script.table() == "No weights yet."


def test_a_figure_that_nobody_measured_is_a_dash(script, painted_weights, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
    monkeypatch.setattr(script, "SPEED", tmp_path / "none.json")
    results = {"f1": 0.12345, "recall": 0.9, "fp_per_mm2_fields": 2.0, "patch_mitotic_f1": 1}
    manifest = dataclasses.replace(painted.manifest("colour", "cnn12"), results=results)
    zoo.write_entry(tmp_path / "colour", manifest, painted_weights / "colour.weights.h5")
    cells, fields = (part.splitlines() for part in script.table().split("\n\n"))
    assert cells[-1] == "| [colour](zoo/colour/CARD.md) | 13,731 | – | 1.000 | – | – | 0.90 | – | 0.12 |"
    assert fields[-1] == "| [colour](zoo/colour/CARD.md) | 13,731 | – | – | – | – | – |"


def test_what_was_found_in_fields_comes_from_the_measurement(script, painted_weights, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path)
    monkeypatch.setattr(script, "MEASURED", tmp_path)
    manifest = dataclasses.replace(painted.manifest("colour", "cnn12"), results={"composed_f1": 0.5})
    zoo.write_entry(tmp_path / "colour", manifest, painted_weights / "colour.weights.h5")
    measured = {
        "composed": {"precision": 0.5, "recall": 0.25, "f1": 1 / 3},
        "painted": {"fp_per_mm2": 2.04},
        "frames": {"tp": 1, "fp": 2, "fn": 3},
    }
    speed = tmp_path / "speed.json"
    speed.write_text(json.dumps({"colour": {"median_s": 0.449}, "other": {"median_s": 7}}))
    monkeypatch.setattr(script, "SPEED", speed)
    (tmp_path / "colour.json").write_text(json.dumps(measured))
    cells, fields = (part.splitlines() for part in script.table().split("\n\n"))
    assert len(cells) == 2
    assert fields[-1] == "| [colour](zoo/colour/CARD.md) | 13,731 | 0.50, 0.25 | 0.33 | 2.0 | 1, 2, 3 | 0.4 |"


def test_only_what_is_between_the_markers_changes_and_only_when_asked(script, tmp_path, monkeypatch):
    readme = tmp_path / "README.md"
    old = "# x\n<!-- models -->\n| 1 |\n<!-- /models -->\ntail\n"
    readme.write_text(old)
    monkeypatch.setattr(script, "README", readme)
    monkeypatch.setattr(sys, "argv", ["model_table.py", "--check"])
    assert script.main() == 1 and readme.read_text() == old
    monkeypatch.setattr(sys, "argv", ["model_table.py"])
    assert script.main() == 0
    assert readme.read_text() == f"# x\n<!-- models -->\n{script.table()}\n<!-- /models -->\ntail\n"
