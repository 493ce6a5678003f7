"""The client's way over REST, with Python's own HTTP."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import numpy as np

from mitozoo.base.per_thread import PerThread
from mitozoo.serving.client_errors import NotThereError, Passing, RefusedByServerError, ServerError

#: Statuses after which the same request may be answered.
_PASSING = (408, 429, 502, 503, 504)
#: Errors are shown up to so many characters: an error page of a proxy may be long.
_LONGEST = 300


class RestTransport:
    """Asks a server over REST; every thread has its own connection, which stays open."""

    def __init__(self, host: str, port: int, *, tls: bool, timeout_s: float) -> None:
        """Args: host, port; tls, https; timeout_s, longest silence of the server."""
        self.address = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        self._host, self._port, self._tls, self._timeout_s = host, port, tls, timeout_s
        self._connections = PerThread(self._connection, _cut)

    def metadata(self, model: str) -> dict[str, Any]:
        """The metadata of a model, as the document of TensorFlow Serving's REST. Raises: Passing, MitozooError."""
        found = self._ask("GET", f"/v1/models/{quote(model, safe='')}/metadata", None)
        if not isinstance(found.get("metadata"), dict):
            raise ServerError(f"{self.address} does not answer as TensorFlow Serving does. Give another --server.")
        return found

    def predict(
        self, model: str, version: str, signature: str, inputs: Mapping[str, Any], outputs: Collection[str]
    ) -> dict[str, np.ndarray]:
        """Ask for outputs of a signature. Args: inputs, lists of bytes or numbers. Raises: Passing, MitozooError."""
        given = {name: [_to_json(item) for item in value] for name, value in inputs.items()}
        body = json.dumps({"signature_name": signature, "inputs": given}).encode()
        path = f"/v1/models/{quote(model, safe='')}/versions/{version}:predict"
        found = self._ask("POST", path, body).get("outputs")
        if not isinstance(found, dict) or not set(outputs) <= set(found):
            raise ServerError(f"{self.address} answers without {', '.join(outputs)}. Export the model again.")
        return {name: np.array(found[name], np.float64) for name in outputs}

    def close(self) -> None:
        """Cut all connections, so that nothing waits for an answer any more."""
        self._connections.close()

    def _ask(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        try:
            status, content = self._exchange(method, path, body)
        except ssl.SSLCertVerificationError as error:
            raise ServerError(f"{self.address} has no certificate that is trusted ({error.verify_message}).") from None
        except (OSError, http.client.HTTPException) as error:
            # What is left of a broken connection must not answer the next request.
            self._connections.drop()
            raise Passing(_why(error, self._timeout_s)) from None
        return self._answer(status, content)

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = self._connections.get()
        headers = {"Content-Type": "application/json", "User-Agent": "mitozoo"}
        try:
            connection.request(method, path, body, headers)
        except (BrokenPipeError, ConnectionResetError):
            # A server may refuse a large body before it has read all of it, and say why.
            pass
        response = connection.getresponse()
        return response.status, response.read()

    def _answer(self, status: int, content: bytes) -> dict[str, Any]:
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        told = document.get("error") if isinstance(document, dict) else None
        text = str(told) if told else f"HTTP {status}"
        text = " ".join(text.split())[:_LONGEST].rstrip(".")
        if status in _PASSING:
            raise Passing(text)
        if status == 404 and told:
            raise NotThereError(f"The server at {self.address} answers: {text}.")
        if status in (400, 413):
            raise RefusedByServerError(f"The server at {self.address} refuses it: {text}.")
        if status != 200 or not isinstance(document, dict):
            raise ServerError(
                f"{self.address} does not answer as TensorFlow Serving does ({text}). Is it a model server's REST port?"
            )
        return document

    def _connection(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=self._timeout_s)


def _cut(connection: http.client.HTTPConnection) -> None:
    """Close a connection, also while another thread waits for its answer."""
    if connection.sock is not None:
        with contextlib.suppress(OSError):
            connection.sock.shutdown(2)
    connection.close()


def _to_json(item: Any) -> Any:
    return {"b64": base64.b64encode(item).decode("ascii")} if isinstance(item, bytes) else item


def _why(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
        return f"no HTTP ({type(error).__name__})"
    return str(error.strerror or error) if isinstance(error, OSError) else str(error)
