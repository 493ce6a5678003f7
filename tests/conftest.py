import os
import socket

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ["MPLBACKEND"] = "Agg"

import pytest

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_connect, _look_up = socket.socket.connect, socket.getaddrinfo


def _connect_to_loopback(self, address):
    if isinstance(address, tuple) and address[0] not in _LOOPBACK:
        raise OSError(f"The tests run offline, and this one asked for {address[0]}.")
    return _connect(self, address)


def _look_up_loopback(host, *args, **settings):
    if host not in (*_LOOPBACK, None, ""):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return _look_up(host, *args, **settings)


@pytest.fixture(autouse=True)
def _on_its_own(monkeypatch, tmp_path_factory):
    """No test reaches the network, the user's cache, or a mirror or proxy that is set outside."""
    monkeypatch.setattr(socket.socket, "connect", _connect_to_loopback)
    monkeypatch.setattr(socket, "getaddrinfo", _look_up_loopback)
    monkeypatch.setenv("MITOZOO_CACHE", str(tmp_path_factory.getbasetemp() / "cache-of-nobody"))
    for name in ("MITOZOO_MIRROR", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def untraced():
    """Steps of training run as Python: of a few small batches, tracing them is most of the work."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
