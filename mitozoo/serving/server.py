"""The local server: one event loop with a door for REST and one for gRPC, and threads that run the models."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitozoo.base.errors import InputError, RecipeError
from mitozoo.serving.engine import Engine, Limits
from mitozoo.serving.metrics import Metrics
from mitozoo.serving.predicting import Service
from mitozoo.serving.status import MissingPackageError
from mitozoo.serving.versions import Versions

LOOPBACK = "127.0.0.1"
REST_PORT, GRPC_PORT = 8501, 8500
#: How long requests that run are waited for at the end, beyond their own time limit.
_GRACE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ServeSettings:
    """How a server runs; it checks itself.

    Attributes: folder of the models; host; rest_port, grpc_port, 0 for a free one; max_request_mb, largest request;
    limits; poll_s, seconds between two looks at the folder.
    Raises: RecipeError for settings that make no sense.
    """

    folder: Path
    host: str = LOOPBACK
    rest_port: int = REST_PORT
    grpc_port: int = GRPC_PORT
    max_request_mb: float = 64.0
    limits: Limits = field(default_factory=Limits)
    poll_s: float = 2.0

    def __post_init__(self) -> None:
        for name, port in (("--rest-port", self.rest_port), ("--grpc-port", self.grpc_port)):
            if not 0 <= port <= 65_535:
                raise RecipeError(f"{name} is a port from 1 to 65535, or 0 for a free one, got {port}.")
        if self.rest_port == self.grpc_port != 0:
            raise RecipeError(f"--rest-port and --grpc-port are both {self.rest_port}. Give two ports.")
        if not 0 < self.max_request_mb <= 2000:
            raise RecipeError(f"--max-request-mb must be above 0 and at most 2000, got {self.max_request_mb:g}.")
        if not 0 < self.limits.timeout_s < float("inf"):
            raise RecipeError(f"--timeout-s must be above 0, got {self.limits.timeout_s:g}.")
        if not 0 < self.poll_s < float("inf"):
            raise RecipeError(f"--poll-s must be above 0, got {self.poll_s:g}.")
        for name, count in (("--queue", self.limits.queue), ("--workers", self.limits.workers)):
            if count < 1:
                raise RecipeError(f"{name} must be 1 or more, got {count}.")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_packages() -> None:
    """Raises: MissingPackageError where a package of the extra "serving" is missing."""
    try:
        import aiohttp  # noqa: F401
        import grpc  # noqa: F401
        import prometheus_client  # noqa: F401
        import tensorflow_serving  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f'The server needs {error.name}. Install it: pip install "mitozoo[serving]"'
        ) from None


class Server:
    """A server. Attributes after `start`: rest_port, grpc_port, service."""

    def __init__(self, settings: ServeSettings) -> None:
        """Prepare; nothing is opened yet. Raises: MissingPackageError."""
        check_packages()
        self.settings = settings
        self.rest_port, self.grpc_port = settings.rest_port, settings.grpc_port
        metrics = Metrics()
        self.service = Service(Versions(settings.folder), Engine(settings.limits, metrics), metrics)
        self._runner: Any = None
        self._grpc: Any = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Load the models, then open the doors. Raises: InputError where there is no model, or a port is taken."""
        versions = self.service.versions
        await versions.refresh()
        if not versions.available():
            why = " ".join(versions.errors()) or f"There is none in {self.settings.folder}."
            raise InputError(f"No model to serve. {why} Export one: mitozoo export scout --out {self.settings.folder}")
        await self._open_rest()
        try:
            await self._open_grpc()
        except BaseException:
            await self._runner.cleanup()
            raise
        self._watch = asyncio.create_task(versions.watch(self.settings.poll_s))

    async def _open_rest(self) -> None:
        from aiohttp import web

        from mitozoo.serving.rest import application

        host, limit_s = self.settings.host, self.settings.limits.timeout_s
        self._runner = web.AppRunner(
            application(self.service, self._max_bytes),
            # Who hangs up gives its place free.
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=limit_s + _GRACE_S,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, self.rest_port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise InputError(
                f"Port {self.rest_port} of {host} cannot be opened ({error.strerror or error}). "
                "Choose another with --rest-port."
            ) from None
        self.rest_port = self._runner.addresses[0][1]

    async def _open_grpc(self) -> None:
        from mitozoo.serving.rpc import rpc_server

        self._grpc = rpc_server(self.service, self._max_bytes)
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        try:
            port = self._grpc.add_insecure_port(f"{host}:{self.grpc_port}")
        except RuntimeError:
            port = 0
        if not port:
            raise InputError(
                f"Port {self.grpc_port} of {self.settings.host} cannot be opened. Choose another with --grpc-port."
            )
        self.grpc_port = port
        await self._grpc.start()

    @property
    def _max_bytes(self) -> int:
        return round(self.settings.max_request_mb * 1e6)

    async def stop(self) -> None:
        """Take no more requests, finish those that run, and close."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await asyncio.gather(self._grpc.stop(self.settings.limits.timeout_s + _GRACE_S), self._runner.cleanup())
        await self.service.engine.finished()


async def serve(settings: ServeSettings, started: Callable[[Server], None] = lambda server: None) -> None:
    """Serve until SIGINT or SIGTERM; a second one stops at once.

    Args: settings; started, called once the doors are open.  Raises: as `Server`.
    """
    server = Server(settings)
    await server.start()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    with _signals(loop, stop):
        started(server)
        await stop.wait()
        stopping = asyncio.create_task(server.stop())
        stop.clear()
        again = asyncio.create_task(stop.wait())
        await asyncio.wait({stopping, again}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, again):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> Any:
    """Set `stop` at SIGINT and SIGTERM."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    for number in numbers:
        # Not loop.add_signal_handler, which Windows does not have.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def log_to(say: Callable[[str], None]) -> None:
    """Give what the server logs to a function, a line each."""

    class _Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(self.format(record))

    handler = _Lines()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("mitozoo.serving")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
