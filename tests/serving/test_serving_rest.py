"""TensorFlow Serving's REST over real HTTP, against a small model whose answers are known."""

import base64
import gzip
import http.client
import json
import shutil
import socket
import struct
import threading
import time
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_models import ABOUT, red_png

PREDICT = "/v1/models/red:predict"
HINT = "Send the bytes of a PNG or JPEG file."


def call(server, method, path, body=None, headers=()):
    """Status and document of one exchange."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server.rest_port, timeout=30)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        content = response.read()
    finally:
        connection.close()
    return response.status, json.loads(content) if response.headers["Content-Type"].startswith(
        "application/json"
    ) else content


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def ask(server, document, path=PREDICT):
    return call(server, "POST", path, json.dumps(document))


def png(array):
    return cv2.imencode(".png", array)[1].tobytes()


def header_of_png(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end


def test_rows_and_columns_give_the_same(red_server):
    images = [b64(red_png(255, 4, 2)), b64(red_png(51, 7, 5))]
    one = {"points": [[1.5, 0.5, 1.0, 1.0]], "valid": 1, "probabilities": [[0.0, 0.75, 0.25]]}
    none = {"points": [[-1.0] * 4], "valid": 0, "probabilities": [[-1.0] * 3]}
    assert ask(red_server, {"instances": images}) == (200, {"predictions": [one, none]})
    named = [{"image_bytes": image} for image in images]
    assert ask(red_server, {"instances": named, "signature_name": "image_bytes"}) == (200, {"predictions": [one, none]})
    columns = {key: [one[key], none[key]] for key in one}
    assert ask(red_server, {"inputs": {"image_bytes": images}}) == (200, {"outputs": columns})
    assert ask(red_server, {"inputs": images}, "/v1/models/red/versions/1:predict") == (200, {"outputs": columns})


def test_pixels_and_defaults(red_server):
    pixels = np.zeros((1, 3, 5, 3), int)
    pixels[..., 0] = 204
    status, found = ask(red_server, {"inputs": pixels.tolist(), "signature_name": "image_tensor"})
    assert status == 200 and found["outputs"]["points"][0][0] == pytest.approx([2.0, 1.0, 0.8, 1.0], abs=1e-6)
    at = {"signature_name": "image_bytes_at", "inputs": {"image_bytes": [b64(red_png(51))]}}
    assert ask(red_server, at)[1]["outputs"]["valid"] == [0]
    at["inputs"]["threshold"] = [0.1]
    assert ask(red_server, at)[1]["outputs"]["valid"] == [1]


def test_an_output_whose_name_ends_in_bytes_is_base64(red_server):
    status, found = ask(red_server, {"signature_name": "echo", "instances": [b64(b"\x00\xff"), "ab"]})
    assert status == 200
    assert [row["text_bytes"] for row in found["predictions"]] == [b64(b"\x00\xff"), b64(b"ab")]
    assert [row["length"] for row in found["predictions"]] == [2, 2]
    assert found["predictions"][1]["text"] == "ab"


def test_status_and_metadata(red_server):
    version = {"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert call(red_server, "GET", "/v1/models/red") == (200, {"model_version_status": [version]})
    assert call(red_server, "GET", "/v1/models/red/versions/1") == (200, {"model_version_status": [version]})
    status, found = call(red_server, "GET", "/v1/models/red/metadata")
    assert status == 200
    assert found["model_spec"] == {"name": "red", "signature_name": "", "version": "1"}
    assert found["metadata"]["mitozoo"] == ABOUT
    signature = found["metadata"]["signature_def"]["signature_def"]["image_bytes_at"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert signature["inputs"]["image_bytes"]["dtype"] == "DT_STRING"
    assert signature["inputs"]["image_bytes"]["tensor_shape"] == {
        "dim": [{"size": "-1", "name": ""}], "unknown_rank": False
    }  # fmt: skip
    assert signature["defaults"]["threshold"]["float_val"] == [0.5]


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/models/blue", 404, "Could not find any versions of model blue"),
        ("GET", "/v1/models/red/versions/7", 404, "Could not find version 7 of model red"),
        ("GET", "/v1/models/blue/metadata", 404, "Servable not found for request: Latest(blue)"),
        ("POST", "/v1/models/blue:predict", 404, "Servable not found for request: Latest(blue)"),
        ("POST", "/v1/models/red/versions/7:predict", 404, "Servable not found for request: Specific(red, 7)"),
        ("POST", "/v1/models/red/labels/x:predict", 400, "Unrecognized servable version label: x"),
        ("POST", "/v1/models/red:classify", 400, "Only :predict is served, not :classify."),
        ("GET", "/v1/models/red:predict", 400, "Malformed request: GET /v1/models/red:predict"),
        ("PUT", "/v1/models/red", 400, "Malformed request: PUT /v1/models/red"),
        ("GET", "/v1/models/", 400, "Malformed request: GET /v1/models/"),
        ("GET", "/v1/models/red/versions/x", 400, "Malformed request: GET /v1/models/red/versions/x"),
        ("GET", "/", 404, "Not found: /. Models are at /v1/models/NAME."),
    ],
)
def test_what_is_not_there(red_server, method, path, status, error):
    body = json.dumps({"instances": [b64(red_png(1))]}) if method == "POST" else None
    assert call(red_server, method, path, body) == (status, {"error": error})


AS_TEXT = f'is not a PNG, JPEG, TIFF or BMP. {HINT[:-1]} (in JSON as base64, {{"b64": "…"}}).'
BOMB = "is 50000 x 50000 px; 1000000 px are searched at once at most. Send tiles of it."
CUT_OFF = red_png(200)[:-12]
DAMAGED = red_png(200)[:45] + b"\x00\x00\x00" + red_png(200)[48:]
DEEP = png(np.zeros((2, 2, 3), np.uint16))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", f"is empty (0 bytes). {HINT}"),
        (b"x", f"is not a PNG, JPEG, TIFF or BMP. {HINT}"),
        (b"<html>no image</html>", f"is a web page, not a PNG, JPEG, TIFF or BMP. {HINT}"),
        (base64.b64encode(red_png(1)), AS_TEXT),
        (cv2.imencode(".bmp", np.zeros((2, 2, 3), np.uint8))[1].tobytes(), f"is a BMP. {HINT}"),
        (cv2.imencode(".tiff", np.zeros((2, 2, 3), np.uint8))[1].tobytes(), f"is a TIFF. {HINT}"),
        (header_of_png(50_000, 50_000), BOMB),
        (header_of_png(0, 5), f"has no pixels (0 x 5). {HINT}"),
        (DEEP, "has samples of 16 bits. Save it with 8 bits a sample."),
        (CUT_OFF, "is cut off: its end is missing. Send the whole file."),
    ],
)  # fmt: skip
def test_a_bad_image_is_named_and_none_of_the_batch_is_answered(red_server, content, problem):
    document = {"instances": [b64(red_png(255)), b64(content)]}
    assert ask(red_server, document) == (400, {"error": f"image_bytes[1] {problem}"})


def test_a_cmyk_jpeg_is_refused(red_server):
    import io

    from PIL import Image

    stream = io.BytesIO()
    Image.new("CMYK", (8, 8)).save(stream, "JPEG")
    document = {"instances": [b64(stream.getvalue())]}
    assert ask(red_server, document) == (400, {"error": "image_bytes[0] is a CMYK JPEG. Save it as RGB."})


def test_damage_that_only_the_decoder_finds_is_named_too(red_server):
    status, found = ask(red_server, {"instances": [b64(red_png(255)), b64(red_png(9)), b64(DAMAGED)]})
    assert status == 400 and found["error"].startswith("image_bytes[2]: ")


def test_one_pixel_is_an_image(red_server):
    status, found = ask(red_server, {"instances": [b64(red_png(255, 1, 1))]})
    assert (status, found["predictions"][0]["points"]) == (200, [[0.0, 0.0, 1.0, 1.0]])


def test_numbers_that_are_none(red_server):
    body = b'{"signature_name": "image_bytes_at", "inputs": {"image_bytes": ["x"], "threshold": [NaN]}}'
    assert call(red_server, "POST", PREDICT, body) == (400, {"error": "threshold[0] is not a finite number."})


def test_an_unknown_signature(red_server):
    status, found = ask(red_server, {"instances": ["x"], "signature_name": "nope"})
    names = "echo, image_bytes, image_bytes_at, image_tensor, serving_default"
    assert (status, found["error"]) == (400, f"Serving signature name: 'nope' not found. There are: {names}.")


def test_a_body_above_the_limit(red_server):
    large = b'{"instances": ["' + b"a" * 2_100_000 + b'"]}'
    error = {"error": "The request is larger than 2 MB. Send tiles, or raise --max-request-mb."}
    assert call(red_server, "POST", PREDICT, large) == (400, error)
    packed = gzip.compress(b'{"instances": ["' + b"a" * 20_000_000 + b'"]}')
    assert len(packed) < 2_000_000
    assert call(red_server, "POST", PREDICT, packed, {"Content-Encoding": "gzip"}) == (400, error)
    # A length that is only claimed.
    with socket.create_connection(("127.0.0.1", red_server.server.rest_port), timeout=30) as stream:
        stream.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 200000000\r\n\r\n".encode())
        assert stream.recv(100).startswith(b"HTTP/1.1 400 ")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just({"b64": "AAAA"}),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["b64", "image_bytes", "x"]), inner),
    max_leaves=6,
)
BODIES = st.one_of(
    st.binary(max_size=60),
    JUNK.map(lambda item: json.dumps(item).encode()),
    st.fixed_dictionaries(
        {},
        optional={
            "instances": JUNK,
            "inputs": JUNK,
            "signature_name": st.sampled_from(["image_tensor", "image_bytes_at", "echo", "", "x"]) | JUNK,
        },
    ).map(lambda item: json.dumps(item).encode()),
)


def answers_soundly(server, path, body):
    status, found = call(server, "POST", path, body)
    assert status in (200, 400)
    assert set(found) == {"error"} if status == 400 else found.keys() & {"predictions", "outputs"}
    assert "Traceback" not in str(found) and "node" not in str(found.get("error"))


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES)
def test_no_body_breaks_it(red_server, body):
    answers_soundly(red_server, PREDICT, body)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damaged_image_breaks_it(red_server, data):
    code = bytearray(red_png(200, 9, 7))
    for place in data.draw(st.lists(st.integers(0, len(code) - 1), min_size=1, max_size=6)):
        code[place] = data.draw(st.integers(0, 255))
    answers_soundly(red_server, PREDICT, json.dumps({"instances": [b64(bytes(code))]}))


def metric(server, name):
    """A sample of the metrics, 0 where it is not there."""
    text = call(server, "GET", "/monitoring/prometheus/metrics")[1].decode()
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(name)), 0.0)


def test_metrics_count_requests(serve, model_folder):
    server = serve(model_folder)
    ask(server, {"instances": [b64(red_png(255))]})
    ask(server, {"instances": [3]})
    ask(server, {"instances": [3]}, "/v1/models/blue:predict")
    count = ":tensorflow:serving:request_count"
    assert metric(server, count + '{model_name="red",status="OK"}') == 1
    assert metric(server, count + '{model_name="red",status="INVALID_ARGUMENT"}') == 1
    # A name that anybody makes up is no label.
    assert metric(server, count + '{model_name="",status="NOT_FOUND"}') == 1
    latency = ':tensorflow:serving:request_latency_count{API="predict",entrypoint="REST",model_name="red"}'
    assert metric(server, latency) == 2


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)


def test_versions_are_taken_up_and_dropped_while_requests_run(serve, model_folder, doubled_model, tmp_path):
    server = serve(model_folder, poll_s=0.1)
    shutil.copytree(doubled_model, tmp_path / "copy")
    (tmp_path / "copy").rename(model_folder / "red" / "2")
    document = {"inputs": [b64(red_png(102))]}
    until(lambda: ask(server, document)[1]["outputs"]["valid"] == [1])
    assert ask(server, document, "/v1/models/red/versions/1:predict")[1]["outputs"]["valid"] == [0]
    gate, run = hold(server, 2)
    found = []
    asking = threading.Thread(target=lambda: found.append(ask(server, document)))
    asking.start()
    until(lambda: metric(server, "mitozoo:serving:requests ") == 1)
    shutil.rmtree(model_folder / "red" / "2")
    until(lambda: server.server.service.versions.available() == {"red": [1]})
    gate.set()
    asking.join(20)
    assert found[0][0] == 200 and found[0][1]["outputs"]["valid"] == [1]
    assert ask(server, document)[1]["outputs"]["valid"] == [0]
    assert ask(server, document, "/v1/models/red/versions/2:predict")[0] == 404


def hold(server, version=1):
    """Let nothing run on a version before the gate opens. Returns: the gate, and the version's own run."""
    gate, served = threading.Event(), server.server.service.versions._slots["red"][version].served
    run = served.run

    def wait(*args):
        assert gate.wait(20)
        return run(*args)

    served.run = wait
    return gate, run


def test_full_late_and_gone(serve, model_folder):
    server = serve(model_folder, queue=1, workers=1, timeout_s=1.0)
    gate, _ = hold(server)
    body = json.dumps({"instances": [b64(red_png(255))]})
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    places = lambda: metric(server, "mitozoo:serving:requests ")  # noqa: E731
    with (
        socket.create_connection(("127.0.0.1", server.server.rest_port), timeout=20) as late,
        socket.create_connection(("127.0.0.1", server.server.rest_port)) as gone,
    ):
        late.sendall(head)
        gone.sendall(head)
        until(lambda: places() == 2)
        error = "The server is busy: 1 requests wait. Try again later."
        assert call(server, "POST", PREDICT, body) == (503, {"error": error})
        gone.close()
        until(lambda: places() == 1)
        assert late.recv(100).startswith(b"HTTP/1.1 504 ")
        until(lambda: places() == 0)
    gate.set()
    assert call(server, "POST", PREDICT, body)[0] == 200
