"""The rows of the papers' comparisons are trainings that there are."""

import importlib.util
import sys
from pathlib import Path

from mitozoo.models.layers.transfer_score import GAMMAS
from mitozoo.training.changes import varied

PATH = Path(__file__).resolve().parents[2] / "benchmarks" / "field_rows.py"


def test_every_row_is_a_recipe_and_only_equal_trainings_share_a_folder(monkeypatch):
    spec = importlib.util.spec_from_file_location("field_rows", PATH)
    rows = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "field_rows", rows)
    spec.loader.exec_module(rows)
    found = {}
    for title, group in rows.GROUPS.items():
        for row in group.rows:
            chosen = varied(group.model, "quick", epochs=group.epochs, changes=[*group.changes, *row.changes])
            assert chosen.settings.get("gamma", "1-layer") in GAMMAS
            found.setdefault(rows.folder_of(group, row), []).append((title, chosen))
    shared = {folder: [title for title, _ in each] for folder, each in found.items() if len(each) > 1}
    # The default transfer function, trained as the paper ends up with, is a row of both tables.
    assert shared == {"partmitosis-plain": ["training", "transfer"]}
    assert all(chosen == each[0][1] for each in found.values() for _, chosen in each)
