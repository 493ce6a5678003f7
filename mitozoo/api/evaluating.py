"""`mitozoo.evaluate`: measure a model on labelled patches or fields."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitozoo.api.choosing import check_apart, check_tta, load_all, with_tuned
from mitozoo.api.loading import DEFAULT_MODEL
from mitozoo.api.searching import search_fields
from mitozoo.base.errors import DataError, OutputError, RecipeError
from mitozoo.base.progress import progress_bar
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.fields import FieldReport
from mitozoo.inference.predictor import DEEP_CUT
from mitozoo.models.zoo import LoadedModel

if TYPE_CHECKING:
    from mitozoo.data.dataset import Dataset
    from mitozoo.inference.session import Settings

#: Threshold on the mitotic score of a labelled patch.
PATCH_THRESHOLD = 0.5


def evaluate(
    data: str | Path,
    *,
    model: str | Sequence[str] = DEFAULT_MODEL,
    weights: str | Path | Sequence[str | Path] | None = None,
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
    predictions: str | Path | None = None,
    ignore_unknown: bool = False,
    tta: int = 1,
    tuned: str | Path | None = None,
) -> FieldReport | PatchReport:
    """Measure a model on labelled patches (classes) or fields (detections).

    Args:
        data: folder or label file of any known format.
        model, weights, threshold, um_per_px, tta, tuned: as in `predict`; fields of cases that the threshold was chosen
            on are refused.
        data_format: of `data`, where it is not recognised.
        protocol: rule by which detections and truth are matched, on fields.
        out: folder for report.json, tables, plots and report.html.
        overwrite: replace a report that is there.
        cases: only these; empty for all.
        seed: of the bootstrap intervals, 0 or more.
        run: what else the report shall say of itself.
        quiet: no progress bar.
        predictions: detections that were made before, by any program, in place of a model: detections.csv (or the
            folder that holds it), Grand Challenge json or COCO json with scores; for fields.
        ignore_unknown: leave out predictions of images that the labels do not know.
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

    if predictions is not None:
        _check_predictions(weights, threshold, asked=tuned is not None or tta != 1)
    settings = Settings(threshold=threshold if predictions is None else None, um_per_px=um_per_px, tta=tta)
    known_protocol(protocol)
    if seed < 0:
        raise RecipeError(f"--seed must be 0 or more, got {seed}.")
    if out is not None:
        _check_report_folder(Path(out), overwrite)
    whole = label_formats.read(Path(data), data_format)
    dataset = of_cases(whole, cases)
    patches = is_patches(dataset)
    about = {"data": dataset.name, "licence": dataset.licence}
    report: FieldReport | PatchReport
    if predictions is not None:
        settled = _Saved(Path(predictions), threshold, um_per_px, ignore_unknown)
        report, said = _measure_predictions(settled, whole, dataset, protocol, seed)
        name, about = said.pop("name"), said | about
    else:
        if patches and tuned is not None:
            raise RecipeError(
                f"--tuned holds a detector's threshold, and {dataset.name} has patches of single cells, which no "
                "detector searches. Leave --tuned out."
            )
        members, tuned_tta = with_tuned(load_all(model, weights), tuned)
        check_tta(tta, tuned_tta)
        name, about = " + ".join(dict.fromkeys(item.name for item in members)), {**_of(members, tta), **about}
        if patches:
            report = _measure_patches(members, dataset, settings, seed, quiet)
        else:
            if threshold is None:
                check_apart(members, dataset.cases)
                about |= _chosen_on(members)
            report, about["spacing"] = _measure_fields(members, dataset, settings, protocol, seed, quiet)
    if out is not None:
        about |= {"mitozoo": __version__, **(run or {})}
        write_report(report, Path(out), title=f"{name} on {dataset.name}", about=about)
    return report


def _of(members: Sequence[LoadedModel], tta: int) -> dict[str, str]:
    """What a report says of the models."""
    about = {
        "model": ", ".join(item.name for item in members),
        "weights": ", ".join(item.sha256[:12] for item in members),
    }
    if tta > 1:
        about["views of each image"] = str(tta)
    return about


def _chosen_on(members: Sequence[LoadedModel]) -> dict[str, str]:
    """What a report says of the cases that the threshold was chosen on."""
    cases = sorted({case for item in members for case in item.tuned_on})
    return {"threshold chosen on": ", ".join(cases)} if cases else {}


def _check_report_folder(out: Path, overwrite: bool) -> None:
    """Make sure, before any work, that a report can be written. Raises: OutputError."""
    from mitozoo.base.files import write_bytes

    if not overwrite and (out / "report.json").exists():
        raise OutputError(f"{out} holds a report already. Choose another --out, or add --overwrite to replace it.")
    probe = out / ".mitozoo-check"
    write_bytes(probe, b"")
    probe.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _Saved:
    """Predictions to measure, and how."""

    path: Path
    threshold: float | None
    um_per_px: float | None
    ignore_unknown: bool


def _check_predictions(weights: object, threshold: float | None, *, asked: bool) -> None:
    """Refuse what makes no sense together. Raises: RecipeError."""
    if weights is not None:
        raise RecipeError("--predictions are measured as they are, without a model: leave --weights out.")
    if asked:
        raise RecipeError("--predictions are measured as they are, without a search: leave --tuned and --tta out.")
    if threshold is not None and not math.isfinite(threshold):
        raise RecipeError(f"--threshold must be a number, got {threshold:g}.")


def _measure_predictions(
    saved: _Saved, whole: Dataset, dataset: Dataset, protocol: str, seed: int
) -> tuple[FieldReport, dict[str, str]]:
    """The report, and what it says of where the predictions came from."""
    from mitozoo.evaluation.fields import evaluate_fields
    from mitozoo.evaluation.predicted import measurable
    from mitozoo.evaluation.predictions import read_predictions
    from mitozoo.evaluation.truths import is_patches

    if is_patches(dataset):
        raise DataError(
            f"{dataset.name} labels single cells, and --predictions are measured on fields with complete labels. "
            "Leave --predictions out to classify the cells with a model."
        )
    found = read_predictions(saved.path)
    threshold = found.threshold if saved.threshold is None else saved.threshold
    if threshold is None:
        raise RecipeError(
            f"No run.json beside {saved.path} says from which score a detection counts: give --threshold."
        )
    both = measurable(
        dataset=whole, wanted=dataset, predictions=found, um_per_px=saved.um_per_px, ignore_unknown=saved.ignore_unknown
    )
    report = evaluate_fields(both.truths, both.found, protocol, threshold, seed=seed)
    made_by = {"model": str(found.run["model"])} if found.run.get("model") else {}
    if found.run.get("weights_sha256"):
        made_by["weights"] = str(found.run["weights_sha256"])[:12]
    return report, {"name": made_by.get("model", saved.path.name), **made_by, **both.about}


def _measure_patches(
    members: Sequence[LoadedModel], dataset: Dataset, settings: Settings, seed: int, quiet: bool
) -> PatchReport:
    from mitozoo.evaluation.classes import evaluate_patches
    from mitozoo.inference.ensemble import ordered, shared_classes
    from mitozoo.inference.labelled import mean_of, patch_probabilities

    members = ordered(members)
    classes, parts, count = shared_classes(members), [], len(dataset.fields)
    with progress_bar("Patches", count * len(members), quiet=quiet) as tell:
        for number, member in enumerate(members):
            tell_one = functools.partial(_tell_after, tell, number * count)
            parts.append(
                patch_probabilities(member, dataset, um_per_px=settings.um_per_px, progress=tell_one, tta=settings.tta)
            )
    found = mean_of(parts, [member.spec.classes for member in members], classes)
    limit = PATCH_THRESHOLD if settings.threshold is None else settings.threshold
    domains = [field.domain for field in dataset.fields if field.labelled for _ in field.cells]
    return evaluate_patches(
        found.labels, found.probabilities, classes, found.cases, threshold=limit, seed=seed, domains=domains
    )


def _tell_after(tell: Callable[[int, str], None], before: int, done: int) -> None:
    tell(before + done, "")


def _measure_fields(
    members: Sequence[LoadedModel], dataset: Dataset, settings: Settings, protocol: str, seed: int, quiet: bool
) -> tuple[FieldReport, str]:
    """The report, and what it says of the spacing."""
    from mitozoo.evaluation.fields import evaluate_fields
    from mitozoo.evaluation.truths import image_names, unsearched
    from mitozoo.inference.session import Search

    names = image_names([item.path for item in dataset.fields])
    listed = list(zip(names, dataset.fields, strict=True))
    wanted = [(name, field) for name, field in listed if field.labelled and field.complete]
    search = Search(members, dataclasses.replace(settings, cut=DEEP_CUT))
    left_out = [unsearched(name, field) for (name, _), field in listed if not (field.labelled and field.complete)]
    truths, found, assumed = search_fields(search, wanted, quiet=quiet)
    said = (
        f"{search.predictor.spec.um_per_px:g} µm per pixel assumed for {assumed} of {len(found)} images"
        if assumed
        else "known"
    )
    return evaluate_fields([*left_out, *truths], found, protocol, search.predictor.threshold, seed=seed), said
