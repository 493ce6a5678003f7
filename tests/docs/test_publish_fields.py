"""An entry of the zoo that is measured anew keeps its weights and how they were made."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest

from mitozoo.models import zoo

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    place = importlib.util.spec_from_file_location("publish_fields", ROOT / "scripts" / "publish_fields.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    shutil.copytree(ROOT / "zoo" / "unet", tmp_path / "zoo" / "unet")
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path / "zoo")
    monkeypatch.setattr(module, "FIELDS", tmp_path)
    monkeypatch.setattr(module, "SPEED", tmp_path / "speed.json")
    return module


def test_a_new_measurement_changes_figures_alone(script, tmp_path, monkeypatch):
    before, card = zoo.manifest("unet"), zoo.card("unet")
    measured = {
        "threshold": 0.25,
        "decoder": {"level": 0.125},
        "composed": {"mitotic_figures": 8, "precision": 0.5, "recall": 0.25, "f1": 1 / 3},
        "painted": {"mm2": 2.0, "fp_per_mm2": 1.5},
        "frames": {"tp": 1, "fp": 2, "fn": 3},
        "seconds_a_field": 99.0,
    }
    (tmp_path / "new.json").write_text(json.dumps(measured))
    (tmp_path / "speed.json").write_text(json.dumps({"unet": {"median_s": 4.5}}))
    monkeypatch.setattr(sys, "argv", ["publish_fields.py", "unet", "--measured", str(tmp_path / "new.json")])
    script.main()
    after = zoo.manifest("unet")
    assert after.weights == before.weights and zoo.verify("unet")
    assert (after.threshold, dict(after.decoder), after.command) == (0.25, {"level": 0.125}, before.command)
    assert after.results == {
        "composed_precision": 0.5, "composed_recall": 0.25, "composed_f1": 0.3333, "fp_per_mm2_fields": 1.5,
        "seconds_a_field": 4.5,
    }  # fmt: skip
    lines, old = zoo.card("unet").splitlines(), card.splitlines()
    start, end = old.index(script.MEASURED), old.index(script.LIMITS)
    assert lines[:start] == old[:start]
    assert lines[lines.index(script.LIMITS) :] == old[end:]
    assert "| F1 | 0.333 |" in lines and "| clean frames of MITOS-ATYPIA-14: found, false, missed | 1, 2, 3 |" in lines
    assert json.loads((tmp_path / "unet.json").read_text()) == measured | {"seconds_a_field": 4.5}
