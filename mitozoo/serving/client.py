"""A search that asks a server in place of a model of its own, and finds the same."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mitozoo.base.errors import InputError, MitozooError, RecipeError
from mitozoo.data.images import read_header
from mitozoo.data.slides import is_slide
from mitozoo.inference.journal import RunJournal, fingerprint
from mitozoo.inference.many import predict_images
from mitozoo.inference.result import FieldResult
from mitozoo.inference.session import Search, Settings
from mitozoo.inference.slide_search import TileProgress, tiles_at_once
from mitozoo.inference.view import View
from mitozoo.models.registry import ModelSpec
from mitozoo.models.zoo import LoadedModel
from mitozoo.serving.client_decoder import RemoteModel, Transport
from mitozoo.serving.client_errors import NotThereError, ServerError, ServerGone
from mitozoo.serving.client_grpc import GrpcTransport
from mitozoo.serving.client_model import describe
from mitozoo.serving.client_rest import RestTransport
from mitozoo.serving.client_retry import Patience
from mitozoo.serving.server import GRPC_PORT, REST_PORT

#: The task of models whose decoder runs at a server.
TASK = "served"
#: Pixels of the images that are searched or wait for it at a time, at most, unless it is one image.
_HELD_PX = 100_000_000


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Which server to ask, and how; it checks itself.

    Attributes: address, http://HOST:PORT, https://HOST:PORT or grpc://HOST:PORT; model, its name there, None for the
    one that the search names; about, NAME.json of the export, for servers that do not say what it holds; timeout_s,
    longest wait for an answer; requests that are in flight at a time.
    Raises: RecipeError for settings that make no sense.
    """

    address: str
    model: str | None = None
    about: Path | None = None
    timeout_s: float = 120.0
    requests: int = 4

    def __post_init__(self) -> None:
        self.place()
        if not 0 < self.timeout_s < math.inf:
            raise RecipeError(f"--server-timeout-s must be above 0, got {self.timeout_s:g}.")
        if self.requests < 1:
            raise RecipeError(f"--server-requests must be 1 or more, got {self.requests}.")

    def place(self) -> tuple[str, str, int]:
        """Scheme, host and port. Raises: RecipeError."""
        try:
            parts = urlsplit(self.address)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host is None or parts.scheme not in ("http", "https", "grpc") or parts.path.strip("/") or parts.username:
            raise RecipeError(
                f"--server is such as http://localhost:{REST_PORT} or grpc://localhost:{GRPC_PORT}, "
                f"got {self.address!r}."
            )
        return parts.scheme, host, port or {"http": REST_PORT, "https": 443, "grpc": GRPC_PORT}[parts.scheme]


def connect(settings: ServerSettings) -> Transport:
    """A way to the server; nothing is sent yet. Raises: MissingPackageError."""
    scheme, host, port = settings.place()
    if scheme == "grpc":
        return GrpcTransport(host, port, timeout_s=settings.timeout_s)
    return RestTransport(host, port, tls=scheme == "https", timeout_s=settings.timeout_s)


class RemoteSearch(Search):
    """A search by a server. Spacing, threshold, doubtful cells and views are handled here, as in a local search."""

    def __init__(self, server: ServerSettings, model: str, settings: Settings) -> None:
        """Ask the server for its model.

        Args: server; model, name where `server` does not say one; settings of the search.
        Raises: ServerError where it does not answer or has no such model; InputError; RecipeError.
        """
        self.server, name = server, server.model or model
        self._transport = connect(server)
        self._patience = Patience(self._transport.address)
        self._senders = ThreadPoolExecutor(server.requests, thread_name_prefix="request")
        try:
            metadata = self._patience.ask(lambda: self._transport.metadata(name))
        except ServerGone as error:
            raise ServerError(f"{error} Start it, or correct --server.") from None
        except NotThereError as error:
            raise InputError(f"{error} Name a model that it has with --server-model.") from None
        self.about = describe(name, metadata, server.about, self._transport.address)
        super().__init__(self._loaded(), settings)

    def _loaded(self) -> LoadedModel:
        about = self.about
        spec = ModelSpec(
            name=about.name,
            title=about.title,
            task=TASK,
            input_px=0,
            outputs={},
            params=0,
            source=self._transport.address,
            um_per_px=about.um_per_px,
            classes=about.classes,
        )
        merge = {} if about.radius_px is None else {"merge_px": about.radius_px}
        return LoadedModel(
            name=about.name,
            spec=spec,
            manifest=None,
            model=RemoteModel(self._transport, about, self._patience, self._senders),
            weights=Path(f"{about.name} version {about.version}"),
            sha256=about.sha256,
            threshold=about.threshold,
            decoder={**about.decoder, **merge},
        )

    def images(
        self,
        images: Sequence[tuple[str, Path]],
        *,
        spacing: Mapping[Path, float | None] | None = None,
        tell: Callable[[], None] = lambda: None,
        tell_tile: Callable[[TileProgress], None] = lambda _: None,
        journal: RunJournal | None = None,
    ) -> Iterator[tuple[FieldResult, View | None]]:
        """Search images in order, several at a time. Of a slide, searched alone, as many tiles are.

        Raises: ServerError where the server does not answer any more.
        """
        known, flag = spacing or {}, self.settings.um_per_px

        def search(image: tuple[str, Path], **told: Any) -> tuple[FieldResult, View | None]:
            found = predict_images(
                self.predictor,
                [image],
                um_per_px=lambda path: flag if flag is not None else known.get(path),
                journal=journal,
                **told,
            )
            return next(iter(found))

        done, tiles = 0, tiles_at_once(self.predictor, self.server.requests)
        pool = ThreadPoolExecutor(self.server.requests, thread_name_prefix="image")
        try:
            for image, future in _ahead(pool, images, search, self.server.requests):
                yield future.result() if future else search(image, tell=tell, tell_tile=tell_tile, run_tiles=tiles)
                done += 1
        except ServerGone as error:
            kept = f" {done} finished images are kept; the same command with --resume goes on." if journal else ""
            raise ServerError(f"{error} Start it again.{kept}") from None
        finally:
            # Also after Ctrl-C: no thread must wait for an answer that nobody wants.
            if done < len(images):
                self._patience.give_up()
            pool.shutdown(wait=False, cancel_futures=True)
            self._senders.shutdown(wait=False, cancel_futures=True)
            self._transport.close()

    def mark(self) -> str:
        """A hash of all that the results follow from; the server may have moved since."""
        from mitozoo import __version__

        kept = {key: value for key, value in self.record().items() if key != "server"}
        return fingerprint({**kept, "mitozoo": __version__})

    def record(self) -> dict[str, Any]:
        """What `run.json` says of the search."""
        about = self.about
        said = {"server": self._transport.address, "server_version": about.version, "known_from": about.source}
        return {**super().record(), "weights_sha256": about.sha256 or None, **said}


def _ahead(
    pool: ThreadPoolExecutor,
    images: Sequence[tuple[str, Path]],
    search: Callable[[tuple[str, Path]], Any],
    most: int,
) -> Iterator[tuple[tuple[str, Path], Future[Any] | None]]:
    """Images in order with the search of each, a few begun ahead as far as memory goes; None in place of a slide's."""
    waiting: deque[tuple[tuple[str, Path], Future[Any] | None, int]] = deque()
    following, held = 0, 0
    while following < len(images) or waiting:
        while following < len(images) and len(waiting) < most:
            image = images[following]
            size = _pixels(image[1])
            if size is not None and waiting and held + size > _HELD_PX:
                break
            future = None if size is None else pool.submit(search, image)
            waiting.append((image, future, size or 0))
            held += size or 0
            following += 1
        image, future, size = waiting.popleft()
        yield image, future
        held -= size


def _pixels(path: Path) -> int | None:
    """Pixels of an image; 0 for what cannot be read, None for a slide."""
    try:
        if is_slide(path):
            return None
        width, height, _ = read_header(path)
    except (MitozooError, OSError):
        return 0
    return width * height
