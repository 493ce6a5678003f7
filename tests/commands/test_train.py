"""`mitozoo train` from end to end on drawn patches and a drawn field."""

import csv
import hashlib
import json
import shutil
import sys

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from mitozoo.commands import cli
from mitozoo.data.synthetic import draw_field
from mitozoo.models import zoo


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Eight patches of four slides in AMi-Br's layout, and a field painted as ICPR 2012's."""
    folder = tmp_path_factory.mktemp("drawn")
    (folder / "ami" / "patches").mkdir(parents=True)
    rows = [["file", "label", "dataset", "slide", "x", "y", "phase_expert1", "phase_expert2"]]
    generator = np.random.default_rng(0)
    for i in range(8):
        name = f"p{i}.png"
        patch = generator.normal((215, 170, 205), 12, (128, 128, 3)).clip(0, 255).astype(np.uint8)
        for x, y in ((64, 64), (64, 30), (98, 70)):
            cv2.circle(patch, (x, y), 8, (50, 30, 80), -1)
        cv2.imwrite(str(folder / "ami" / "patches" / name), patch[..., ::-1])
        rows.append([name, ("normal", "atypical")[i % 2], "MIDOG21", f"00{i // 2}.tiff", 0, 0, "", ""])
    with (folder / "ami" / "index.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    (folder / "painted").mkdir()
    for i, name in enumerate(("A00_00.jpg", "A01_00.jpg")):
        field = draw_field(512, seed=i, mitoses=0).image.copy()
        cv2.circle(field, (50, 50), 12, (255, 255, 0), -1)
        cv2.imwrite(str(folder / "painted" / name), field[..., ::-1])
    (folder / "painted" / "mitoses.csv").write_text(
        "file,x,y,major_axis_px,minor_axis_px,um_per_px\nA00_00.jpg,50,50,24,24,0.2456\nA01_00.jpg,50,50,24,24,0.2456\n"
    )
    return folder


def run(drawn, out, *options, model="cnn12"):
    words = ["train", model, "--data", str(drawn / "ami"), "--negatives", str(drawn / "painted"), "--out", str(out)]
    return CliRunner().invoke(cli, [*words, "--preset", "quick", *options])


def test_folds_reports_and_resume(drawn, tmp_path):
    out, cache = tmp_path / "run", tmp_path / "cache"
    done = run(drawn, out, "--folds", "2", "--epochs", "1", "--cache", str(cache))
    assert done.exit_code == 0, done.output
    assert "Held-out slides, all: mitotic F1" in done.output
    record = json.loads((out / "run.json").read_text())
    assert record["recipe"]["stages"][0]["epochs"] == 1
    assert record["cells"]["mitotic_figure"] == record["cells"]["atypical_mitotic_figure"] == 4
    assert [item["name"] for item in record["data"]] == ["AMi-Br", "ICPR12 painted"]
    for kind in ("all", "one-to-one"):
        assert {"report.json", "report.html", "confusion.png", "classes.csv"} <= {
            path.name for path in (out / f"report-{kind}").iterdir()
        }
    assert len(list(cache.iterdir())) == 2

    again = run(drawn, out, "--folds", "2", "--epochs", "1")
    assert str(again.exception) == f"{out} holds a run already. Add --resume to go on with it, or choose another --out."
    resumed = run(drawn, out, "--folds", "2", "--epochs", "1", "--cache", str(cache), "--resume")
    assert resumed.exit_code == 0, resumed.output
    other = run(drawn, out, "--folds", "2", "--epochs", "2", "--resume")
    assert str(other.exception).startswith(f"{out} was started with another recipe or other data.")


def test_trained_weights_load_with_their_settings(drawn, tmp_path):
    out = tmp_path / "run"
    done = run(drawn, out, "--epochs", "3", "--validation", "0", model="stn")
    assert done.exit_code == 0, done.output
    loaded = zoo.load("stn", out / "model.weights.h5")
    assert loaded.model.get_layer("classifier").get_layer("dropout").rate == 0.4
    history = (out / "history.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in history[1:]] == ["classifier", "localizer", "whole"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--epochs", "2"], "stn trains in 3 stages: give --epochs 3 or more, not 2."),
        (["--lr", "0"], "Stage 'classifier': a learning rate of 0 is not between 0 and 10."),
        (["--folds", "50", "--epochs", "3"], "6 slides cannot be divided into 50 folds. Give --folds 2 to 6."),
    ],
)
def test_what_makes_no_sense_is_refused(drawn, tmp_path, options, text):
    assert str(run(drawn, tmp_path / "run", *options, model="stn").exception) == text


def test_labelled_fields_are_no_negatives(drawn, tmp_path):
    words = ["train", "cnn12", "--data", str(drawn / "ami"), "--negatives", str(drawn / "ami"), "--out", str(tmp_path)]
    error = str(CliRunner().invoke(cli, words).exception)
    assert error.endswith("has labelled mitotic figures: give its folder with --data, not --negatives.")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def again(*words):
    return CliRunner().invoke(cli, ["train", *map(str, words)])


def test_a_run_is_repeated_to_the_last_bit(drawn, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    done = run(drawn, first, "--folds", "2", "--epochs", "2", "--seed", "3", "--lr", "0.0007")
    assert done.exit_code == 0, done.output
    done = again("--from-run", first, "--out", second, "--quiet")
    assert done.exit_code == 0, done.output
    for fold in ("fold_0", "fold_1"):
        assert sha256(first / fold / "model.weights.h5") == sha256(second / fold / "model.weights.h5")
        assert (first / fold / "history.csv").read_text() == (second / fold / "history.csv").read_text()
    before, after = (json.loads((out / "run.json").read_text()) for out in (first, second))
    differ = {key for key in before if before[key] != after[key]}
    assert differ <= {"command", "hours"}
    # A repetition can be repeated, and says again what it was asked.
    assert before["request"]["data"] == [str(drawn / "ami")] and before["request"]["lr"] == 0.0007
    assert (before["seed"], before["precision"], before["validation"]) == (3, "float32", 0.1)

    error = again("--from-run", first, "--out", tmp_path / "third", "--folds", "3").exception
    assert str(error) == f"--from-run repeats {first} as it was, and --folds says otherwise. Leave it out."
    error = again("cnn12", "--from-run", first, "--out", second, "--folds", "2").exception
    assert str(error) == f"{second} holds a run already. Add --resume to go on with it, or choose another --out."


def test_places_that_are_left_out(drawn, tmp_path):
    places = tmp_path / "places.csv"
    places.write_text("image,x_px,y_px\n" + "".join(f"A00_00.jpg,{x},{y}\n" for x in (128, 384) for y in (128, 384)))
    first, second, plain = (tmp_path / name for name in ("first", "second", "plain"))
    done = run(drawn, first, "--epochs", "1", "--leave-out", str(places))
    assert done.exit_code == 0, done.output
    assert run(drawn, plain, "--epochs", "1").exit_code == 0
    left, every = (json.loads((out / "run.json").read_text())["cells"] for out in (first, plain))
    assert 0 < left["non_mitotic"] < every["non_mitotic"]
    assert left["mitotic_figure"] == every["mitotic_figure"]

    done = again("--from-run", first, "--out", second, "--quiet")
    assert done.exit_code == 0, done.output
    assert sha256(first / "model.weights.h5") == sha256(second / "model.weights.h5")
    places.write_text("image,x_px,y_px\nA00_00.jpg,100,100\n")
    error = again("--from-run", first, "--out", tmp_path / "third").exception
    assert str(error).startswith(f"ICPR12 painted has changed since {first}, in the labels.")


def test_a_run_on_changed_data_is_not_repeated(drawn, tmp_path):
    shutil.copytree(drawn, tmp_path / "drawn")
    out = tmp_path / "run"
    assert run(tmp_path / "drawn", out, "--epochs", "1").exit_code == 0
    index = tmp_path / "drawn" / "ami" / "index.csv"
    index.write_text(index.read_text().replace("p0.png,normal", "p0.png,atypical"))
    error = again("--from-run", out, "--out", tmp_path / "again").exception
    assert str(error) == (
        f"AMi-Br has changed since {out}, in the labels. Bring the data back as they were, or train without --from-run."
    )
    assert not (tmp_path / "again").exists()


def test_a_taken_folder_is_refused_before_anything_is_read(drawn, tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("mine")
    monkeypatch.setattr("mitozoo.api.training.read", None)
    error = run(drawn, tmp_path).exception
    assert str(error) == f"{tmp_path} is not empty and holds no run. Choose another --out."


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--out", "x"], "Missing argument 'MODEL'. Give it, or repeat a run with --from-run."),
        (["cnn12", "--out", "x"], "Missing option '--data'. Give it, or repeat a run with --from-run."),
    ],
)
def test_what_must_be_given(words, text):
    done = again(*words)
    assert done.exit_code == 2
    assert text in done.output


def test_mlflow_is_asked_for_before_anything_is_read(drawn, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setattr("mitozoo.api.training.read", None)
    error = run(drawn, tmp_path / "run", "--mlflow", "here").exception
    assert str(error) == "--mlflow needs the package mlflow: pip install 'mitozoo[mlflow]'."
