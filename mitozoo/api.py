"""The public functions: build, load, predict, evaluate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.base.progress import progress_bar
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.fields import FieldReport
from mitozoo.inference.result import FieldResult
from mitozoo.models.zoo import LoadedModel

if TYPE_CHECKING:
    import keras

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
    hotspot_mm2: float | None = None,
    run: dict[str, Any] | None = None,
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
        hotspot_mm2: area of the hotspot, 2.37 by default.
        run: what else `run.json` shall say.
        quiet: no progress bar.
    Returns: one FieldResult an image, in order; a failed one says why in `status`.
    Raises: InputError if there is no image at all; OutputError; UnknownNameError; WeightsError.

    >>> import mitozoo, tempfile
    >>> from mitozoo.data.synthetic import write_sample
    >>> folder = tempfile.mkdtemp()
    >>> _ = write_sample(folder, count=1, size_px=256, seed=0)
    >>> [result.status for result in mitozoo.predict(folder + "/field_0001.png")]
    ['ok']
    """
    from mitozoo.base.units import HOTSPOT_MM2
    from mitozoo.data.listing import list_images
    from mitozoo.export.folder import OutputFolder
    from mitozoo.inference.session import Search

    images = list_images([paths] if isinstance(paths, str | Path) else list(paths))
    folder = None
    if out is not None:
        area = HOTSPOT_MM2 if hotspot_mm2 is None else hotspot_mm2
        folder = OutputFolder(Path(out), formats, overwrite=overwrite, hotspot_mm2=area, model=model, gives=())
        folder.check([name for name, _ in images])
    start = time.time()
    search = Search(
        load(model, weights),
        threshold=threshold,
        um_per_px=um_per_px,
        batch_size=batch_size,
        limit_memory_mb=limit_memory_mb,
    )
    results = []
    with progress_bar("Searching", len(images), quiet=quiet) as tell:
        for result, pixels in search.images(images):
            if folder is not None:
                folder.add(result, pixels)
            results.append(result)
            tell(len(results), result.name)
    if folder is not None:
        record = {**search.record(), "images": len(images), "failed": sum(not result.ok for result in results)}
        folder.finish({**record, "seconds": round(time.time() - start, 3), **(run or {})})
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
    cases: Sequence[str] = (),
    seed: int = 0,
    quiet: bool = True,
) -> FieldReport | PatchReport:
    """Measure a model on labelled patches (classes) or fields (detections).

    Args:
        data: folder or label file of any known format.
        model, weights, threshold, um_per_px: as in `predict`.
        protocol: rule by which detections and truth are matched, on fields.
        out: folder for report.json, tables, plots and report.html.
        cases: only these; empty for all.
        seed: of the bootstrap intervals.
    Returns: PatchReport where every image is a patch around one cell, else FieldReport.
    Raises: DataError where nothing is labelled; LabelError; UnknownNameError.
    """
    from mitozoo.data import formats as label_formats
    from mitozoo.evaluation.classes import evaluate_patches
    from mitozoo.evaluation.fields import FieldFound, evaluate_fields
    from mitozoo.evaluation.report import write_report
    from mitozoo.evaluation.truths import field_truth, image_names, of_cases
    from mitozoo.inference.labelled import patch_probabilities
    from mitozoo.inference.session import Search

    dataset = of_cases(label_formats.read(Path(data), data_format), cases)
    loaded = load(model, weights)
    about = {"model": loaded.name, "weights": loaded.sha256[:12], "data": dataset.name, "licence": dataset.licence}
    report: FieldReport | PatchReport
    if all(not item.complete for item in dataset.fields):
        with progress_bar("Patches", len(dataset.fields), quiet=quiet) as tell:
            patches = patch_probabilities(loaded, dataset, um_per_px=um_per_px, progress=lambda n: tell(n, ""))
        limit = PATCH_THRESHOLD if threshold is None else threshold
        report = evaluate_patches(
            patches.labels, patches.probabilities, loaded.spec.classes, patches.cases, threshold=limit, seed=seed
        )
    else:
        search = Search(loaded, threshold=threshold, um_per_px=um_per_px, cut=DEEP_CUT)
        names = image_names(dataset)
        truths, found = [], []
        with progress_bar("Fields", len(names), quiet=quiet) as tell:
            known = {item.path: item.um_per_px for item in dataset.fields}
            for field, (result, _) in zip(dataset.fields, search.images(names, spacing=known), strict=True):
                if not result.ok:
                    raise DataError(f"{field.path} could not be searched: {result.status}")
                every = (*result.detections, *result.below)
                truths.append(field_truth(result, field))
                points = np.array([(item.x_px, item.y_px) for item in every]).reshape(-1, 2)
                found.append(FieldFound(result.name, points, np.array([item.score for item in every])))
                tell(len(truths), result.name)
        report = evaluate_fields(truths, found, protocol, search.predictor.threshold, seed=seed)
    if out is not None:
        write_report(report, Path(out), title=f"{loaded.name} on {dataset.name}", about=about)
    return report
