"""`predict --server` against a running server: the same files as without, and what happens when it is gone."""

import csv
import json
import socket

import cv2
import numpy as np
import pytest
from served_models import Running, red_png

import mitozoo
from mitozoo.base.errors import InputError, RecipeError
from mitozoo.commands import main
from mitozoo.data.synthetic import write_sample
from mitozoo.models import zoo
from mitozoo.serving import client_retry
from mitozoo.serving.client import ServerSettings
from mitozoo.serving.client_errors import ServerError

pytestmark = pytest.mark.skipif("cnn12" not in zoo.entries(), reason="the zoo has no weights of cnn12")
FORMATS = ("csv", "geojson", "overlay", "report", "midog", "coco")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    mitozoo.export("cnn12", out=folder, check=False)
    return folder


@pytest.fixture(scope="module")
def server(exported):
    running = Running(exported, max_request_mb=8.0, timeout_s=120.0)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fields")
    write_sample(folder, count=3, size_px=300, seed=0)
    (folder / "bad.png").write_bytes(red_png(1)[:-12])
    return folder


def table(path, drop=()):
    with path.open(newline="", encoding="utf-8") as stream:
        return [{key: value for key, value in row.items() if key not in drop} for row in csv.DictReader(stream)]


@pytest.fixture(scope="module")
def local(fields, tmp_path_factory):
    out = tmp_path_factory.mktemp("local")
    settings = {"model": "cnn12", "threshold": 0.5, "look_again": 0.1, "um_per_px": 0.3, "formats": FORMATS}
    return out, settings, mitozoo.predict(fields, out=out, **settings)


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_the_same_files_as_without_a_server(server, fields, local, tmp_path, door):
    expected, settings, results = local
    address = getattr(server, door)
    found = mitozoo.predict(fields, out=tmp_path, server=address, **settings)
    assert sum(len(item.detections) for item in results) > 3 and sum(len(item.doubtful) for item in results) > 0
    for ours, theirs in zip(found, results, strict=True):
        assert (ours.name, ours.status, len(ours.below)) == (theirs.name, theirs.status, len(theirs.below))
        for one, other in zip(ours.detections + ours.doubtful, theirs.detections + theirs.doubtful, strict=True):
            assert one.label == other.label
            numbers = [(d.x_px, d.y_px, d.score, d.atypical_score) for d in (one, other)]
            assert np.allclose(*numbers, atol=1e-3)
    assert table(tmp_path / "summary.csv", {"seconds"}) == table(expected / "summary.csv", {"seconds"})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in expected.iterdir())
    run, before = (json.loads((place / "run.json").read_text()) for place in (tmp_path, expected))
    assert (run["server"], run["server_version"], run["known_from"]) == (address, "1", "server")
    assert run["weights_sha256"] == before["weights_sha256"] and run["failed"] == 1


def test_views_are_taken_here(server, fields):
    settings = {"model": "cnn12", "threshold": 0.5, "tta": 2}
    path = sorted(path for path in fields.glob("*.png") if path.name != "bad.png")[0]
    ours, theirs = (mitozoo.predict(path, **settings, **more)[0] for more in ({"server": server.rest}, {}))
    scores = [[item.score for item in result.detections] for result in (ours, theirs)]
    assert np.allclose(*scores, atol=1e-4)


def test_a_refused_image_is_its_own_row(server, fields, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1900, 1900, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "noise.png"), noise)
    cv2.imwrite(str(tmp_path / "plain.png"), noise[:50, :50])
    found = mitozoo.predict(tmp_path, model="cnn12", server=server.rest)
    told = "The request is larger than 8 MB. Send tiles, or raise --max-request-mb."
    assert [item.status for item in found] == [f"The server at {server.rest} refuses it: {told}", "ok"]


def test_a_server_that_goes_away(exported, server, fields, tmp_path, monkeypatch):
    monkeypatch.setattr(client_retry.Patience.__init__, "__defaults__", (2, 0.001))
    leaving, done = Running(exported), []

    def stop(result):
        if not done:
            leaving.stop()
        done.append(result.name)

    asked = ServerSettings(address=leaving.rest, requests=1, timeout_s=20)
    with pytest.raises(ServerError) as caught:
        mitozoo.predict(fields, model="cnn12", server=asked, out=tmp_path / "out", on_result=stop)
    kept = f"{len(done)} finished images are kept; the same command with --resume goes on."
    assert str(caught.value).startswith(f"The server at {leaving.rest} does not answer: ")
    assert str(caught.value).endswith(f". Start it again. {kept}")
    assert not (tmp_path / "out" / "run.json").exists()
    found = mitozoo.predict(fields, model="cnn12", server=server.rest, out=tmp_path / "out", resume=True)
    assert [item.ok for item in found] == [False, True, True, True]
    assert (tmp_path / "out" / "run.json").exists()


def test_a_model_that_is_not_there(server, fields):
    with pytest.raises(InputError) as caught:
        mitozoo.predict(fields, model="stn", server=server.rest)
    told = f"The server at {server.rest} answers: Servable not found for request: Latest(stn)."
    assert str(caught.value) == f"{told} Name a model that it has with --server-model."


TOGETHER = (
    "--weights and --server do not go together: the server's model was exported with its settings. "
    "Leave --weights out, or export again."
)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"weights": "a.weights.h5"}, TOGETHER),
        ({"model": ("stn", "cnn12")}, "A server is asked for one model, not 2. Give --model once."),
    ],
)
def test_what_a_server_cannot_be_told(fields, settings, text):
    with pytest.raises(RecipeError) as caught:
        mitozoo.predict(fields, server="http://localhost:1", **settings)
    assert str(caught.value) == text


def test_the_command_says_it_in_one_line(fields, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(client_retry.Patience.__init__, "__defaults__", (2, 0.001))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(SystemExit) as left:
        main(["predict", str(fields), "--out", str(tmp_path / "out"), "--server", address])
    said = capsys.readouterr().err.splitlines()
    assert left.value.code == 2 and len(said) == 1
    assert said[0].startswith(f"Error: The server at {address} does not answer: ")
    assert said[0].endswith("Start it, or correct --server.")


def test_the_command_takes_all_settings(server, fields, exported, tmp_path, capsys):
    given = ["--server", server.rest, "--server-model", "cnn12", "--server-about", str(exported / "cnn12.json")]
    given += ["--server-timeout-s", "60", "--server-requests", "2", "--quiet"]
    with pytest.raises(SystemExit) as left:
        main(["predict", str(fields), "--out", str(tmp_path / "out"), *given])
    assert left.value.code == 1
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert run["known_from"] == "file" and run["model"] == "cnn12"
