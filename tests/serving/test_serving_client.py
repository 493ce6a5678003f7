"""The client: tiles, retries, what it knows of a model. The server is a few lines of NumPy, or a bare socket."""

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from scipy import ndimage
from served_models import ABOUT, CLASSES

from mitozoo.base.errors import InputError, RecipeError
from mitozoo.serving.client import ServerSettings, connect
from mitozoo.serving.client_decoder import RemoteModel, png
from mitozoo.serving.client_errors import NotThereError, Passing, RefusedByServerError, ServerError, ServerGone
from mitozoo.serving.client_model import ModelAtServer, describe
from mitozoo.serving.client_retry import Patience

RED = ModelAtServer("red", "1", tuple(CLASSES), 0.25, 0.5, 30.0)


class Dots:
    """A server that finds the centres of black dots in what it is sent."""

    address = "http://dots"

    def __init__(self, fail=0):
        self.sizes, self.thresholds, self.fail, self.lock = [], set(), fail, threading.Lock()

    def predict(self, model, version, signature, inputs, outputs):
        assert (model, version, signature) == ("red", "1", "image_bytes_at")
        with self.lock:
            if self.fail:
                self.fail -= 1
                raise Passing("busy")
        pixels = cv2.imdecode(np.frombuffer(inputs["image_bytes"][0], np.uint8), cv2.IMREAD_COLOR)
        assert (pixels[..., 0] == 7).all() or pixels.min() == 0
        self.sizes.append(pixels.shape[:2])
        self.thresholds |= {(inputs["threshold"][0], inputs["radius_px"][0])}
        labels, count = ndimage.label(pixels[..., 0] == 0)
        yx = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, count + 1))).reshape(-1, 2)
        points = np.column_stack([yx[:, 1], yx[:, 0], np.full(count, 0.8), np.ones(count)])
        rows = np.tile([0.2, 0.6, 0.2], (count, 1))
        pad = np.full((1, 4), -1.0)
        return {
            "points": np.vstack([points, pad])[None],
            "valid": np.array([count]),
            "probabilities": np.vstack([rows, pad[:, :3]])[None],
        }


def search(server, field, patience=None, **settings):
    with ThreadPoolExecutor(3) as senders:
        model = RemoteModel(server, RED, patience or Patience(server.address, pause_s=0.001), senders)
        return model.decoder(settings)(field)


def dotted(height, width, places):
    """A field with dots of 5 px; no two nearer than the merge radius."""
    field = np.full((height, width, 3), 7, np.uint8)
    for x, y in places:
        field[y - 2 : y + 3, x - 2 : x + 3] = 0
    return field


def test_a_field_is_sent_whole():
    server = Dots()
    found = search(server, dotted(300, 2560, [(50, 60), (2500, 200)]), cut=0.25, merge_px=12.0)
    assert server.sizes == [(300, 2560)] and server.thresholds == {(0.25, 12.0)}
    assert found.xy.tolist() == [[50, 60], [2500, 200]]
    assert found.probabilities.tolist() == [[0.2, 0.6, 0.2]] * 2


def test_a_large_field_is_sent_in_tiles_and_every_cell_counts_once():
    # On, before and beside the seams at 2048, and in the corners.
    places = [
        (2047, 100),
        (2048, 300),
        (2049, 500),
        (100, 2047),
        (300, 2048),
        (2048, 2048),
        (4, 4),
        (4080, 2590),
        (2300, 2300),
    ]
    server = Dots()
    found = search(server, dotted(2600, 4090, places))
    assert sorted(server.sizes) == [(808, 2298), (808, 2304), (2304, 2298), (2304, 2304)]
    assert sorted(map(tuple, np.round(found.xy).astype(int).tolist())) == sorted(places)


def test_an_empty_field():
    found = search(Dots(), dotted(40, 50, []))
    assert found.xy.shape == (0, 2) and found.probabilities.shape == (0, 3)


def test_png_loses_nothing():
    pixels = np.random.default_rng(0).integers(0, 256, (9, 5, 3), dtype=np.uint8)
    back = cv2.imdecode(np.frombuffer(png(pixels), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert (back == pixels).all()


def test_what_passes_is_asked_again():
    found = search(Dots(fail=2), dotted(40, 50, [(20, 20)]))
    assert len(found.xy) == 1


def test_a_server_that_stays_away():
    patience = Patience("http://dots", tries=3, pause_s=0.001)
    server = Dots(fail=100)
    with pytest.raises(ServerGone, match="^The server at http://dots does not answer: busy.$"):
        search(server, dotted(40, 50, []), patience)
    assert server.fail == 97
    # Nobody else waits for it.
    with pytest.raises(ServerGone):
        search(server, dotted(40, 50, []), patience)
    assert server.fail == 97


def test_a_version_that_is_dropped_ends_the_run():
    class Dropped(Dots):
        def predict(self, *args):
            raise NotThereError("The server at http://dots answers: Servable not found.")

    with pytest.raises(ServerGone, match="Version 1 of red is no longer served. The server at http://dots answers: "):
        search(Dropped(), dotted(40, 50, []))


@pytest.mark.parametrize(
    "answer",
    [
        {"points": np.zeros((1, 1, 4)), "valid": np.array([2]), "probabilities": np.zeros((1, 1, 3))},
        {"points": np.zeros((1, 1, 4)), "valid": np.array([1]), "probabilities": np.zeros((1, 1, 2))},
        {"points": np.zeros((1, 1, 3)), "valid": np.array([0]), "probabilities": np.zeros((1, 1, 3))},
        {"points": np.zeros((1, 1, 4)), "valid": np.array([]), "probabilities": np.zeros((1, 1, 3))},
    ],
)
def test_an_answer_in_another_form(answer):
    class Odd(Dots):
        def predict(self, *args):
            return answer

    with pytest.raises(ServerError, match="http://dots answers in another form. Export red again."):
        search(Odd(), dotted(40, 50, []))


def metadata(defaults=None, classes=3, **more):
    shape = {"dim": [{"size": "-1"}, {"size": "-1"}, {"size": str(classes)}]}
    signature = {"outputs": {"probabilities": {"tensor_shape": shape}}, "defaults": defaults or {}}
    signatures = {"signature_def": {"image_bytes_at": signature}}
    return {"model_spec": {"version": "3"}, "metadata": {"signature_def": signatures, **more}}


def test_what_the_server_says_of_its_model():
    found = describe("red", metadata(mitozoo=ABOUT), None, "http://x")
    assert found == ModelAtServer(
        "red", "3", tuple(CLASSES), 0.25, 0.5, 30.0, "ab" * 32, {"cut": 0.05}, "server", "Red"
    )  # fmt: skip


def test_the_file_of_the_export_comes_first(tmp_path):
    path = tmp_path / "red.json"
    path.write_text(json.dumps({**ABOUT, "um_per_px": 0.5, "threshold": 0.9}))
    found = describe("red", metadata(mitozoo=ABOUT), path, "http://x")
    assert (found.um_per_px, found.threshold, found.source) == (0.5, 0.9, "file")


def test_tensorflow_serving_says_no_more_than_its_signatures():
    # 0.84 and 28 as float32, the first as a number of JSON, the second as bytes in base64.
    defaults = {"threshold": {"float_val": [0.8399999737739563]}, "radius_px": {"tensor_content": "AADgQQ=="}}
    found = describe("cnn12", metadata(defaults), None, "http://x")
    assert (found.threshold, found.radius_px, found.source) == (0.84, 28.0, "zoo")
    assert found.classes == tuple(CLASSES) and found.um_per_px == 0.25 and found.sha256 == ""


GIVE = "Give the export's file with --server-about NAME.json."
UNKNOWN = "The server at http://x does not say which classes and spacing 'mine' has, and the zoo has no such entry."
OTHER_CLASSES = f"cnn12 at http://x tells 2 classes, not 3 ({', '.join(CLASSES)})."
NO_SPACING = "http://x does not say um_per_px. Give NAME.json beside the exported model."
NO_SIGNATURE = "red at http://x has no signature image_bytes_at. Export it with 'mitozoo export', and serve that."


@pytest.mark.parametrize(
    ("name", "answer", "error", "text"),
    [
        ("mine", metadata(), InputError, f"{UNKNOWN} {GIVE}"),
        ("cnn12", metadata(classes=2), InputError, f"{OTHER_CLASSES} {GIVE}"),
        ("red", metadata(mitozoo={"classes": CLASSES}), InputError, NO_SPACING),
        ("red", {"metadata": {}}, ServerError, NO_SIGNATURE),
    ],
)
def test_a_model_that_is_not_known(name, answer, error, text):
    with pytest.raises(error) as caught:
        describe(name, answer, None, "http://x")
    assert str(caught.value) == text


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_file_that_says_nothing(tmp_path, text):
    path = tmp_path / "red.json"
    path.write_text(text)
    with pytest.raises(InputError, match="Give NAME.json beside the exported model.$"):
        describe("red", metadata(), path, "http://x")


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("http://localhost:8501", ("http", "localhost", 8501)),
        ("http://localhost/", ("http", "localhost", 8501)),
        ("https://model.example", ("https", "model.example", 443)),
        ("grpc://[::1]", ("grpc", "::1", 8500)),
    ],
)
def test_addresses(address, place):
    assert ServerSettings(address=address).place() == place


@pytest.mark.parametrize(
    "address", ["localhost:8501", "ftp://x", "http://", "http://x:99999", "http://x/v1", "http://me:secret@x"]
)
def test_addresses_that_are_none(address):
    with pytest.raises(RecipeError) as caught:
        ServerSettings(address=address)
    example = "http://localhost:8501 or grpc://localhost:8500"
    assert str(caught.value) == f"--server is such as {example}, got {address!r}."


class Scripted:
    """A server that gives the same bytes to everybody; `None` hangs up at once."""

    def __init__(self, answer):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._run, args=(answer,))
        self.thread.start()

    def _run(self, answer):
        connection, _ = self.socket.accept()
        with connection:
            connection.recv(65_536)
            if answer is not None:
                connection.sendall(answer)

    def close(self):
        self.thread.join(10)
        self.socket.close()


def response(status, body):
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()


OTHER_SERVER = "{} does not answer as TensorFlow Serving does (HTTP {}). Is it a model server's REST port?"


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (None, Passing, "Remote end closed connection without response"),
        (b"\x00\x00 no HTTP\r\n", Passing, "no HTTP (BadStatusLine)"),
        (response(503, '{"error": "busy."}'), Passing, "busy"),
        (response(504, "<html>"), Passing, "HTTP 504"),
        (response(404, '{"error": "not found"}'), NotThereError, "The server at {} answers: not found."),
        (response(400, '{"error": "no image"}'), RefusedByServerError, "The server at {} refuses it: no image."),
        (response(404, "<html>"), ServerError, OTHER_SERVER.format("{}", 404)),
        (response(200, "[]"), ServerError, OTHER_SERVER.format("{}", 200)),
        (response(200, "{}"), ServerError, "{} does not answer as TensorFlow Serving does. Give another --server."),
    ],
)
def test_answers_over_rest(answer, error, text):
    server = Scripted(answer)
    transport = connect(ServerSettings(address=server.address, timeout_s=10))
    with pytest.raises(error) as caught:
        transport.metadata("red")
    transport.close()
    server.close()
    assert str(caught.value) == text.format(server.address)


def test_nobody_at_the_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    for scheme in ("http", "grpc"):
        transport = connect(ServerSettings(address=f"{scheme}://{address}", timeout_s=10))
        with pytest.raises(Passing, match="(?i)connection refused"):
            transport.metadata("red")
        transport.close()
