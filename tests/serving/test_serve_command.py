"""`mitozoo serve` as a process: it starts, warns, finishes what runs at SIGTERM, and says what is wrong in one line."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from served_models import red_png
from test_serving_rest import b64

from mitozoo.base.errors import RecipeError
from mitozoo.commands import main
from mitozoo.serving.engine import Limits
from mitozoo.serving.server import ServeSettings, is_loopback

ROOT = Path(__file__).parents[2]


def start(folder, *options):
    command = [sys.executable, "-m", "mitozoo", "serve", str(folder), "--rest-port", "0", "--grpc-port", "0", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder.parent
    )


def said_at_start(process):
    lines = []
    while not lines or "Stop with" not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    return "".join(lines)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM")
def test_it_answers_and_stops_when_what_runs_is_finished(model_folder):
    process = start(model_folder, "--workers", "1", "--no-batching")
    try:
        said = said_at_start(process)
        assert said.startswith("red, version 1\n")
        port = int(re.search(r"REST: http://127.0.0.1:(\d+)", said)[1])
        body = json.dumps({"instances": [b64(red_png(255, 900, 900))] * 60})
        statuses = []

        def ask():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", "/v1/models/red:predict", body)
            response = connection.getresponse()
            statuses.append((response.status, len(json.loads(response.read())["predictions"])))

        asking = [threading.Thread(target=ask) for _ in range(4)]
        for thread in asking:
            thread.start()
        wait_for_requests(port, 4)
        process.send_signal(signal.SIGTERM)
        for thread in asking:
            thread.join(60)
        assert statuses == [(200, 60)] * 4
        assert process.wait(30) == 0
        assert process.stdout.read() == "Stopped.\n"
    finally:
        process.kill()
    log = process.stderr.read()
    assert "red 1 is served" in log and "Traceback" not in log and "Warning" not in log


def wait_for_requests(port, count):
    end = time.monotonic() + 20
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/monitoring/prometheus/metrics")
        if f"mitozoo:serving:requests {count}.0" in connection.getresponse().read().decode():
            return
    raise AssertionError("the requests did not come")


def refused(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(["serve", *map(str, words)])
    assert left.value.code == 2
    return capsys.readouterr().err.strip().splitlines()


def test_a_folder_without_a_model(tmp_path, capsys):
    text = f"Error: No model to serve. There is none in {tmp_path}. Export one: mitozoo export scout --out {tmp_path}"
    assert refused(capsys, tmp_path) == [text]
    gone = tmp_path / "gone"
    text = f"Error: No such folder: {gone}. Export a model into it with: mitozoo export scout --out {gone}"
    assert refused(capsys, gone) == [text]


def test_a_model_that_cannot_be_loaded(tmp_path, capsys):
    (tmp_path / "red" / "1" / "variables").mkdir(parents=True)
    (tmp_path / "red" / "1" / "saved_model.pb").write_bytes(b"no graph")
    (tmp_path / "red" / "1" / "variables" / "variables.index").touch()
    said = refused(capsys, tmp_path)
    assert said[-1].startswith("Error: No model to serve. red 1 cannot be loaded: DecodeError: ")


@pytest.mark.parametrize("door", ["rest", "grpc"])
def test_a_port_that_is_taken(model_folder, capsys, door):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"rest": ("--rest-port", port, "--grpc-port", 0), "grpc": ("--rest-port", 0, "--grpc-port", port)}
        said = refused(capsys, model_folder, *ports[door])
    assert said[-1].startswith(f"Error: Port {port} of 127.0.0.1 cannot be opened")
    assert said[-1].endswith(f"Choose another with --{door}-port.")


def test_another_host_is_warned_of(tmp_path, capsys):
    said = refused(capsys, tmp_path, "--host", "0.0.0.0")
    assert said[0] == (
        "Warning: everybody who reaches 0.0.0.0 can use this server; it has neither passwords nor encryption. "
        "Leave --host out to serve this machine alone."
    )


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example", False)]
)
def test_hosts_of_this_machine(host, own):
    assert is_loopback(host) is own


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"rest_port": 70_000}, "--rest-port is a port from 1 to 65535, or 0 for a free one, got 70000."),
        ({"rest_port": 8500}, "--rest-port and --grpc-port are both 8500. Give two ports."),
        ({"max_request_mb": 0}, "--max-request-mb must be above 0 and at most 2000, got 0."),
        ({"limits": Limits(timeout_s=0)}, "--timeout-s must be above 0, got 0."),
        ({"limits": Limits(queue=0)}, "--queue must be 1 or more, got 0."),
        ({"limits": Limits(workers=0)}, "--workers must be 1 or more, got 0."),
        ({"poll_s": float("nan")}, "--poll-s must be above 0, got nan."),
    ],
)
def test_settings_that_make_no_sense(tmp_path, settings, text):
    with pytest.raises(RecipeError) as caught:
        ServeSettings(folder=tmp_path, **settings)
    assert str(caught.value) == text
