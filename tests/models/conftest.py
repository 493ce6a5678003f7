import contextlib
import dataclasses
import hashlib
import http.server
import threading

import pytest

from mitozoo.models import registry, zoo, zoo_manifest
from mitozoo.models.registry import ModelSpec
from mitozoo.models.zoo_manifest import Manifest, WeightsFile

CONTENT = bytes(range(256)) * 300


def _spec(name, params):
    return ModelSpec(
        name=name, title="Tiny", task="classify", input_px=2, outputs={"y": (2,)}, params=params, source="these tests",
        settings={"units": 2},
    )  # fmt: skip


@pytest.fixture
def tiny(monkeypatch):
    """Two architectures on two numbers: tiny is y = x W + b (6 parameters), tiny-deep has a layer more (12)."""
    import keras

    def dense(depth, units):
        inputs = x = keras.Input((2,))
        for _ in range(depth):
            x = keras.layers.Dense(units)(x)
        return keras.Model(inputs, x)

    monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))
    monkeypatch.setattr(registry, "names", lambda: ["tiny", "tiny-deep"])
    registry.register(_spec("tiny", 6))(lambda units: dense(1, units))
    registry.register(_spec("tiny-deep", 12))(lambda units: dense(2, units))
    return registry


@pytest.fixture
def tiny_weights(tiny, tmp_path):
    """Weights of tiny: W = [[1, 2], [3, 4]], b = [0.5, -0.5], so that (1, 1) gives (4.5, 5.5)."""
    import numpy as np

    model = tiny.build("tiny")
    model.set_weights([np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.5, -0.5])])
    path = tmp_path / "made" / "tiny.weights.h5"
    path.parent.mkdir()
    model.save_weights(path)
    return path


@pytest.fixture
def zoo_folder(tmp_path, monkeypatch):
    """An empty zoo and an empty cache."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    monkeypatch.setattr(zoo, "folder", lambda: folder)
    monkeypatch.setenv("MITOZOO_CACHE", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def a_manifest():
    """A manifest of `CONTENT`, with fields replaced."""

    def make(*urls, content=CONTENT, **changes):
        weights = WeightsFile(
            file="tiny.weights.h5", urls=urls, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)
        )
        plain = Manifest(
            model="tiny", title="Tiny", version="1", weights=weights, um_per_px=0.5, input_px=2,
            classes=("non_mitotic", "mitotic_figure"), threshold=0.25, licence="CC0", trained_on=("nothing",),
            command="mitozoo train tiny", seed=0, machine="a desk", date="2026-01-31", hours=0.5,
            settings={"units": 2}, decoder={"radius_um": 7.5}, results={"f1": 0.875},
        )  # fmt: skip
        return dataclasses.replace(plain, **changes)

    return make


@pytest.fixture
def put(zoo_folder):
    """Write a manifest as an entry and return its folder."""

    def write(manifest, name="tiny"):
        (zoo_folder / name).mkdir(exist_ok=True)
        (zoo_folder / name / "manifest.json").write_text(zoo_manifest.to_json(manifest), encoding="utf-8")
        return zoo_folder / name

    return write


@pytest.fixture
def serve():
    """Serve on loopback with `answer(handler)`; yields the base URL, the handler having written its answer."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                # A client that has seen enough hangs up: no fault of the server.
                with contextlib.suppress(ConnectionError):
                    answer(self)

            def log_message(self, *args):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def content():
    return CONTENT
