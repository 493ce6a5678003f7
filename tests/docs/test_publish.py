"""Weights of the zoo as 16-bit numbers."""

import importlib.util
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    sys.path.insert(0, str(ROOT / "scripts"))
    place = importlib.util.spec_from_file_location("publish", ROOT / "scripts" / "publish.py")
    module = importlib.util.module_from_spec(place)
    place.loader.exec_module(module)
    return module


def test_what_16_bits_do_not_hold_stays_in_32(script, tmp_path):
    # 65504 is the largest number of 16 bits; a variance beyond it would be infinite.
    given = {"small": [1.0, -2.5], "edge": [65504.0], "large": [3.0, 65536.0], "below": [-1e6], "none": []}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, values in given.items():
            file.create_dataset(f"layers/{name}", data=np.array(values, np.float32))
        file.create_dataset("count", data=np.array([7]))
        file["layers"].attrs["name"] = "x"
    script.halve(tmp_path / "a.h5", tmp_path / "b.h5")
    with h5py.File(tmp_path / "b.h5") as file:
        kinds = {name: file[f"layers/{name}"].dtype for name in given}
        assert kinds == {"small": "f2", "edge": "f2", "large": "f4", "below": "f4", "none": "f2"}
        for name, values in given.items():
            np.testing.assert_array_equal(file[f"layers/{name}"][()], np.array(values, np.float32))
        assert file["count"][0] == 7 and file["layers"].attrs["name"] == "x"


CARD = """# scout: a title

Source: mitozoo.

## Made by
`mitozoo train scout --seed 1`

Seed 1, 0.66 hours on 2 CPU cores, 2026-11-21. Stored in float16.
Began with the weights of `mitozoo train scout`, seed 0, 0.56 hours.
Cells: 3 non_mitotic.
"""


def test_what_weights_began_with(script, tmp_path, monkeypatch):
    assert script.began_with({"init": None}) == script.began_with({"init": "other.weights.h5"}) == []
    monkeypatch.setattr(script.zoo, "folder", lambda: tmp_path)
    (tmp_path / "scout").mkdir()
    (tmp_path / "scout" / "CARD.md").write_text(CARD, encoding="utf-8")
    assert script.began_with({"init": "zoo:scout"}) == [
        "Began with the zoo's weights of before: `mitozoo train scout --seed 1`. Seed 1, 0.66 hours on 2 CPU cores, "
        "2026-11-21. Stored in float16.",
        "Began with the weights of `mitozoo train scout`, seed 0, 0.56 hours.",
    ]


def test_what_weights_of_a_card_about_fields_began_with(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script.zoo, "folder", lambda: tmp_path)
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / "CARD.md").write_text(
        "# unet\n\n## Made by\n`train`\n\nSeed 0.\nLearnt from 9 composed fields.\n\nData:\n- a\n", encoding="utf-8"
    )
    assert script.began_with({"init": "zoo:unet"}) == ["Began with the zoo's weights of before: `train`. Seed 0."]


def test_a_threshold_that_was_chosen_elsewhere_brings_its_own_figures(script):
    detector = {
        "patches": 3,
        "best": {"threshold": 0.5, "f1": 0.9},
        "domains": {"a": {"f1": 0.9}},
        "given": {"threshold": 0.8, "f1": 0.7},
        "given_domains": {"a": {"f1": 0.7}},
    }
    found = script.at_given(detector)
    assert found["best"] == {"threshold": 0.8, "f1": 0.7} and found["domains"] == {"a": {"f1": 0.7}}
    assert found["patches"] == 3 and detector["best"]["threshold"] == 0.5
