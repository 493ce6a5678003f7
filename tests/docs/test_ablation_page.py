"""The tables of docs/scout.md are those of the stored measurement."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script():
    place = importlib.util.spec_from_file_location("ablation_page", ROOT / "scripts" / "ablation_page.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def row(name, f1, given=None):
    best = {"f1": f1, "recall": 0.75, "fp_per_mm2_fields": 0.04, "fp_per_mm2_patches": 1.96}
    return {"name": name, "patches": 7, "best": best, "given": given, "auc": 0.98765, "atypical": 0.5}


def test_the_page_has_the_tables_of_now(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ablation_page.py", "--check"])
    assert script.main() == 0, "run python scripts/ablation_page.py"


def test_rows_go_to_their_table(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "PAGE", tmp_path / "scout.md")
    monkeypatch.setattr(script, "STORED", tmp_path / "kept" / "ablation.json")
    script.PAGE.write_text("a\n<!-- parts -->\n<!-- /parts -->\nb\n<!-- domains -->\nold\n<!-- /domains -->\nc\n")
    rows = {"all": row("all", 0.5), "without X": row("without X", 0.4, {"f1": 0.3})}
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    monkeypatch.setattr(sys, "argv", ["ablation_page.py", "--rows", str(tmp_path / "rows.json")])
    assert script.main() == 0
    lines = script.PAGE.read_text().splitlines()
    assert "| all | 7 | 0.500 | 0.750 | 0.0 | 2.0 | 0.500 | 0.988 | 0.500 |" in lines
    assert "| without X | 7 | 0.400 | 0.750 | 0.0 | 2.0 | 0.300 | 0.988 | 0.500 |" in lines
    assert [lines.index(mark) for mark in ("a", "b", "c")] == [0, 6, 12]
    assert json.loads(script.STORED.read_text()) == rows
    monkeypatch.setattr(sys, "argv", ["ablation_page.py", "--check"])
    assert script.main() == 0
    script.PAGE.write_text(script.PAGE.read_text().replace("0.300", "0.900"))
    assert script.main() == 1
