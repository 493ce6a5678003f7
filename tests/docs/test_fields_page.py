"""The tables of docs/fields.md are those of the stored measurements."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script():
    place = importlib.util.spec_from_file_location("fields_page", ROOT / "scripts" / "fields_page.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_the_page_has_the_tables_of_now(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fields_page.py", "--check"])
    assert script.main() == 0, "run python scripts/fields_page.py"


def test_the_curve_takes_the_best_of_every_weight(script):
    grid = [{"fusion": w, "level": 0.5, "f1": f1} for w, f1 in ((1.0, 0.2), (0.5, 0.6), (0.5, 0.7), (1.0, 0.1))]
    assert script.best_by_fusion(grid) == {0.5: 0.7, 1.0: 0.2}


def test_rows_go_to_their_table_and_the_curve_to_its_picture(script, tmp_path, monkeypatch):
    for name in ("PAGE", "MEASURED", "ROWS", "WIDTHS", "SPEED", "PICTURE"):
        path = tmp_path / getattr(script, name).relative_to(script.DOCS)
        path.parent.mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(script, name, path)
    places = ("augmentation", "training", "transfer", "fusion", "rivals", "overlaps", "widths")
    script.PAGE.write_text("".join(f"<!-- {name} -->\nold\n<!-- /{name} -->\n" for name in places))
    own = {"precision": 0.25, "recall": 0.5, "f1": 1 / 3}
    row = {"name": "as they are", "paper": 0.018, "validation_f1": 0.1, "composed": own, "hours": 0.1}
    row |= {"painted": {"fp_per_mm2": 2.04}, "command": "mitozoo train unet --data /where/it/lies/composed"}
    row |= {"decoder": {"level": 0.3}}
    fused = row | {"name": "1-layer", "decoder": {"fusion": 0.6}, "strong_alone_f1": 0.04}
    rows = {"augmentation": {"as they are": row}, "transfer": {"1-layer": fused}}
    (tmp_path / "new.json").write_text(json.dumps(rows))
    measured = {"composed": own, "painted": {"fp_per_mm2": 3.0}, "seconds_a_field": 9.87}
    grid = [{"fusion": 0.0, "f1": 0.5}, {"fusion": 0.6, "f1": 0.75}]
    over = [{"overlap": 0.5, "f1": 0.75, "seconds_a_field": 12.0}]
    (script.MEASURED / "maskrcnn-slim.json").write_text(json.dumps(measured))
    (script.MEASURED / "partmitosis-slim.json").write_text(json.dumps(measured | {"grid": grid, "overlaps": over}))
    script.SPEED.write_text(json.dumps({"maskrcnn-slim": {"median_s": 8.76}}))
    monkeypatch.setattr(sys, "argv", ["fields_page.py", "--rows", str(tmp_path / "new.json")])
    assert script.main() == 0
    lines = script.PAGE.read_text().splitlines()
    assert "| as they are | 0.018 | 0.100 | 0.250 | 0.500 | 0.333 | 2.0 | 6 |" in lines
    assert "| 1-layer | 0.018 | 0.100 | 0.250 | 0.500 | 0.333 | 2.0 | 6 | 0.6 | 0.040 |" in lines
    assert "| F1 | 0.500 | 0.750 |" in lines
    assert "| maskrcnn-slim | 0.860 | 0.250 | 0.500 | 0.333 | 3.0 | 8.8 |" in lines
    assert "| partmitosis-slim | 0.5 | 0.750 | 12.0 |" in lines
    # Where data lie on somebody's machine is nobody else's.
    kept = json.loads(script.ROWS.read_text())["augmentation"]["as they are"]["command"]
    assert kept == "mitozoo train unet --data composed"
    assert lines.count("Not measured yet.") == 2  # training, widths
    assert script.PICTURE.read_bytes().startswith(b"\x89PNG")
    monkeypatch.setattr(sys, "argv", ["fields_page.py", "--check"])
    assert script.main() == 0
    script.PAGE.write_text(script.PAGE.read_text().replace("0.333", "0.999"))
    assert script.main() == 1
