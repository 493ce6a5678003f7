"""`mitozoo export`: options reach the function, and what is said at the end."""

from pathlib import Path

import pytest

from mitozoo import api
from mitozoo.commands import main
from mitozoo.export.serving.agreement import Agreement
from mitozoo.export.serving.publish import Published


@pytest.fixture
def asked(monkeypatch):
    calls = []

    def export(model, **settings):
        calls.append((model, settings))
        return Published(Path("export/scout/3"), ("a note",), Agreement(4, 19, 20, 0.0123))

    monkeypatch.setattr(api, "export", export)
    return calls


def run(*words):
    with pytest.raises(SystemExit) as left:
        main(["export", *words])
    return left.value.code


def test_defaults(asked, capsys):
    assert run("--out", "some/export") == 0
    assert asked == [
        (
            "scout",
            {
                "out": Path("some/export"), "to": "serving", "weights": None, "threshold": None, "tuned": None,
                "name": None, "version": None, "precision": "float32", "quantize": None, "measure": None,
                "force": False, "check": True, "serve": "all", "max_mpx": 100.0, "quiet": False,
                "run": {"command": "mitozoo export --out export"},
            },
        )
    ]  # fmt: skip
    said = capsys.readouterr()
    share = "19 of 20 calls the same (95.0%) in 4 images, largest change of a score 0.0123"
    assert said.out == f"Against float32: {share}.\nExported: export/scout/3\n"
    assert said.err == "Note: a note\n"


def test_every_option(asked):
    words = (
        "stn --out e --to onnx --weights w.h5 --threshold 0.5 --tuned t.json --name n --version 4 --precision float16 "
        "--quantize int8 --measure m --force --no-check --serve 1,4 --max-mpx 20 --quiet"
    )
    assert run(*words.split()) == 0
    model, settings = asked[0]
    settings.pop("run")
    assert model == "stn" and settings == {
        "out": Path("e"), "to": "onnx", "weights": Path("w.h5"), "threshold": 0.5, "tuned": Path("t.json"), "name": "n",
        "version": 4, "precision": "float16", "quantize": "int8", "measure": Path("m"), "force": True, "check": False,
        "serve": "1,4", "max_mpx": 20.0, "quiet": True,
    }  # fmt: skip


def test_an_error_is_one_line(tmp_path, capsys):
    assert run("nobody", "--out", str(tmp_path)) == 2
    assert capsys.readouterr().err.startswith("Error: No zoo entry named 'nobody'.")


def test_the_package_is_the_function_too():
    import mitozoo.export.folder

    assert mitozoo.export.folder.OutputFolder
    assert callable(mitozoo.export)
