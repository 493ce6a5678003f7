"""Reading from the network: only https, or http to this machine, also after redirects; failures with a reason."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

#: Longest silence of a server, in seconds.
TIMEOUT_S = 30.0
#: Pause before the second try, in seconds; it doubles. No server is waited for longer than the second number.
PAUSE_S, LONGEST_PAUSE_S = 1.0, 120.0
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Answers below 500 after which the same question may be answered: silence, a range that does not fit, too many.
_PASSING = (408, 416, 425, 429)


class Unavailable(Exception):
    """A place that did not give what was asked; the text says why. Not an OSError, so that file writers let it through.

    Attributes: lasting, whether asking again is of no use.
    """

    def __init__(self, text: str, lasting: bool = False) -> None:
        """Args: text; lasting."""
        super().__init__(text)
        self.lasting = lasting


def url_problem(url: str) -> str | None:
    """Say why nothing is fetched from `url`, or return None where it may be.

    Allowed are https, file without a host, http to this machine alone, and a relative path without `..`.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return "is not a URL"
    if parts.username or parts.password:
        return "holds a user name or a password"
    if parts.scheme == "https":
        return None if host else "names no host"
    if parts.scheme == "http":
        return None if host in _LOOPBACK else "is http, which anyone on the way can change; use https"
    if parts.scheme == "file":
        return None if host in (None, "localhost") else "is a file on another host"
    if parts.scheme or not url or url.startswith("/") or "\\" in url or ".." in url.split("/"):
        return "is neither https, file nor a path inside the zoo"
    return None


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follow a redirect only to a place that could be named itself."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        problem = url_problem(newurl)
        if problem or not newurl.startswith("http"):
            raise Unavailable(f"it redirects to a place that {problem or 'is not on the network'}", lasting=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_network(url: str, *, timeout_s: float = TIMEOUT_S, headers: Mapping[str, str] | None = None) -> Any:
    """Open an http(s) URL for reading.

    Returns: the response. Raises: OSError, http.client.HTTPException, Unavailable.
    """
    handlers: list[urllib.request.BaseHandler] = [_CheckedRedirects()]
    if urlsplit(url).scheme == "http":
        # Plain http is allowed to this machine alone, which no proxy stands in front of.
        handlers.append(urllib.request.ProxyHandler({}))
    sent = {"User-Agent": "mitozoo", "Accept-Encoding": "identity", **(headers or {})}
    return urllib.request.build_opener(*handlers).open(urllib.request.Request(url, headers=sent), timeout=timeout_s)


def reason(error: Exception, timeout_s: float = TIMEOUT_S) -> str:
    """Why the network failed, in a few words."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)


def is_lasting(error: Exception) -> bool:
    """Whether asking again is of no use: the place is not there, or not for us."""
    if isinstance(error, Unavailable):
        return error.lasting
    return isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in _PASSING


def pause_s(error: Exception, failures: int) -> float:
    """How long to wait before asking again, in seconds: as the server says, else twice as long after every failure.

    Args: failures, at least 1, how many came one after another.
    """
    told = error.headers.get("Retry-After", "") if isinstance(error, urllib.error.HTTPError) and error.headers else ""
    wanted = float(told) if told.isdecimal() else PAUSE_S * 2 ** (failures - 1)
    return min(wanted, LONGEST_PAUSE_S)


@contextlib.contextmanager
def byte_bar(title: str, total_bytes: int, *, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """Show a bar of bytes on standard error, silent where that is no terminal; yields a function of the bytes there."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task(title, total=total_bytes)
        yield lambda done: bar.update(task, completed=done)
