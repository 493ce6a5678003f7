"""Searching on a Ray cluster: every actor holds the models, and gets images and tiles of slides."""

from __future__ import annotations

import dataclasses
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import MitozooError, RecipeError
from mitozoo.data.images import read_image
from mitozoo.data.slides import is_slide
from mitozoo.inference.journal import Found, RunJournal
from mitozoo.inference.many import predict_images
from mitozoo.inference.result import FieldResult
from mitozoo.inference.session import Search, Settings
from mitozoo.inference.slide_search import SlidePlan, TileProgress
from mitozoo.inference.tiles import Tile
from mitozoo.inference.view import View
from mitozoo.models.zoo import LoadedModel

#: Tiles of a task: few enough to share out evenly and to lose little with a worker.
TILES_A_TASK = 2
#: Tasks that wait at each actor, so that none is idle.
_AHEAD = 2
#: How often a task is tried again where its worker died.
_TRIES = 5


def ray_or_error() -> Any:
    """Return the package ray. Raises: RecipeError that says how to install it."""
    try:
        import ray
    except ImportError:
        raise RecipeError('--engine ray needs Ray. Install it: pip install "mitozoo[ray]"') from None
    return ray


class Worker:
    """What runs in an actor: the models, and the slides that it has opened."""

    def __init__(self, members: Sequence[tuple[LoadedModel, list[np.ndarray]]], settings: Settings) -> None:
        """Build the models. Args: members, without their networks, and the weights of each; settings of the search."""
        from mitozoo.models import registry

        loaded = []
        for item, arrays in members:
            model = registry.build(item.spec.name, **item.spec.settings)
            model.set_weights(arrays)
            loaded.append(dataclasses.replace(item, model=model))
        self.search = Search(loaded[0] if len(loaded) == 1 else loaded, settings)
        self._slides: dict[Path, Any] = {}

    def image(self, name: str, path: Path, um_per_px: float | None) -> FieldResult | MitozooError:
        """Search an image; an error is given back, as it is the image's."""
        predictor = self.search.predictor
        try:
            return predictor.field(name, path, read_image(path, max_px=predictor.max_px), um_per_px)
        except MitozooError as error:
            return error

    def tiles(self, path: Path, downsample: float, tiles: Sequence[Tile]) -> list[tuple[Tile, Found | None]]:
        """Search tiles of a slide; None where the file cannot be read."""
        from mitozoo.base.errors import InputError
        from mitozoo.data.slides import Slide
        from mitozoo.inference.slide_search import search_tile

        if path not in self._slides:
            self._slides[path] = Slide(path)
        found: list[tuple[Tile, Found | None]] = []
        for tile in tiles:
            try:
                pixels = self._slides[path].read(tile.region, downsample)
            except InputError:
                found.append((tile, None))
                continue
            found.append((tile, search_tile(self.search.predictor, tile, pixels)))
        return found


class RaySearch(Search):
    """A search by the actors of a Ray cluster; it finds what a local one finds.

    Images and slides must lie at the same paths on all machines. A worker that dies is started again, and its tasks are
    tried again.
    """

    def __init__(
        self,
        loaded: LoadedModel | Sequence[LoadedModel],
        settings: Settings | None = None,
        *,
        address: str | None = None,
        workers: int | None = None,
    ) -> None:
        """Start the actors.

        Args: loaded, settings, as in `Search`; address of a cluster that runs, None for one on this machine; workers,
        where None one for each GPU, or for each four cores where there is none.
        Raises: RecipeError without Ray, or where no cluster answers at the address.
        """
        super().__init__(loaded, settings)
        ray = self._ray = ray_or_error()
        self._own = not ray.is_initialized()
        if self._own:
            os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
            try:
                ray.init(address=address, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            except ConnectionError:
                raise RecipeError(f"No Ray cluster answers at {address}. Start it, or correct --address.") from None
        resources = ray.cluster_resources()
        gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 1))
        count = workers or gpus or max(1, cores // 4)
        members = [(dataclasses.replace(item, model=None), item.model.get_weights()) for item in self.predictor.members]
        # Kept, so that a worker that is started again finds them.
        self._stored = ray.put(members)
        actor = ray.remote(max_restarts=-1, max_task_retries=_TRIES, num_cpus=1, num_gpus=1 if gpus else 0)(Worker)
        self.workers = [actor.remote(self._stored, self.settings) for _ in range(count)]

    def close(self) -> None:
        """Stop the actors, and the cluster where it was started here."""
        for worker in self.workers:
            self._ray.kill(worker)
        if self._own:
            self._ray.shutdown()

    def images(
        self,
        images: Sequence[tuple[str, Path]],
        *,
        spacing: Mapping[Path, float | None] | None = None,
        tell: Callable[[], None] = lambda: None,
        tell_tile: Callable[[TileProgress], None] = lambda _: None,
        journal: RunJournal | None = None,
    ) -> Iterator[tuple[FieldResult, View | None]]:
        """Search (name, path) pairs in order: images several at a time, the tiles of a slide on all workers."""
        known, flag = spacing or {}, self.settings.um_per_px

        def spacing_of(path: Path) -> float | None:
            return flag if flag is not None else known.get(path)

        try:
            waiting = self._submitted(images, spacing_of, journal)
            for (name, path), task in waiting:
                if task is not None:
                    yield self._image(name, path, self._ray.get(task), journal)
                    continue
                found = predict_images(
                    self.predictor, [(name, path)], um_per_px=spacing_of, tell=tell, tell_tile=tell_tile,
                    journal=journal, run_tiles=self._tiles,
                )  # fmt: skip
                yield next(iter(found))
        finally:
            self.close()

    def _submitted(
        self,
        images: Sequence[tuple[str, Path]],
        spacing_of: Callable[[Path], float | None],
        journal: RunJournal | None,
    ) -> Iterator[tuple[tuple[str, Path], Any]]:
        """Images in order with the task of each, some ahead; None for slides and for what the journal knows."""
        waiting: deque[tuple[tuple[str, Path], Any]] = deque()
        following = 0
        while following < len(images) or waiting:
            while following < len(images) and len(waiting) < _AHEAD * len(self.workers):
                name, path = images[following]
                task = None
                if not is_slide(path) and (journal is None or journal.image(name, path).result is None):
                    worker = self.workers[following % len(self.workers)]
                    task = worker.image.remote(name, path.resolve(), spacing_of(path))
                waiting.append(((name, path), task))
                following += 1
            yield waiting.popleft()

    def _image(
        self, name: str, path: Path, found: FieldResult | MitozooError, journal: RunJournal | None
    ) -> tuple[FieldResult, View | None]:
        if isinstance(found, MitozooError):
            return FieldResult(name=name, path=path, status=" ".join(str(found).split())), None
        result = dataclasses.replace(found, path=path)
        if journal is not None:
            journal.image(name, path).finish(result)
        return result, View(read_image(path, max_px=self.predictor.max_px).pixels)

    def _tiles(self, plan: SlidePlan, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, Found | None]]:
        """Search tiles on all workers, in the order in which they are done."""
        ray, path = self._ray, plan.slide.path.resolve()
        chunks = deque(tiles[start : start + TILES_A_TASK] for start in range(0, len(tiles), TILES_A_TASK))
        running: dict[Any, Any] = {}

        def give(worker: Any) -> None:
            if chunks:
                running[worker.tiles.remote(path, plan.downsample, chunks.popleft())] = worker

        for _ in range(_AHEAD):
            for worker in self.workers:
                give(worker)
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            worker = running.pop(done)
            give(worker)
            yield from ray.get(done)

    def record(self) -> dict[str, Any]:
        """What `run.json` says of the search."""
        return {**super().record(), "engine": "ray", "workers": len(self.workers)}

    def mark(self) -> str:
        """As of a local search, whose run may be gone on with."""
        from mitozoo import __version__
        from mitozoo.inference.journal import fingerprint
        from mitozoo.inference.session import without_time

        return fingerprint({**without_time(super().record()), "mitozoo": __version__})
