"""`mitozoo.predict`: find mitotic figures in images and write what was found."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitozoo.api.choosing import check_tta, load_all, with_tuned
from mitozoo.api.loading import DEFAULT_MODEL
from mitozoo.api.searching import results_of
from mitozoo.base.errors import InputError, RecipeError, UnknownNameError
from mitozoo.base.units import HOTSPOT_MM2
from mitozoo.inference.result import FieldResult

#: What searches: this process, or a Ray cluster.
ENGINES = ("local", "ray")

if TYPE_CHECKING:
    from mitozoo.export.folder import OutputFolder
    from mitozoo.inference.cluster import RaySearch
    from mitozoo.inference.journal import RunJournal
    from mitozoo.inference.session import Search, Settings
    from mitozoo.inference.speed import Speed
    from mitozoo.models.zoo import LoadedModel
    from mitozoo.serving.client import ServerSettings


def predict(
    paths: str | Path | Sequence[str | Path],
    *,
    model: str | Sequence[str] = DEFAULT_MODEL,
    weights: str | Path | Sequence[str | Path] | None = None,
    threshold: float | None = None,
    um_per_px: float | None = None,
    out: str | Path | None = None,
    formats: Sequence[str] = ("csv", "geojson", "overlay", "report"),
    overwrite: bool = False,
    resume: bool = False,
    batch_size: int | None = None,
    limit_memory_mb: float | None = None,
    hotspot_mm2: float = HOTSPOT_MM2,
    tta: int = 1,
    tuned: str | Path | None = None,
    look_again: float | None = None,
    server: str | ServerSettings | None = None,
    engine: str = "local",
    address: str | None = None,
    workers: int | None = None,
    precision: str = "float32",
    xla: bool = False,
    threads: int | None = None,
    tune_speed: bool = False,
    run: Mapping[str, Any] | None = None,
    on_result: Callable[[FieldResult], None] | None = None,
    quiet: bool = True,
) -> list[FieldResult]:
    """Find mitotic figures in images.

    Args:
        paths: files and folders (searched with their sub-folders).
        model, weights: as in `load`; several are asked together, and so are the folds of a cross-validation's folder.
        threshold: on the score, in place of the tuned one.
        um_per_px: spacing, in place of what the files say.
        out: folder for the results in `formats`; without it nothing is written.
        overwrite: replace results that are there.
        resume: go on with a run of the same settings in `out`: images that are done are not searched again.
        batch_size: cells or windows at a time.
        limit_memory_mb: images that would need more are refused; on a GPU TensorFlow takes no more.
        hotspot_mm2: area of the hotspot.
        tta: views of each image that are searched, turned and mirrored: 1, 2, 4 or 8.
        tuned: file of `mitozoo tune` for these weights: threshold and settings of the search.
        look_again: score from which detections under the threshold are doubtful (`FieldResult.doubtful`); where it is
            None, that of half the odds at the threshold.
        server: address of a server that is asked in place of loading a model, http://HOST:PORT or grpc://HOST:PORT, or
            the settings of asking it; `model` is then a model's name there.
        engine: "local", or "ray" for the workers of a Ray cluster.
        address: of a Ray cluster that runs; None starts one on this machine.
        workers: of the cluster; where None one a GPU, or one for four cores.
        precision: float32, bfloat16 or float16, in which the networks compute.
        xla: compile them with XLA.
        threads: of the networks; where None, TensorFlow's own choice.
        tune_speed: measure once what of these is fastest on this machine with these weights, and use that.
        run: what else `run.json` shall say.
        on_result: called with each result once its files are written.
        quiet: no progress bar.
    Returns: one FieldResult an image, sorted by name; a failed one says why in `status`.
    Raises: InputError if there is no image at all; RecipeError for a setting that makes no sense; OutputError;
        UnknownNameError; WeightsError; ServerError for a server that does not answer.

    >>> import mitozoo, tempfile
    >>> from mitozoo.data.synthetic import write_sample
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_sample(Path(folder), count=1, size_px=256, seed=0)
    >>> [result.status for result in mitozoo.predict(folder)]
    ['ok']
    """
    from mitozoo.export.folder import OutputFolder
    from mitozoo.inference.journal import RunJournal, may_resume, only_run_in
    from mitozoo.inference.memory import limit_gpus
    from mitozoo.inference.session import Search, Settings
    from mitozoo.inference.speed import Speed, asked_speed, set_up

    settings = Settings(
        threshold=threshold,
        um_per_px=um_per_px,
        batch_size=batch_size,
        limit_memory_mb=limit_memory_mb,
        hotspot_mm2=hotspot_mm2,
        tta=tta,
        look_again=look_again,
        speed=asked_speed(precision, xla=xla, threads=threads),
    )
    if tune_speed and settings.speed != Speed():
        raise RecipeError("--tune-speed chooses --precision, --xla and --threads by itself. Leave it or them out.")
    if engine not in ENGINES:
        raise UnknownNameError("engine", engine, ENGINES)
    if server is not None:
        local = {"--weights": weights, "--tuned": tuned, "--batch-size": batch_size}
        local |= {"--precision, --xla and --threads": None if settings.speed == Speed() else settings.speed}
        local |= {"--tune-speed": tune_speed or None}
        _check_served(model, {**local, "--engine": None if engine == "local" else engine})
    images = _images(paths, out)
    folder = None
    if out is not None:
        name = model if isinstance(model, str) else " + ".join(model)
        folder = OutputFolder(Path(out), formats, overwrite=overwrite, hotspot_mm2=hotspot_mm2, model=name, gives=())
    with contextlib.ExitStack() as held:
        if folder is not None:
            held.enter_context(only_run_in(folder.out))
            folder.overwrite = overwrite or may_resume(folder.out, resume, overwrite)
            folder.check([name for name, _ in images])
        search: Search
        if server is not None:
            search = _at_server(server, model, settings)
        else:
            if limit_memory_mb is not None:
                limit_gpus(limit_memory_mb)
            # TensorFlow takes its threads once, before any model.
            set_up(settings.speed)
            members, tuned_tta = with_tuned(load_all(model, weights), tuned)
            check_tta(tta, tuned_tta)
            if tune_speed:
                settings = dataclasses.replace(settings, speed=_tuned_speed(members, quiet))
            search = Search(members, settings) if engine == "local" else _on_ray(members, settings, address, workers)
        said = {"tuned": str(tuned)} if tuned is not None else {}
        journal = None if folder is None else RunJournal(folder.out, search.mark())
        return _search_all(search, images, folder, journal, {**said, **(run or {})}, on_result, quiet)


def _on_ray(members: Sequence[LoadedModel], settings: Settings, address: str | None, workers: int | None) -> RaySearch:
    from mitozoo.inference.cluster import RaySearch

    return RaySearch(members, settings, address=address, workers=workers)


def _tuned_speed(members: Sequence[LoadedModel], quiet: bool) -> Speed:
    from mitozoo.base.progress import progress_bar
    from mitozoo.inference.tune_speed import tuned_speed

    tried = 0
    with progress_bar("Measuring speed, once", 6, quiet=quiet) as show:

        def tell(line: str) -> None:
            nonlocal tried
            show(tried, line)
            tried += 1

        return tuned_speed(members, tell)


def _check_served(model: str | Sequence[str], local: Mapping[str, Any]) -> None:
    """Raises: RecipeError for what a server cannot be told, where it is given."""
    for name, value in local.items():
        if value is not None:
            raise RecipeError(
                f"{name} and --server do not go together: the server's model was exported with its settings. Leave "
                f"{name} out, or export again."
            )
    if not isinstance(model, str) and len(model) != 1:
        raise RecipeError(f"A server is asked for one model, not {len(model)}. Give --model once.")


def _at_server(server: str | ServerSettings, model: str | Sequence[str], settings: Settings) -> Search:
    from mitozoo.serving.client import RemoteSearch, ServerSettings

    at = ServerSettings(address=server) if isinstance(server, str) else server
    return RemoteSearch(at, model if isinstance(model, str) else model[0], settings)


def _images(paths: str | Path | Sequence[str | Path], out: str | Path | None) -> list[tuple[str, Path]]:
    """List the images to search; those in the folder for the results are results, where it lies in a searched one."""
    from mitozoo.data.listing import SEARCHED_SUFFIXES, list_images

    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not given:
        raise InputError("No image was given. Name image files or folders.")
    images = list_images(given, suffixes=SEARCHED_SUFFIXES)
    place = Path(out).resolve() if out is not None else None
    if place is None or any(path.resolve().is_relative_to(place) for path in given):
        return images
    kept = [(name, path) for name, path in images if not path.resolve().is_relative_to(place)]
    if not kept:
        raise InputError(f"All images are in {out}, where the results would go. Choose another --out.")
    return kept


def _search_all(
    search: Search,
    images: Sequence[tuple[str, Path]],
    folder: OutputFolder | None,
    journal: RunJournal | None,
    run: Mapping[str, Any],
    on_result: Callable[[FieldResult], None] | None,
    quiet: bool,
) -> list[FieldResult]:
    """Search the images and write what is found as it is found."""
    from mitozoo.export.formats import RUN_FILE

    start, started = time.perf_counter(), datetime.datetime.now(datetime.UTC)
    results: list[FieldResult] = []
    if folder is not None:
        # Its presence tells a complete run, which this one is not before its end.
        (folder.out / RUN_FILE).unlink(missing_ok=True)
    with contextlib.closing(results_of(search, images, quiet=quiet, journal=journal)) as found:
        for result, view in found:
            if folder is not None:
                folder.add_view(result, view)
            del view  # The next image needs its memory.
            results.append(result)
            if on_result is not None:
                on_result(result)
    if folder is not None:
        record = {
            **search.record(),
            "formats": folder.formats,
            "hotspot_mm2": folder.hotspot_mm2,
            "images": len(results),
            "failed": sum(not result.ok for result in results),
            "incomplete": sum(result.ok and not result.complete for result in results),
            "spacing_sources": Counter(result.spacing_source for result in results if result.ok),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - start, 3),
        }
        folder.finish({**record, **run})
    return results
