"""`mitozoo transfer` from end to end on drawn patches."""

import csv
import json

import cv2
import numpy as np
import pytest

from mitozoo.commands import main
from mitozoo.models import zoo_source
from mitozoo.models.zoo_source import load_source


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """Twelve patches of four cases in AMi-Br's layout, of two data sets."""
    folder = tmp_path_factory.mktemp("target")
    (folder / "patches").mkdir()
    rows = ["file,label,dataset,slide,x,y,phase_expert1,phase_expert2"]
    generator = np.random.default_rng(0)
    for i in range(12):
        patch = generator.normal((215, 170, 205), 12, (128, 128, 3)).clip(0, 255).astype(np.uint8)
        for x, y in ((64, 64), (64, 26), (101, 64)):
            cv2.circle(patch, (x, y), 8, (50, 30, 80), -1)
        cv2.imwrite(str(folder / "patches" / f"p{i}.png"), patch[..., ::-1])
        dataset = "OTHER" if i >= 8 else "MIDOG21"
        rows.append(f"p{i}.png,{('normal', 'atypical')[i % 2]},{dataset},00{i // 2}.tiff,{1000 * i},0,,")
    (folder / "index.csv").write_text("\n".join(rows) + "\n")
    return folder


def run(capsys, *words):
    with pytest.raises(SystemExit) as end:
        main([*map(str, words), "--quiet"])
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def test_curves(target, painted_zoo, tmp_path, capsys):
    out = tmp_path / "study"
    words = ["transfer", "--from", "zoo:colour", "--data", target, "--domain", "MIDOG21", "--out", out]
    words += ["--fractions", "1", "--repeats", "2", "--windows", "32"]
    code, said, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert said.splitlines()[-1] == f"Curve: {out / 'transfer.png'}"
    rows = list(csv.DictReader((out / "transfer.csv").open()))
    # Four slides of two figures in two parts: two slides to learn from.
    found = [(row["start"], row["mitotic_figures"]) for row in rows]
    assert found == [("source", "0.0"), ("source", "4.0"), ("scratch", "4.0")]
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "complete" and record["domains"] == ["MIDOG21"] and record["source"] == "colour"
    code, _, err = run(capsys, *words)
    assert code == 2 and "holds a run already. Add --resume" in err
    assert run(capsys, *words, "--resume")[0] == 0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (["--domain", "MIDOG22"], "No domain named 'MIDOG22'. Did you mean 'MIDOG21'?"),
        (["--imagenet", "none.npz"], "cnn12 has no encoder that ImageNet weights exist for."),
        (["--fractions", "2"], "--fractions are shares above 0 and up to 1, got 2."),
        (["--fractions", "many"], "'many' is not a list of shares such as 0.1,0.5,1."),
    ],
)
def test_what_is_refused(target, painted_zoo, tmp_path, capsys, change, text):
    code, _, err = run(capsys, "transfer", "--from", "zoo:colour", "--data", target, "--out", tmp_path / "s", *change)
    assert code == 2 and text in err
    assert not (tmp_path / "s").exists()


def test_sources(painted_zoo, painted_weights, tmp_path):
    from mitozoo.base.errors import UnknownNameError, WeightsError

    assert load_source("zoo:colour").name == "colour"
    with pytest.raises(UnknownNameError):
        load_source("zoo:color")
    with pytest.raises(WeightsError, match="Give a run's folder, a .weights.h5 file, or zoo:"):
        load_source(str(tmp_path / "none"))
    weights = tmp_path / zoo_source._WEIGHTS
    weights.write_bytes((painted_weights / "stn.weights.h5").read_bytes())
    with pytest.raises(WeightsError, match="does not say which model"):
        load_source(str(tmp_path))
    (tmp_path / "run.json").write_text('{"model": "stn"}')
    assert load_source(str(tmp_path)).spec.name == "stn"
    assert load_source(str(weights)).spec.name == "stn"
