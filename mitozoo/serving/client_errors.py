"""What can go wrong between a client and its server."""

from __future__ import annotations

from mitozoo.base.errors import InputError, MitozooError


class ServerError(MitozooError):
    """A server that does not answer, or not as it must; every image would fail as this one did."""


class ServerGone(Exception):
    """A server that did not answer however often it was asked.

    No MitozooError: a search takes those for the fault of one image and goes on with the next.
    """


class RefusedByServerError(InputError):
    """A request that the server refuses as it is; asking again is of no use."""


class NotThereError(RefusedByServerError):
    """A model, a version or a field that the server does not have."""


class Passing(Exception):
    """A failure after which the same request may be answered: no connection, no time, no place."""
