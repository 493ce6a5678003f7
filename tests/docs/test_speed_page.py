"""The tables of docs/speed.md are those of the stored measurements."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script():
    place = importlib.util.spec_from_file_location("speed_page", ROOT / "scripts" / "speed_page.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_the_page_has_the_tables_of_now(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["speed_page.py", "--check"])
    assert script.main() == 0, "run python scripts/speed_page.py"


def test_a_table_is_what_was_measured_and_the_rest_stays(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "PAGE", tmp_path / "speed.md")
    monkeypatch.setattr(script, "STORED", tmp_path)
    blocks = [f"<!-- {name} -->\nstale\n<!-- /{name} -->" for name in script.TABLES]
    script.PAGE.write_text("\n".join(["before", *blocks, "after"]) + "\n")
    kills = {"kills": 100, "runs": 61, "equal": 61, "seconds": 7.6}
    (tmp_path / "kill_resume.json").write_text(json.dumps(kills))
    monkeypatch.setattr(sys, "argv", ["speed_page.py"])
    assert script.main() == 0
    text = script.PAGE.read_text()
    assert "| 100 | 61 | 61 | 8 |" in text and text.startswith("before\n") and text.endswith("after\n")
    assert text.count("Not measured yet.") == len(script.TABLES) - 1 and "stale" not in text
    monkeypatch.setattr(sys, "argv", ["speed_page.py", "--check"])
    assert script.main() == 0
    script.PAGE.write_text(text.replace("| 61 | 61 |", "| 61 | 60 |"))
    assert script.main() == 1
