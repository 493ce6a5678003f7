"""Bodies of requests and answers, worked out by hand."""

import json

import numpy as np
import pytest

from mitozoo.serving import json_tensors
from mitozoo.serving.signature import Signature, TensorForm
from mitozoo.serving.status import Refused

TEXT = TensorForm("image_bytes", np.dtype(object), (None,))
PIXELS = TensorForm("image_tensor", np.dtype(np.uint8), (None, None, None, 3))
NUMBER = TensorForm("threshold", np.dtype(np.float32), (None,))
OUT = {"points": TensorForm("points", np.dtype(np.float32), (None, 4))}
ONE = Signature("image_bytes", {"image_bytes": TEXT}, OUT)
PAIR = Signature("image_bytes_at", {"image_bytes": TEXT, "threshold": NUMBER}, OUT, {"threshold": np.float32([0.5])})
TENSOR = Signature("image_tensor", {"image_tensor": PIXELS}, OUT)

MIXED = "instances[1] is not of the same kind as instances[0]. Name the inputs in all, or in none."
UNNAMED = "Signature image_bytes_at has the inputs image_bytes, threshold: name them in 'instances'."
MISSING = "Input 'image_bytes' is missing. Signature image_bytes_at takes: image_bytes, threshold."


def read(document, signature):
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return signature.complete(json_tensors.tensors(json_tensors.parse(content), signature))


@pytest.mark.parametrize(
    "document",
    [
        {"instances": [{"b64": "AAE="}, {"b64": "Ag=="}]},
        {"instances": [{"image_bytes": {"b64": "AAE="}}, {"image_bytes": {"b64": "Ag=="}}]},
        {"inputs": [{"b64": "AAE="}, {"b64": "Ag=="}]},
        {"inputs": {"image_bytes": [{"b64": "AAE="}, {"b64": "Ag=="}]}},
        {"inputs": [{"b64": "AAE"}, {"b64": "A g="}], "signature_name": "image_bytes"},
    ],
)
def test_every_form_of_the_same_bytes(document):
    assert read(document, ONE)["image_bytes"].tolist() == [b"\x00\x01", b"\x02"]


def test_text_is_taken_as_it_is():
    assert read({"instances": ["aé"]}, ONE)["image_bytes"].tolist() == ["aé".encode()]


def test_what_is_left_out_has_its_default():
    found = read({"instances": [{"image_bytes": "a"}, {"image_bytes": "b"}]}, PAIR)
    assert found["threshold"].tolist() == [0.5]
    assert read({"inputs": {"image_bytes": ["a"], "threshold": [0.25]}}, PAIR)["threshold"].tolist() == [0.25]


def test_pixels():
    found = read({"instances": [[[[0, 128, 255]]], [[[1, 2, 3]]]]}, TENSOR)["image_tensor"]
    assert found.dtype == np.uint8 and found.shape == (2, 1, 1, 3)
    assert found.reshape(-1).tolist() == [0, 128, 255, 1, 2, 3]


@pytest.mark.parametrize(
    ("document", "signature", "text"),
    [
        ([], ONE, 'The body must be a JSON object: {"instances": [...]} or {"inputs": ...}.'),
        ({}, ONE, "Send 'instances' (rows) or 'inputs' (columns): neither of them is here."),
        ({"inputs": [], "instances": []}, ONE, "Send 'instances' (rows) or 'inputs' (columns): both of them is here."),
        ({"instances": {}}, ONE, "'instances' must be a list of one item at least."),
        ({"instances": []}, ONE, "'instances' must be a list of one item at least."),
        ({"inputs": []}, ONE, "image_bytes is empty. Send one item at least."),
        ({"inputs": {}}, ONE, "'inputs' is empty. Name every input, or give the only one as it is."),
        ({"inputs": ["a"], "signature_name": 3}, ONE, "'signature_name' must be a string."),
        ({"inputs": ["a"], "x": 3}, ONE, "Unknown key 'x'. Keys of a request: inputs, instances, signature_name."),
        ({"instances": [{"b64": "!"}]}, ONE, "image_bytes[0]: Unable to base64 decode."),
        ({"instances": ["a", {"b64": 3}]}, ONE, 'image_bytes[1] must be a string, or bytes as {"b64": "…"}.'),
        ({"instances": ["a", ["b"]]}, ONE, "image_bytes: lists of different lengths are no tensor."),
        ({"instances": [["a"]]}, ONE, "image_bytes has the shape (1, 1); send string (batch)."),
        ({"instances": [{"y": "a"}]}, ONE, "Signature image_bytes has no input 'y'. It takes: image_bytes."),
        ({"instances": [{"image_bytes": "a"}, "b"]}, ONE, MIXED),
        ({"instances": [{"image_bytes": "a"}, {}]}, ONE, "instances[1] has other keys than instances[0]: ."),
        ({"instances": ["a"]}, PAIR, UNNAMED),
        ({"inputs": {"threshold": [1]}}, PAIR, MISSING),
        ({"inputs": {"image_bytes": ["a"], "threshold": ["x"]}}, PAIR, "threshold must hold float32 values alone."),
        ({"inputs": {"image_bytes": ["a"], "threshold": [True]}}, PAIR, "threshold must hold float32 values alone."),
        ({"inputs": {"image_bytes": ["a"], "threshold": [float("nan")]}}, PAIR, "threshold[0] is not a finite number."),
        ({"inputs": {"image_bytes": ["a"], "threshold": [0, 1e39]}}, PAIR, "threshold[1] is not a finite number."),
        ({"inputs": [[[[0, 1, 256]]]]}, TENSOR, "image_tensor has values outside 0 to 255."),
        ({"inputs": [[[[0, 1, -1]]]]}, TENSOR, "image_tensor has values outside 0 to 255."),
        ({"inputs": [[[[0, 1, 0.5]]]]}, TENSOR, "image_tensor must hold uint8 values alone."),
        ({"inputs": [[[[0, 1, None]]]]}, TENSOR, "image_tensor must hold uint8 values alone."),
        ({"inputs": [[[[0, 1]]]]}, TENSOR, "image_tensor has the shape (1, 1, 1, 2); send uint8 (batch, any, any, 3)."),
        ({"inputs": [[[[0, 1, 2], [3]]]]}, TENSOR, "image_tensor: lists of different lengths are no tensor."),
        ({"inputs": [[[[10**30, 1, 2]]]]}, TENSOR, "image_tensor must hold uint8 values alone."),
        (b"{", ONE, "JSON Parse error: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\xff\xfe", ONE, None),
        (b"[" * 200_000, ONE, None),
        (b'{"inputs": ' + b"[" * 900 + b"]" * 900 + b"}", TENSOR, None),
        (b'{"inputs": ' + b"[" * 100 + b"1" + b"]" * 100 + b"}", ONE, "image_bytes is nested more than 32 deep."),
        (b'{"inputs": [' + b"9" * 5000 + b"]}", TENSOR, None),
    ],
)  # fmt: skip
def test_what_is_refused(document, signature, text):
    with pytest.raises(Refused) as caught:
        read(document, signature)
    assert caught.value.code.value == 400
    assert text is None or str(caught.value) == text


def test_answers():
    points = np.array([[1.5, -1.0], [0.25, 2.0]], np.float32)
    raw, valid = np.array([b"\x00", b"b"], object), np.array([1, 0], np.int32)
    every = {"points": points, "valid": valid, "raw_bytes": raw}
    assert json.loads(json_tensors.answer(every, by_rows=True)) == {
        "predictions": [
            {"points": [1.5, -1.0], "valid": 1, "raw_bytes": {"b64": "AA=="}},
            {"points": [0.25, 2.0], "valid": 0, "raw_bytes": {"b64": "Yg=="}},
        ]
    }
    assert json.loads(json_tensors.answer(every, by_rows=False))["outputs"]["points"] == [[1.5, -1.0], [0.25, 2.0]]
    assert json.loads(json_tensors.answer({"valid": valid}, by_rows=True)) == {"predictions": [1, 0]}
    assert json.loads(json_tensors.answer({"text": raw[1:]}, by_rows=False)) == {"outputs": ["b"]}


def test_rows_need_a_common_batch():
    with pytest.raises(Refused, match="The outputs have no common batch dimension. Ask with 'inputs'."):
        json_tensors.answer({"a": np.zeros(2), "b": np.zeros(3)}, by_rows=True)
