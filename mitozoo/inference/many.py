"""Searching many images and slides, one after another; one that is bad never stops the rest."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from mitozoo.base.errors import InputError, MitozooError, OutputError
from mitozoo.data.images import Image, read_image
from mitozoo.data.slides import Slide, is_slide
from mitozoo.inference.journal import ImageJournal, RunJournal
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.result import FieldResult
from mitozoo.inference.slide_search import RunTiles, TileProgress, plan_slide, search_slide, view_of
from mitozoo.inference.view import View

#: Images that are decoded ahead of the network.
AHEAD = 1


def predict_images(
    predictor: Predictor,
    images: Sequence[tuple[str, Path]],
    *,
    um_per_px: Callable[[Path], float | None] = lambda _: None,
    tell: Callable[[], None] = lambda: None,
    tell_tile: Callable[[TileProgress], None] = lambda _: None,
    journal: RunJournal | None = None,
    run_tiles: RunTiles | None = None,
) -> Iterator[tuple[FieldResult, View | None]]:
    """Search images one after another while the next ones are decoded; slides tile by tile.

    Args: predictor; (name, path) pairs; um_per_px, spacing of a path in place of its file's, or None; tell, called
    after each opinion on an image; tell_tile, after each tile of a slide; journal, of a run that goes on;
    run_tiles, what searches the tiles of slides in place of this process.
    Yields: the result and what to draw on, or a failed result (`status` says why) and None: one bad image never stops
    the rest. An exception that is no fault of the image or of the memory is raised.
    """
    slides = [_is_slide(path) for _, path in images]
    with ThreadPoolExecutor(AHEAD) as readers:

        def read(i: int) -> Future[Image] | None:
            return None if slides[i] else readers.submit(read_image, images[i][1], max_px=predictor.max_px)

        waiting = deque(read(i) for i in range(min(AHEAD, len(images))))
        for i, (name, path) in enumerate(images):
            future = waiting.popleft()
            if i + AHEAD < len(images):
                waiting.append(read(i + AHEAD))
            own = journal.image(name, path) if journal else None
            yield _search(predictor, name, path, future, um_per_px(path), tell, tell_tile, own, run_tiles)


def _is_slide(path: Path) -> bool:
    try:
        return is_slide(path)
    except OSError:
        return False


def _search(
    predictor: Predictor,
    name: str,
    path: Path,
    image: Future[Image] | None,
    um_per_px: float | None,
    tell: Callable[[], None],
    tell_tile: Callable[[TileProgress], None],
    journal: ImageJournal | None,
    run_tiles: RunTiles | None,
) -> tuple[FieldResult, View | None]:
    try:
        found, view = _found(predictor, name, path, image, um_per_px, tell, tell_tile, journal, run_tiles)
    except OutputError:
        raise
    except MitozooError as error:
        return FieldResult(name=name, path=path, status=_one_line(error)), None
    except _out_of_memory():
        lack = InputError(f"{path} needs more memory than there is. Cut it into smaller fields.")
        return FieldResult(name=name, path=path, status=_one_line(lack)), None
    if journal is not None and journal.result is None:
        journal.finish(found)
    return found, view


def _found(
    predictor: Predictor,
    name: str,
    path: Path,
    image: Future[Image] | None,
    um_per_px: float | None,
    tell: Callable[[], None],
    tell_tile: Callable[[TileProgress], None],
    journal: ImageJournal | None,
    run_tiles: RunTiles | None,
) -> tuple[FieldResult, View]:
    known = journal.result if journal else None
    if image is not None:
        decoded = image.result()
        found = known or predictor.field(name, path, decoded, um_per_px, tell)
        return found, View(decoded.pixels)
    if known is not None:
        return known, view_of(plan_slide(Slide(path), predictor.spec.um_per_px, um_per_px))
    return search_slide(predictor, name, path, um_per_px, journal=journal, tell=tell_tile, run_tiles=run_tiles)


def _out_of_memory() -> tuple[type[BaseException], ...]:
    """What says that there is no memory left: Python and NumPy, and TensorFlow if it was used."""
    tensorflow = sys.modules.get("tensorflow")
    return (MemoryError,) if tensorflow is None else (MemoryError, tensorflow.errors.ResourceExhaustedError)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
