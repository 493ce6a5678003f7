"""`mitozoo data compose` as a user runs it."""

import json

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from mitozoo.base.errors import OutputError, UnknownNameError
from mitozoo.commands import cli
from mitozoo.data import formats


def run(*words):
    return CliRunner().invoke(cli, ["data", "compose", *map(str, words)])


@pytest.fixture
def sources(tmp_path):
    """Two patches of two slides, and two clean fields of two more."""
    rng = np.random.default_rng(0)
    (tmp_path / "ami" / "patches").mkdir(parents=True)
    rows = ["file,label,dataset,slide"]
    for slide in ("a", "b"):
        image = np.clip(np.array([200, 170, 215]) + rng.normal(0, 6, (128, 128, 3)), 0, 255).astype(np.uint8)
        cv2.ellipse(image, (64, 64), (12, 6), 30, 0, 360, (90, 25, 55), -1)
        cv2.imwrite(str(tmp_path / "ami" / "patches" / f"{slide}.png"), image)
        rows.append(f"{slide}.png,atypical,M,{slide}")
    (tmp_path / "ami" / "index.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "fields").mkdir()
    rows = ["image,x_px,y_px,label,case"]
    for case in ("c", "d"):
        image = np.clip(np.array([205, 165, 220]) + rng.normal(0, 6, (400, 400, 3)), 0, 255).astype(np.uint8)
        for x in range(40, 400, 64):
            for y in range(40, 400, 64):
                cv2.circle(image, (x, y), 8, (165, 95, 135), -1)
        cv2.imwrite(str(tmp_path / "fields" / f"{case}.png"), image)
        rows.append(f"{case}.png,,,,{case}")
    (tmp_path / "fields" / "points.csv").write_text("\n".join(rows) + "\n")
    parts = {"parts": {"train": ["M/a", "c"], "test": ["M/b", "d"]}}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    return ["--patches", tmp_path / "ami", "--fields", tmp_path / "fields", "--per-mm2", 400]


def test_fields_of_a_part(sources, tmp_path):
    out = tmp_path / "out"
    done = run(*sources, "--out", out, "--split", tmp_path / "split.json", "--part", "test", "--rounds", 2)
    assert done.exit_code == 0, done.output
    assert f"Composed: {out}. Next: mitozoo data check {out}" in done.output
    dataset = formats.read(out)
    assert dataset.cases == ["d"] and len(dataset.fields) == 2
    text = (out / "cells.csv").read_text()
    assert ",M/b," in text and ",M/a," not in text
    record = json.loads((out / "composed.json").read_text())
    assert record["command"].startswith("mitozoo") and record["part"] == "test"
    assert record["counts"]["mitotic_figures"] == dataset.count("atypical_mitotic_figure") >= 4
    checked = CliRunner().invoke(cli, ["data", "check", str(out)])
    assert checked.exit_code == 0 and "composed" in checked.output


def test_a_place_that_is_taken_and_a_part_that_is_not_there(sources, tmp_path):
    (tmp_path / "out").mkdir()
    done = run(*sources, "--out", tmp_path / "out")
    assert isinstance(done.exception, OutputError)
    assert str(done.exception) == f"{tmp_path}/out exists already. Choose another --out, or remove it."
    done = run(*sources, "--out", tmp_path / "new", "--split", tmp_path / "split.json", "--part", "tests")
    assert isinstance(done.exception, UnknownNameError)
    assert str(done.exception) == "No part of the split named 'tests'. Did you mean 'test'?"
    assert not (tmp_path / "new").exists()
