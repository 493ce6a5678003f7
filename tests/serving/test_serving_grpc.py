"""TensorFlow Serving's gRPC over a real channel, against a small model whose answers are known."""

import json

import numpy as np
import pytest
from served_models import ABOUT, red_png

grpc = pytest.importorskip("grpc")


@pytest.fixture(scope="module")
def stubs(red_server):
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    with grpc.insecure_channel(red_server.grpc.removeprefix("grpc://")) as channel:
        yield (
            prediction_service_pb2_grpc.PredictionServiceStub(channel),
            model_service_pb2_grpc.ModelServiceStub(channel),
        )


def request_of(inputs, name="red", signature="", version=None, outputs=()):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest(output_filter=outputs)
    request.model_spec.name, request.model_spec.signature_name = name, signature
    if version is not None:
        request.model_spec.version.value = version
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return request


def refused(method, request):
    with pytest.raises(grpc.RpcError) as caught:
        method(request, timeout=20)
    return caught.value.code().name, caught.value.details()


def test_predict(stubs):
    import tensorflow as tf

    found = stubs[0].Predict(request_of({"image_bytes": [red_png(255, 4, 2), red_png(51)]}), timeout=20)
    assert (found.model_spec.name, found.model_spec.version.value) == ("red", 1)
    assert found.model_spec.signature_name == "serving_default"
    assert tf.make_ndarray(found.outputs["points"]).tolist() == [[[1.5, 0.5, 1.0, 1.0]], [[-1.0] * 4]]
    assert tf.make_ndarray(found.outputs["valid"]).tolist() == [1, 0]
    pixels = np.full((2, 3, 5, 3), 255, np.uint8)
    found = stubs[0].Predict(
        request_of({"image_tensor": pixels}, signature="image_tensor", outputs=["valid"]), timeout=20
    )
    assert list(found.outputs) == ["valid"] and tf.make_ndarray(found.outputs["valid"]).tolist() == [1, 1]


def test_defaults_are_filled_in(stubs):
    import tensorflow as tf

    image = {"image_bytes": [red_png(51)]}
    valid = []
    for inputs in (image, {**image, "threshold": np.float32([0.1])}):
        found = stubs[0].Predict(request_of(inputs, signature="image_bytes_at", version=1), timeout=20)
        valid += tf.make_ndarray(found.outputs["valid"]).tolist()
    assert valid == [0, 1]


WRONG, NOT_FOUND = "INVALID_ARGUMENT", "NOT_FOUND"
MISSING = "Input 'image_bytes' is missing. Signature serving_default takes: image_bytes."
UNKNOWN = "Signature serving_default has no input 'x'. It takes: image_bytes."
EMPTY = "image_bytes[0] is empty (0 bytes). Send the bytes of a PNG or JPEG file."
NO_OUTPUT = "Signature serving_default has no output 'x'."


@pytest.mark.parametrize(
    ("settings", "code", "text"),
    [
        ({"inputs": {}, "name": "blue"}, NOT_FOUND, "Servable not found for request: Latest(blue)"),
        ({"inputs": {}, "version": 7}, NOT_FOUND, "Servable not found for request: Specific(red, 7)"),
        ({"inputs": {}, "name": ""}, WRONG, "Missing ModelSpec.name"),
        ({"inputs": {}}, WRONG, MISSING),
        ({"inputs": {"x": [1.0]}}, WRONG, UNKNOWN),
        ({"inputs": {"image_bytes": [1.0]}}, WRONG, "image_bytes is float32; send string (batch)."),
        ({"inputs": {"image_bytes": b"x"}}, WRONG, "image_bytes has the shape (); send string (batch)."),
        ({"inputs": {"image_bytes": [b""]}}, WRONG, EMPTY),
        ({"inputs": {"image_bytes": [red_png(1)]}, "outputs": ["x"]}, WRONG, NO_OUTPUT),
        (
            {"inputs": {"image_bytes": [red_png(1)], "threshold": np.float32([np.nan])}, "signature": "image_bytes_at"},
            WRONG, "threshold[0] is not a finite number.",
        ),
        ({"inputs": {"image_bytes": [b"x" * 2_100_000]}}, "RESOURCE_EXHAUSTED", None),
    ],
)  # fmt: skip
def test_what_is_refused(stubs, settings, code, text):
    found = refused(stubs[0].Predict, request_of(**settings))
    assert found[0] == code and (text is None or found[1] == text)


def test_tensors_that_claim_too_much_are_not_made(stubs):
    request = request_of({"threshold": np.float32([0.5])}, signature="image_bytes_at")
    request.inputs["threshold"].tensor_shape.dim[0].size = 10**12
    text = "threshold: a shape of [1000000000000] is more than a request may hold. Send smaller images."
    assert refused(stubs[0].Predict, request) == ("INVALID_ARGUMENT", text)
    request.inputs["threshold"].tensor_shape.dim[0].size = -1
    assert refused(stubs[0].Predict, request) == (
        "INVALID_ARGUMENT", "threshold: its shape is not known. Give every dimension."
    )  # fmt: skip
    request.inputs["threshold"].tensor_shape.dim[0].size = 1
    request.inputs["threshold"].dtype = 99
    code, text = refused(stubs[0].Predict, request)
    assert code == "INVALID_ARGUMENT" and text.startswith("threshold is no tensor: ")


def test_metadata_and_status(stubs):
    from google.protobuf import wrappers_pb2
    from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def", "mitozoo"])
    request.model_spec.name = "red"
    found = stubs[0].GetModelMetadata(request, timeout=20)
    definitions, about = get_model_metadata_pb2.SignatureDefMap(), wrappers_pb2.StringValue()
    assert found.metadata["signature_def"].Unpack(definitions) and found.metadata["mitozoo"].Unpack(about)
    assert json.loads(about.value) == ABOUT
    assert definitions.signature_def["image_bytes_at"].defaults["radius_px"].float_val[:] == [30.0]
    request.metadata_field[:] = ["x"]
    assert refused(stubs[0].GetModelMetadata, request) == ("INVALID_ARGUMENT", "Metadata field x is not supported")
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "red"
    found = stubs[1].GetModelStatus(status, timeout=20)
    assert [(item.version, item.state) for item in found.model_version_status] == [(1, 30)]
    status.model_spec.name = "blue"
    text = "Could not find any versions of model blue"
    assert refused(stubs[1].GetModelStatus, status) == ("NOT_FOUND", text)


def test_what_is_not_served(stubs):
    from tensorflow_serving.apis import classification_pb2

    found = refused(stubs[0].Classify, classification_pb2.ClassificationRequest())
    assert found == ("UNIMPLEMENTED", "Classify is not served. Call Predict.")
