"""The public functions: build, load, predict, evaluate."""

from __future__ import annotations

import dataclasses
import datetime
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitozoo.base.errors import DataError, InputError, OutputError, RecipeError
from mitozoo.base.progress import progress_bar
from mitozoo.base.units import HOTSPOT_MM2
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.fields import FieldReport
from mitozoo.inference.result import FieldResult
from mitozoo.models.zoo import LoadedModel

if TYPE_CHECKING:
    import keras

    from mitozoo.data.dataset import Dataset
    from mitozoo.export.folder import OutputFolder
    from mitozoo.inference.session import Search, Settings

#: Model that `predict` takes where none is named.
DEFAULT_MODEL = "stn"
#: Threshold on the mitotic score of a labelled patch.
PATCH_THRESHOLD = 0.5
#: Score down to which candidates are kept for the curves of an evaluation.
DEEP_CUT = 0.01


def build(name: str, **settings: Any) -> keras.Model:
    """Build an architecture with fresh weights.

    Args: name, e.g. "stn"; settings of its builder, e.g. classes=2.
    Returns: an uncompiled keras.Model.
    Raises: UnknownNameError with the nearest name.

    >>> import mitozoo
    >>> mitozoo.build("cnn12").count_params()
    13731
    """
    from mitozoo.models import registry

    return registry.build(name, **settings)


def load(name: str = DEFAULT_MODEL, weights: str | Path | None = None) -> LoadedModel:
    """Load a model with its trained weights, checked by SHA-256.

    Args: name of a zoo entry; weights, a `.weights.h5` file in place of the entry's.
    Returns: LoadedModel with `.model`, `.spec`, `.threshold` and `.manifest`.
    Raises: UnknownNameError; WeightsError for weights that are damaged or of another architecture.

    >>> import mitozoo
    >>> mitozoo.load("stn").spec.input_px
    128
    """
    from mitozoo.models import zoo

    return zoo.load(name, Path(weights) if weights is not None else None)


def predict(
    paths: str | Path | Sequence[str | Path],
    *,
    model: str = DEFAULT_MODEL,
    weights: str | Path | None = None,
    threshold: float | None = None,
    um_per_px: float | None = None,
    out: str | Path | None = None,
    formats: Sequence[str] = ("csv", "geojson", "overlay", "report"),
    overwrite: bool = False,
    batch_size: int | None = None,
    limit_memory_mb: float | None = None,
    hotspot_mm2: float = HOTSPOT_MM2,
    run: Mapping[str, Any] | None = None,
    on_result: Callable[[FieldResult], None] | None = None,
    quiet: bool = True,
) -> list[FieldResult]:
    """Find mitotic figures in images.

    Args:
        paths: files and folders (searched with their sub-folders).
        model, weights: as in `load`.
        threshold: on the score, in place of the tuned one.
        um_per_px: spacing, in place of what the files say.
        out: folder for the results in `formats`; without it nothing is written.
        overwrite: replace results that are there.
        batch_size: cells or windows at a time.
        limit_memory_mb: images that would need more are refused; on a GPU TensorFlow takes no more.
        hotspot_mm2: area of the hotspot.
        run: what else `run.json` shall say.
        on_result: called with each result once its files are written.
        quiet: no progress bar.
    Returns: one FieldResult an image, sorted by name; a failed one says why in `status`.
    Raises: InputError if there is no image at all; RecipeError for a setting that makes no sense; OutputError;
        UnknownNameError; WeightsError.

    >>> import mitozoo, tempfile
    >>> from mitozoo.data.synthetic import write_sample
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_sample(Path(folder), count=1, size_px=256, seed=0)
    >>> [result.status for result in mitozoo.predict(folder)]
    ['ok']
    """
    from mitozoo.export.folder import OutputFolder
    from mitozoo.inference.memory import limit_gpus
    from mitozoo.inference.session import Search, Settings

    settings = Settings(
        threshold=threshold,
        um_per_px=um_per_px,
        batch_size=batch_size,
        limit_memory_mb=limit_memory_mb,
        hotspot_mm2=hotspot_mm2,
    )
    images = _images(paths, out)
    folder = None
    if out is not None:
        folder = OutputFolder(Path(out), formats, overwrite=overwrite, hotspot_mm2=hotspot_mm2, model=model, gives=())
        folder.check([name for name, _ in images])
    if limit_memory_mb is not None:
        limit_gpus(limit_memory_mb)
    search = Search(load(model, weights), settings)
    return _search_all(search, images, folder, run or {}, on_result, quiet)


def _images(paths: str | Path | Sequence[str | Path], out: str | Path | None) -> list[tuple[str, Path]]:
    """List the images to search; those in the folder for the results are results, where it lies in a searched one."""
    from mitozoo.data.listing import list_images

    given = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
    if not given:
        raise InputError("No image was given. Name image files or folders.")
    images = list_images(given)
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
    with progress_bar("Searching", len(images), quiet=quiet) as tell:
        for result, pixels in search.images(images):
            if folder is not None:
                folder.add(result, pixels)
            results.append(result)
            if on_result is not None:
                on_result(result)
            tell(len(results), result.name)
    if folder is not None:
        record = {
            **search.record(),
            "formats": folder.formats,
            "hotspot_mm2": folder.hotspot_mm2,
            "images": len(results),
            "failed": sum(not result.ok for result in results),
            "spacing_sources": Counter(result.spacing_source for result in results if result.ok),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - start, 3),
        }
        folder.finish({**record, **run})
    return results


def evaluate(
    data: str | Path,
    *,
    model: str = DEFAULT_MODEL,
    weights: str | Path | None = None,
    data_format: str | None = None,
    threshold: float | None = None,
    protocol: str = "default",
    um_per_px: float | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    cases: Sequence[str] = (),
    seed: int = 0,
    run: Mapping[str, Any] | None = None,
    quiet: bool = True,
) -> FieldReport | PatchReport:
    """Measure a model on labelled patches (classes) or fields (detections).

    Args:
        data: folder or label file of any known format.
        model, weights, threshold, um_per_px: as in `predict`.
        data_format: of `data`, where it is not recognised.
        protocol: rule by which detections and truth are matched, on fields.
        out: folder for report.json, tables, plots and report.html.
        overwrite: replace a report that is there.
        cases: only these; empty for all.
        seed: of the bootstrap intervals, 0 or more.
        run: what else the report shall say of itself.
        quiet: no progress bar.
    Returns: PatchReport where every image is a patch around one cell, else FieldReport.
    Raises: DataError where nothing is labelled; LabelError; InputError for an image that cannot be read; RecipeError
        for a setting that makes no sense; OutputError; UnknownNameError; WeightsError.
    """
    from mitozoo import __version__
    from mitozoo.data import formats as label_formats
    from mitozoo.evaluation.matching import protocol as known_protocol
    from mitozoo.evaluation.report import write_report
    from mitozoo.evaluation.truths import is_patches, of_cases
    from mitozoo.inference.session import Settings

    settings = Settings(threshold=threshold, um_per_px=um_per_px)
    known_protocol(protocol)
    if seed < 0:
        raise RecipeError(f"--seed must be 0 or more, got {seed}.")
    if out is not None:
        _check_report_folder(Path(out), overwrite)
    dataset = of_cases(label_formats.read(Path(data), data_format), cases)
    patches = is_patches(dataset)
    loaded = load(model, weights)
    about = {"model": loaded.name, "weights": loaded.sha256[:12], "data": dataset.name, "licence": dataset.licence}
    report: FieldReport | PatchReport
    if patches:
        report = _measure_patches(loaded, dataset, settings, seed, quiet)
    else:
        report, spacing = _measure_fields(loaded, dataset, settings, protocol, seed, quiet)
        about["spacing"] = spacing
    if out is not None:
        about |= {"mitozoo": __version__, **(run or {})}
        write_report(report, Path(out), title=f"{loaded.name} on {dataset.name}", about=about)
    return report


def _check_report_folder(out: Path, overwrite: bool) -> None:
    """Make sure, before any work, that a report can be written. Raises: OutputError."""
    from mitozoo.base.files import write_bytes

    if not overwrite and (out / "report.json").exists():
        raise OutputError(f"{out} holds a report already. Choose another --out, or add --overwrite to replace it.")
    probe = out / ".mitozoo-check"
    write_bytes(probe, b"")
    probe.unlink(missing_ok=True)


def _measure_patches(loaded: LoadedModel, dataset: Dataset, settings: Settings, seed: int, quiet: bool) -> PatchReport:
    from mitozoo.evaluation.classes import evaluate_patches
    from mitozoo.inference.labelled import patch_probabilities

    with progress_bar("Patches", len(dataset.fields), quiet=quiet) as tell:
        found = patch_probabilities(loaded, dataset, um_per_px=settings.um_per_px, progress=lambda n: tell(n, ""))
    limit = PATCH_THRESHOLD if settings.threshold is None else settings.threshold
    classes = loaded.spec.classes
    return evaluate_patches(found.labels, found.probabilities, classes, found.cases, threshold=limit, seed=seed)


def _measure_fields(
    loaded: LoadedModel, dataset: Dataset, settings: Settings, protocol: str, seed: int, quiet: bool
) -> tuple[FieldReport, str]:
    """The report, and what it says of the spacing."""
    from mitozoo.evaluation.fields import evaluate_fields
    from mitozoo.evaluation.truths import check_images, field_found, field_truth, image_names, unsearched
    from mitozoo.inference.session import Search

    names = image_names([item.path for item in dataset.fields])
    listed = list(zip(names, dataset.fields, strict=True))
    wanted = [(name, field) for name, field in listed if field.labelled and field.complete]
    check_images(field for _, field in wanted)
    search = Search(loaded, dataclasses.replace(settings, cut=DEEP_CUT))
    truths = [unsearched(name, field) for (name, _), field in listed if not (field.labelled and field.complete)]
    found = []
    spacing = {item.path: item.um_per_px for item in dataset.fields}
    assumed = 0
    with progress_bar("Fields", len(wanted), quiet=quiet) as tell:
        results = search.images([name for name, _ in wanted], spacing=spacing)
        for (_, field), (result, _) in zip(wanted, results, strict=True):
            if not result.ok:
                raise DataError(result.status)
            truths.append(field_truth(result, field))
            found.append(field_found(result))
            assumed += result.spacing_source == "assumed"
            tell(len(found), result.name)
    said = (
        f"{loaded.spec.um_per_px:g} µm per pixel assumed for {assumed} of {len(found)} images" if assumed else "known"
    )
    return evaluate_fields(truths, found, protocol, search.predictor.threshold, seed=seed), said
