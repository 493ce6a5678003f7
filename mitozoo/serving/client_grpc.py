"""The client's way over gRPC."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from mitozoo.serving.client_errors import NotThereError, Passing, RefusedByServerError, ServerError
from mitozoo.serving.status import MissingPackageError

_PASSING = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED")
_LONGEST = 300


class GrpcTransport:
    """Asks a server over gRPC; one channel for all threads."""

    def __init__(self, host: str, port: int, *, timeout_s: float) -> None:
        """Args: host, port; timeout_s, longest time for an answer. Raises: MissingPackageError."""
        try:
            import grpc
            from tensorflow_serving.apis import prediction_service_pb2_grpc
        except ImportError as error:
            raise MissingPackageError(
                f'grpc:// needs {error.name}. Install it: pip install "mitozoo[serving]"; or give http://.'
            ) from None
        target = f"{f'[{host}]' if ':' in host else host}:{port}"
        self.address, self._timeout_s = f"grpc://{target}", timeout_s
        # Images are larger than gRPC's own limit of 4 MB.
        options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        self._channel = grpc.insecure_channel(target, options=options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def metadata(self, model: str) -> dict[str, Any]:
        """The metadata of a model, as the document of TensorFlow Serving's REST. Raises: Passing, MitozooError."""
        from google.protobuf import json_format, wrappers_pb2
        from tensorflow_serving.apis import get_model_metadata_pb2

        def ask(field: str) -> Any:
            request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=[field])
            request.model_spec.name = model
            return self._call(self._stub.GetModelMetadata, request)

        found = ask("signature_def")
        definitions = get_model_metadata_pb2.SignatureDefMap()
        found.metadata["signature_def"].Unpack(definitions)
        metadata = {"signature_def": json_format.MessageToDict(definitions, preserving_proto_field_name=True)}
        try:
            about = wrappers_pb2.StringValue()
            ask("mitozoo").metadata["mitozoo"].Unpack(about)
            metadata["mitozoo"] = json.loads(about.value)
        except RefusedByServerError:
            # TensorFlow Serving has the signatures alone.
            pass
        return {"model_spec": {"version": str(found.model_spec.version.value)}, "metadata": metadata}

    def predict(
        self, model: str, version: str, signature: str, inputs: Mapping[str, Any], outputs: Collection[str]
    ) -> dict[str, np.ndarray]:
        """Ask for outputs of a signature. Args: inputs, lists of bytes or numbers. Raises: Passing, MitozooError."""
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        request.model_spec.version.value = int(version)
        for name, value in inputs.items():
            _fill(request.inputs[name], value)
        request.output_filter.extend(outputs)
        found = self._call(self._stub.Predict, request).outputs
        if not set(outputs) <= set(found):
            raise ServerError(f"{self.address} answers without {', '.join(outputs)}. Export the model again.")
        return {name: _array(found[name]) for name in outputs}

    def close(self) -> None:
        """Cut the channel, so that nothing waits for an answer any more."""
        self._channel.close()

    def _call(self, method: Callable[..., Any], request: Any) -> Any:
        import grpc

        try:
            return method(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            code, text = error.code().name, " ".join((error.details() or "").split())[:_LONGEST].rstrip(".")
        except ValueError:
            # The channel was closed.
            code, text = "CANCELLED", "the connection was closed"
        if code == "RESOURCE_EXHAUSTED" and "larger than" in text:
            raise RefusedByServerError(f"The server at {self.address} refuses it: {text}.")
        if code in (*_PASSING, "CANCELLED"):
            raise Passing(f"no answer within {self._timeout_s:g} s" if code == "DEADLINE_EXCEEDED" else text or code)
        if code == "NOT_FOUND":
            raise NotThereError(f"The server at {self.address} answers: {text}.")
        if code == "INVALID_ARGUMENT":
            raise RefusedByServerError(f"The server at {self.address} refuses it: {text}.")
        raise ServerError(
            f"{self.address} does not answer as TensorFlow Serving does ({code}: {text}). Is it its gRPC port?"
        )


def _fill(proto: Any, values: list[Any]) -> None:
    """Fill a TensorProto with a vector of bytes or of float32."""
    import tensorflow as tf

    dtype = tf.string if isinstance(values[0], bytes) else tf.float32
    proto.MergeFromString(tf.make_tensor_proto(values, dtype).SerializeToString())


def _array(proto: Any) -> np.ndarray:
    import tensorflow as tf

    return np.asarray(tf.make_ndarray(proto), np.float64)
