"""TensorFlow Serving's gRPC API: PredictionService.Predict and GetModelMetadata, ModelService.GetModelStatus."""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np

from mitozoo.serving.predicting import Service
from mitozoo.serving.signature import Tensors
from mitozoo.serving.status import Code, Refused, invalid, plain
from mitozoo.serving.versions import Asked

log = logging.getLogger(__name__)
SIGNATURES, ABOUT = "signature_def", "mitozoo"
#: Requests above the engine's own limit that gRPC takes, so that they get the engine's answer.
_SPARE = 64


def rpc_server(service: Service, max_request_bytes: int) -> Any:
    """The server, without a port yet."""
    import grpc
    from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

    limits = service.engine.limits
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", max_request_bytes),
            ("grpc.max_send_message_length", -1),
            # Two servers on one port would take turns unnoticed.
            ("grpc.so_reuseport", 0),
        ],
        maximum_concurrent_rpcs=limits.queue + limits.workers + _SPARE,
    )
    door = _Rpc(service, max_request_bytes)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(door, server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(door, server)
    return server


class _Rpc:
    """The servicer of both services; what it does not serve is answered UNIMPLEMENTED."""

    def __init__(self, service: Service, max_request_bytes: int) -> None:
        self.service, self.max_request_bytes = service, max_request_bytes

    def __getattr__(self, name: str) -> Callable[..., Awaitable[None]]:
        if not name[:1].isupper():
            raise AttributeError(name)

        async def unimplemented(request: Any, context: Any) -> None:
            import grpc

            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not served. Call Predict.")

        return unimplemented

    async def Predict(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def run() -> Any:
            with self.service.counted(request.model_spec.name, "GRPC"):
                async with self.service.engine.slot():
                    return await self._predict(request)

        return await _answered(run, context)

    async def _predict(self, request: Any) -> Any:
        from tensorflow_serving.apis import predict_pb2

        name = plain(request.model_spec.signature_name)
        served, signature = self.service.find(_asked(request.model_spec), name)
        for key in request.output_filter:
            if key not in signature.outputs:
                raise invalid(f"Signature {signature.name} has no output {plain(key)!r}.")
        given = await asyncio.to_thread(_arrays, request.inputs, self.max_request_bytes)
        outputs = await self.service.predict(served, name, given)
        wanted = set(request.output_filter) or set(outputs)
        response = predict_pb2.PredictResponse()
        _fill_spec(response.model_spec, served.name, served.version, signature.name)
        _fill_outputs(response, {key: value for key, value in outputs.items() if key in wanted})
        return response

    async def GetModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def run() -> Any:
            return self._metadata(request)

        return await _answered(run, context)

    def _metadata(self, request: Any) -> Any:
        from google.protobuf import wrappers_pb2
        from tensorflow_serving.apis import get_model_metadata_pb2

        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        served = self.service.versions.find(_asked(request.model_spec))
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        _fill_spec(response.model_spec, served.name, served.version, "")
        for field in request.metadata_field:
            if field == SIGNATURES:
                definitions = get_model_metadata_pb2.SignatureDefMap()
                for name, item in served.definitions.items():
                    definitions.signature_def[name].MergeFromString(item.SerializeToString())
                response.metadata[field].Pack(definitions)
            elif field == ABOUT and served.about:
                response.metadata[field].Pack(wrappers_pb2.StringValue(value=json.dumps(served.about)))
            else:
                raise invalid(f"Metadata field {plain(field)} is not supported")
        return response

    async def GetModelStatus(self, request: Any, context: Any) -> Any:  # noqa: N802
        async def run() -> Any:
            return self._status(request)

        return await _answered(run, context)

    def _status(self, request: Any) -> Any:
        from tensorflow_serving.apis import get_model_status_pb2

        states = self.service.versions.states(_asked(request.model_spec))
        response = get_model_status_pb2.GetModelStatusResponse()
        for version, slot in states:
            item = response.model_version_status.add()
            item.version = version
            item.state = get_model_status_pb2.ModelVersionStatus.State.Value(slot.state)
            # UNKNOWN of TensorFlow's own codes.
            item.status.error_code = 2 if slot.error else 0
            item.status.error_message = slot.error
        return response


async def _answered(run: Callable[[], Awaitable[Any]], context: Any) -> Any:
    """The answer of a call, or its error as a gRPC status."""
    import grpc

    try:
        return await run()
    except Refused as error:
        code, text = error.code, str(error)
    except Exception:
        log.exception("a call failed")
        code, text = Code.INTERNAL, "The server failed; see its log."
    return await context.abort(getattr(grpc.StatusCode, code.name), text)


def _asked(spec: Any) -> Asked:
    if not spec.name:
        raise invalid("Missing ModelSpec.name")
    choice = spec.WhichOneof("version_choice")
    version = spec.version.value if choice == "version" else None
    return Asked(plain(spec.name), version, spec.version_label if choice == "version_label" else "")


def _arrays(inputs: Any, most_bytes: int) -> Tensors:
    """Tensors of a request. Raises: Refused for one whose values do not fill its shape, or that unpacks to too much."""
    found = {}
    for name, value in inputs.items():
        try:
            array = _array(value, most_bytes)
        except Refused as error:
            raise invalid(f"{plain(name)}: {error}") from None
        except Exception as error:
            # A message that anybody wrote can be wrong in every way that make_ndarray does not look for.
            raise invalid(f"{plain(name)} is no tensor: {plain(str(error))}") from None
        found[plain(name)] = array.astype(object) if array.dtype.kind == "S" else array
    return found


def _array(value: Any, most_bytes: int) -> np.ndarray:
    import tensorflow as tf

    sizes = [dim.size for dim in value.tensor_shape.dim]
    if value.tensor_shape.unknown_rank or any(size < 0 for size in sizes):
        raise invalid("its shape is not known. Give every dimension.")
    # One value stands for as many as the shape says, so a few bytes could fill the memory.
    if math.prod(sizes) * max(tf.as_dtype(value.dtype).size or 1, 1) > most_bytes:
        raise invalid(f"a shape of {sizes} is more than a request may hold. Send smaller images.")
    return np.asarray(tf.make_ndarray(value))


def _fill_spec(spec: Any, name: str, version: int, signature: str) -> None:
    spec.name, spec.signature_name = name, signature
    spec.version.value = version


def _fill_outputs(response: Any, outputs: Tensors) -> None:
    import tensorflow as tf

    for name, value in outputs.items():
        response.outputs[name].MergeFromString(tf.make_tensor_proto(value).SerializeToString())
