"""TensorFlow Serving's RESTful API.

What differs: a body above the limit is answered 400, and only `:predict` is served.
Source: TensorFlow Serving, RESTful API.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from typing import TYPE_CHECKING, Any

from mitozoo.serving import json_tensors, metrics
from mitozoo.serving.predicting import Service
from mitozoo.serving.status import Code, Refused, invalid, plain
from mitozoo.serving.versions import Asked, Slot

if TYPE_CHECKING:
    from aiohttp import web

log = logging.getLogger(__name__)
_PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
    r"(?P<method>:\w+|/metadata)?"
)
#: Bodies above this are read in a thread, so that they do not hold up the others.
_LARGE_BYTES = 65_536
_JSON = "application/json"


def application(service: Service, max_request_bytes: int) -> web.Application:
    """The application. Args: service; max_request_bytes, largest body."""
    from aiohttp import web

    door = _Rest(service, max_request_bytes)
    app = web.Application(client_max_size=max_request_bytes)
    app.router.add_route("*", "/{path:.*}", door.answer)
    return app


class _Rest:
    def __init__(self, service: Service, max_request_bytes: int) -> None:
        self.service, self.max_request_bytes = service, max_request_bytes

    async def answer(self, request: web.Request) -> web.Response:
        from aiohttp import web

        try:
            return await self._route(request)
        except web.HTTPRequestEntityTooLarge:
            return _error(self._too_large())
        except web.RequestPayloadError as error:
            return _error(invalid(f"The body cannot be read: {plain(str(error))}"))
        except Refused as error:
            return _error(error)
        except ConnectionError:
            raise
        except Exception:
            log.exception("a request failed")
            return _error(Refused(Code.INTERNAL, "The server failed; see its log."))

    async def _route(self, request: web.Request) -> web.Response:
        from aiohttp import web

        if request.path == metrics.PATH and request.method == "GET":
            text = self.service.metrics.text()
            return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
        if not request.path.startswith("/v1/"):
            raise Refused(Code.NOT_FOUND, f"Not found: {plain(request.path)}. Models are at /v1/models/NAME.")
        found = _PATH.fullmatch(request.path)
        method = found["method"] if found else None
        wanted = "POST" if found and method and method.startswith(":") else "GET"
        if found is None or request.method != wanted:
            raise invalid(f"Malformed request: {request.method} {plain(request.path)}")
        version = None if found["version"] is None else int(found["version"])
        asked = Asked(found["name"], version, found["label"] or "")
        if method is None:
            return _json(_status_document(self.service.versions.states(asked)))
        if method == "/metadata":
            return _json(_metadata_document(self.service, asked))
        if method != ":predict":
            raise invalid(f"Only :predict is served, not {plain(method)}.")
        return await self._predict(request, asked)

    async def _predict(self, request: web.Request, asked: Asked) -> web.Response:
        from aiohttp import web

        if (request.content_length or 0) > self.max_request_bytes:
            raise self._too_large()
        with self.service.counted(asked.name, "REST"):
            async with self.service.engine.slot():
                self.service.versions.find(asked)
                body = await request.read()
                parsed = await _aside(len(body), json_tensors.parse, body)
                served, signature = self.service.find(asked, parsed.signature_name)
                given = await _aside(len(body), json_tensors.tensors, parsed, signature)
                outputs = await self.service.predict(served, parsed.signature_name, given)
                size = sum(value.nbytes for value in outputs.values())
                text = await _aside(size, json_tensors.answer, outputs, by_rows=parsed.by_rows)
        return web.Response(body=text, content_type=_JSON)

    def _too_large(self) -> Refused:
        limit = self.max_request_bytes / 1e6
        return invalid(f"The request is larger than {limit:g} MB. Send tiles, or raise --max-request-mb.")


async def _aside(size_bytes: int, function: Any, *args: Any, **kwargs: Any) -> Any:
    return (
        await asyncio.to_thread(function, *args, **kwargs) if size_bytes > _LARGE_BYTES else function(*args, **kwargs)
    )


def _json(document: Any, status: int = 200) -> web.Response:
    from aiohttp import web

    return web.Response(body=json.dumps(document, indent=1).encode(), content_type=_JSON, status=status)


def _error(error: Refused) -> web.Response:
    return _json({"error": str(error)}, error.code.value)


def _status_document(states: list[tuple[int, Slot]]) -> dict[str, Any]:
    return {
        "model_version_status": [
            {
                "version": str(version),
                "state": slot.state,
                "status": {"error_code": "UNKNOWN" if slot.error else "OK", "error_message": slot.error},
            }
            for version, slot in states
        ]
    }


def _metadata_document(service: Service, asked: Asked) -> dict[str, Any]:
    """TensorFlow Serving's document, and what the export says of the model, which TensorFlow Serving cannot give."""
    from google.protobuf import json_format

    served = service.versions.find(asked)
    signatures = {
        name: json_format.MessageToDict(
            item, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for name, item in served.definitions.items()
    }
    metadata: dict[str, Any] = {"signature_def": {"signature_def": signatures}}
    if served.about:
        metadata["mitozoo"] = served.about
    spec = {"name": served.name, "signature_name": "", "version": str(served.version)}
    return {"model_spec": spec, "metadata": metadata}
