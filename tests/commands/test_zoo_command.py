import hashlib
import json

import click.testing
import pytest

from mitozoo.commands import cli, main
from mitozoo.models import registry, zoo, zoo_manifest
from mitozoo.models.registry import ModelSpec
from mitozoo.models.zoo_manifest import Manifest, WeightsFile

CONTENT = b"not loaded by these tests"


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """A zoo with one entry, "tiny-slim", of an architecture "tiny"; its weights are at a file URL."""
    spec = ModelSpec(
        name="tiny",
        title="Tiny",
        task="classify",
        input_px=2,
        outputs={"y": (2,)},
        params=1234567,
        source="these tests",
    )
    monkeypatch.setattr(registry, "_BUILDERS", {"tiny": (spec, lambda: None)})
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path / "zoo")
    monkeypatch.setenv("MITOZOO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "far.h5").write_bytes(CONTENT)
    weights = WeightsFile(
        file="tiny.weights.h5",
        urls=((tmp_path / "far.h5").as_uri(),),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        bytes=len(CONTENT),
    )
    manifest = Manifest(
        model="tiny", title="A slim tiny", version="1", weights=weights, um_per_px=0.25, input_px=2, classes=("a", "b"),
        threshold=0.5, licence="CC0", trained_on=("nothing",), command="mitozoo train tiny", seed=0, machine="a desk",
        date="2026-01-31", results={"f1": 0.875},
    )  # fmt: skip
    folder = tmp_path / "zoo" / "tiny-slim"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(zoo_manifest.to_json(manifest), encoding="utf-8")
    (folder / "CARD.md").write_text("# Limits\n\nNever for a diagnosis.\n", encoding="utf-8")
    return folder


def run(*args):
    return click.testing.CliRunner().invoke(cli, ["zoo", *args], catch_exceptions=False)


def test_list_as_json(entry):
    assert json.loads(run("list", "--json").output) == [
        {
            "name": "tiny-slim",
            "title": "A slim tiny",
            "model": "tiny",
            "task": "classify",
            "params": 1234567,
            "f1": 0.875,
            "bytes": 25,
            "weights": "remote",
        }
    ]


def test_list_as_a_table(entry):
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in run("list").output.splitlines() if "│" in line]
    assert rows == [["tiny-slim", "classify", "1,234,567", "0.875", "0.0 MB", "remote"]]


def test_list_of_an_empty_zoo(entry, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "folder", lambda: tmp_path / "nowhere")
    assert run("list").output == "The zoo has no trained weights yet. Train a model with 'mitozoo train'.\n"
    assert run("list", "--json").output == "[]\n"


def test_show_gives_manifest_and_card(entry):
    output = run("show", "tiny-slim").output
    assert json.loads(output[: output.rindex("}") + 1]) == json.loads((entry / "manifest.json").read_text())
    assert "Never for a diagnosis." in output


def test_fetch_then_verify(entry, tmp_path):
    path = tmp_path / "cache" / "tiny-slim" / hashlib.sha256(CONTENT).hexdigest()[:12] / "tiny.weights.h5"
    assert run("verify").output == "tiny-slim: not fetched yet\n"
    assert run("fetch", "tiny-slim").output == f"The weights of tiny-slim are at {path}.\n"
    assert path.read_bytes() == CONTENT


def test_verify_tells_what_is_wrong_and_exits_with_2(entry, capsys):
    (entry / "tiny.weights.h5").write_bytes(b"changed")
    actual, wanted = hashlib.sha256(b"changed").hexdigest(), hashlib.sha256(CONTENT).hexdigest()
    with pytest.raises(SystemExit) as left:
        main(["zoo", "verify", "tiny-slim"])
    assert left.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == (
        f"tiny-slim: The bundled weights {entry / 'tiny.weights.h5'} were changed or damaged: their SHA-256 is "
        f"{actual[:12]}…, the manifest says {wanted[:12]}…. "
        "Restore the file from the repository, or install mitozoo again.\n"
    )
    assert printed.err == "Error: 1 of 1 entries of the zoo cannot be used; see above.\n"


def test_an_unknown_entry(entry, capsys):
    with pytest.raises(SystemExit) as left:
        main(["zoo", "show", "tiny-slm"])
    assert left.value.code == 2
    assert capsys.readouterr().err == "Error: No zoo entry named 'tiny-slm'. Did you mean 'tiny-slim'?\n"
