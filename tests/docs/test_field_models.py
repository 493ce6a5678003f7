"""What an entry's measurement keeps of the one that chose its decoder."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, "field_models", raising=False)
    import field_models

    return field_models


def test_choices_stay_where_the_decoder_is_the_same(benchmark, tmp_path):
    before = {"model": "unet", "decoder": {"level": 0.3}, "threshold": 0.5, "grid": [1], "overlaps": [2], "f1": 0.1}
    (tmp_path / "old.json").write_text(json.dumps(before))
    new = before | {"grid": [], "overlaps": [], "f1": 0.2}
    assert benchmark.with_choices(new, tmp_path / "old.json") == before | {"f1": 0.2}
    for change in ({"threshold": 0.6}, {"decoder": {"level": 0.4}}, {"grid": [3], "overlaps": [4]}):
        assert benchmark.with_choices(new | change, tmp_path / "old.json") == new | change
    assert benchmark.with_choices(new, tmp_path / "none.json") == new
