"""Why a request is refused: TensorFlow Serving's status codes, as HTTP and gRPC say them."""

from __future__ import annotations

import enum
import re

from mitozoo.base.errors import MitozooError

#: The place in the source that gRPC and TensorFlow tell behind a message.
_NODE = re.compile(r"\n?\s*\[\[\{\{node .*$", re.DOTALL)
_ASSERTION = re.compile(r"assertion failed: \[(.*)\]\s*$", re.DOTALL)
_NOT_PRINTED = re.compile(r"[\x00-\x1f\x7f]+")
_LONGEST = 500


class Code(enum.Enum):
    """A status code by its gRPC name; the value is the HTTP status that TensorFlow Serving gives it."""

    INVALID_ARGUMENT = 400
    NOT_FOUND = 404
    RESOURCE_EXHAUSTED = 429
    INTERNAL = 500
    UNAVAILABLE = 503
    DEADLINE_EXCEEDED = 504


class MissingPackageError(MitozooError):
    """A package of the extra "serving" that is not installed."""


class Refused(MitozooError):
    """A request that gets no answer. Attributes: code."""

    def __init__(self, code: Code, text: str) -> None:
        """Args: code; text, what is wrong and what to do."""
        super().__init__(text)
        self.code = code


def invalid(text: str) -> Refused:
    """A request that is wrong in itself."""
    return Refused(Code.INVALID_ARGUMENT, text)


def plain(text: str) -> str:
    """Text without what must not stand in an answer or a log: control characters; cut where it is very long."""
    short = _NOT_PRINTED.sub(" ", text).strip()
    return short if len(short) <= _LONGEST else short[:_LONGEST] + "…"


def graph_message(text: str) -> str:
    """What a graph says of its input, without the places in the graph that TensorFlow names around it."""
    message = _NODE.sub("", text.split("<stack traces unavailable>")[-1]).strip()
    found = _ASSERTION.search(message)
    return plain(found.group(1) if found else message)
