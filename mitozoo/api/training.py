"""Training from paths: read what a recipe learns from, train with progress, report what was held out."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mitozoo.api.searching import Searched, search_fields
from mitozoo.base.progress import progress_bar
from mitozoo.data.dataset import Dataset
from mitozoo.data.field_tiles import TileSettings
from mitozoo.data.leave_out import leave_out
from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.data.training_fields import TrainingFields
from mitozoo.evaluation.composite import HIT_RADIUS_PX
from mitozoo.evaluation.held_out import held_out_reports, location_error
from mitozoo.evaluation.report import write_report
from mitozoo.evaluation.truths import image_names
from mitozoo.evaluation.tuning import tune_threshold
from mitozoo.inference.decoders import decoder
from mitozoo.inference.predictor import DEEP_CUT
from mitozoo.inference.session import Search, Settings
from mitozoo.models import registry, zoo
from mitozoo.training.data import of_domains, read_sets, training_cells, training_fields
from mitozoo.training.field_material import FieldMaterial
from mitozoo.training.loop import WEIGHTS, Progress
from mitozoo.training.material import CellMaterial, Material
from mitozoo.training.outcome import Outcome
from mitozoo.training.recipe import Recipe
from mitozoo.training.repeat import RUN_FILE, check_data, data_state
from mitozoo.training.run import run_training
from mitozoo.training.tile_programs import TILE_TASKS

if TYPE_CHECKING:
    import keras

    from mitozoo.data.cells import Cells
    from mitozoo.training.tracking import MlflowLog

#: Hard negatives of a field at most.
MOST_HARD = 40


@dataclasses.dataclass(frozen=True)
class Read:
    """What was read. Attributes: material to learn from; sets, the data sets; about, what `run.json` says of them."""

    material: Material
    sets: tuple[Dataset, ...]
    about: dict[str, Any]


def read(
    recipe: Recipe,
    data: Sequence[Path],
    negatives: Sequence[Path],
    data_format: str | None = None,
    domain: Sequence[str] = (),
    *,
    left_out: Sequence[Path] = (),
    cache: Path | None = None,
    quiet: bool = False,
    check: tuple[Path, dict[str, Any]] | None = None,
) -> Read:
    """Read what a recipe's model learns from: cells, or whole fields.

    Args: data, labelled sets; negatives, fields without mitotic figures; left_out, tables of places in them that
    could be such figures after all; cache, folder that keeps cells; check, folder
    and record of a run that is repeated: the data must be as they were.
    Raises: LabelError, InputError, DataError.
    """
    spec = registry.spec(recipe.model)
    sets = of_domains(read_sets(data, data_format), domain)
    without = leave_out(read_sets(negatives), left_out)
    every = (*sets, *without)
    state = data_state(sets, without)
    if check is not None:
        check_data(*check, state)
    said = [dataclasses.asdict(dataclasses.replace(item, fields=())) for item in every]
    about = {"data": said, "data_state": state}
    total = sum(len(item.fields) for item in every)
    if spec.task in TILE_TASKS:
        with progress_bar("Reading fields", total, quiet=quiet) as tell:
            fields = training_fields(sets, without, progress=lambda done, _: tell(done, ""))
        return Read(_field_material(recipe, fields), every, about)
    with progress_bar("Reading cells", total, quiet=quiet) as tell:
        cells = training_cells(
            sets, without, spec.classes, seed=recipe.seed, cache=cache, progress=lambda done, _: tell(done, "")
        )

    def remine(model: keras.Model, what: str) -> Cells:
        from mitozoo.training.mining import hard_negatives

        return hard_negatives(model, sets, without, spec.classes, seed=recipe.seed, what=what)

    return Read(CellMaterial(cells, remine), every, about)


def _field_material(recipe: Recipe, fields: TrainingFields) -> FieldMaterial:
    """Fields, with the normaliser that their tiles go through and what mines hard negatives in them."""
    kind = TileSettings(**recipe.tiles).normalise
    normaliser = None if kind == "none" else StainNormaliser.standard(kind)
    # What is mined may lie on a seam; a quarter of the work finds as good as all of it.
    settings: dict[str, Any] = {"overlap": 0.0} if registry.spec(recipe.model).task.startswith("segment") else {}
    settings |= {} if normaliser is None else {"normaliser": normaliser.as_json()}
    return FieldMaterial(fields, functools.partial(hard_places, settings=settings), normaliser)


def hard_places(
    model: keras.Model, fields: TrainingFields, settings: Mapping[str, Any] | None = None
) -> list[np.ndarray]:
    """What a model finds in fields and is no mitotic figure: places (k, 2) of each field, the surest first.

    Nothing within `HIT_RADIUS_PX` of a mitotic figure, nor at a damaged place, and at most `MOST_HARD` a field.
    Args: settings of the decoder, in place of its own.
    """
    decode = decoder(registry.spec(model.name).task, model, settings or {})
    found = []
    for image, points, excluded in zip(fields.images, fields.points, fields.excluded, strict=True):
        candidates = decode(image)
        xy = candidates.xy[np.argsort(-candidates.probabilities[:, 1], kind="stable")]
        known = np.concatenate([np.column_stack([points, np.full(len(points), HIT_RADIUS_PX)]), excluded])
        apart = np.hypot(xy[:, None, 0] - known[None, :, 0], xy[:, None, 1] - known[None, :, 1])
        found.append(xy[(apart > known[None, :, 2]).all(axis=1)][:MOST_HARD])
    return found


def train(
    recipe: Recipe,
    material: Material,
    out: Path,
    *,
    folds: int,
    validation: float,
    parts: Mapping[str, Sequence[str]] | None,
    resume: bool,
    about: dict[str, Any],
    gpus: int,
    initial: Sequence[np.ndarray] | None,
    quiet: bool,
    log: MlflowLog | None,
) -> Outcome | None:
    """Train under a progress bar that counts hundredths of epochs; see `run_training`."""
    done, note = 0, ""

    def epoch(fold: int, progress: Progress) -> None:
        nonlocal done, note
        done = 100 * (fold * recipe.epochs + progress.done)
        losses = ", ".join(f"{key} {value:.4g}" for key, value in progress.logs.items() if key.endswith("loss"))
        note = f"{f'fold {fold + 1}, ' if folds else ''}{progress.stage}: {losses}"
        tell(done, note)
        if log is not None:
            log.epoch(progress.done, progress.logs, f"fold_{fold}/" if folds else "")

    with progress_bar(f"Training {recipe.model}", 100 * recipe.epochs * max(folds, 1), quiet=quiet) as tell:
        return run_training(
            recipe,
            material,
            out,
            folds=folds,
            validation=validation,
            parts=parts,
            resume=resume,
            about=about,
            gpus=gpus,
            tell=epoch,
            step=lambda percent: tell(done + percent, note),
            initial=initial,
        )


def report(
    recipe: Recipe,
    found: Read,
    outcome: Outcome | None,
    out: Path,
    *,
    title: str,
    log: MlflowLog | None = None,
    quiet: bool = True,
) -> Iterator[str]:
    """Write what the held-out part of a finished run shows, and yield a line for each finding."""
    if outcome is not None and isinstance(found.material, CellMaterial):
        yield from _cells_report(outcome, found.material.cells.classes, title, out, log)
    if not isinstance(found.material, CellMaterial):
        yield from _fields_report(recipe, found.sets, title, out, log, quiet)


def _fields_report(
    recipe: Recipe, sets: Sequence[Dataset], title: str, out: Path, log: MlflowLog | None, quiet: bool
) -> Iterator[str]:
    """Search the held-out fields with the weights that did not see them; mean over folds, and all together."""
    searched = [
        found for fold, cases in _held_out_cases(out).items() if (found := _searched(recipe, sets, fold, cases, quiet))
    ]
    if not searched:
        return
    reports = []
    for found in searched:
        trial = tune_threshold({}, found.truths, found.found, cut=DEEP_CUT)
        if trial is not None:
            reports.append(trial.report.counts)
    truths, points = ([item for found in searched for item in getattr(found, name)] for name in ("truths", "found"))
    best = tune_threshold({}, truths, points, cut=DEEP_CUT)
    if best is None:
        yield "Held-out fields: nothing was found at any threshold."
        return
    about = {"threshold": f"{best.threshold:.3g}, the one with the highest F1 on these very fields"}
    page = write_report(best.report, out / "report-fields", title=title, about=about)[-1]
    counts = best.report.counts
    yield (
        f"Held-out fields: precision {counts.precision:.3f}, recall {counts.recall:.3f}, F1 {counts.f1:.3f} at the "
        f"best threshold of {best.threshold:.3g}; {page}"
    )
    if len(reports) > 1:
        mean = np.nanmean([[item.precision, item.recall, item.f1] for item in reports], axis=0)
        yield f"Mean of {len(reports)} folds: precision {mean[0]:.3f}, recall {mean[1]:.3f}, F1 {mean[2]:.3f}"
    if log is not None:
        log.metrics({"held-out/fields/f1": counts.f1})


def _held_out_cases(out: Path) -> dict[Path, set[str]]:
    """By the folder of each fold's weights: the cases that it did not learn from."""
    record = json.loads((out / RUN_FILE).read_text(encoding="utf-8"))
    fold_of: dict[str, int] = record["fold_of"]
    folders = {fold: out / f"fold_{fold}" for fold in range(record["folds"])} or {0: out}
    return {folder: {case for case, held in fold_of.items() if held == fold} for fold, folder in folders.items()}


def _searched(recipe: Recipe, sets: Sequence[Dataset], folder: Path, cases: set[str], quiet: bool) -> Searched | None:
    """What one fold's weights find in the complete fields of its held-out cases."""
    fields = [f for item in sets for f in item.fields if f.case in cases and f.labelled and f.complete]
    if not fields:
        return None
    loaded = zoo.load(recipe.model, weights=folder / WEIGHTS)
    search = Search(loaded, Settings(cut=DEEP_CUT))
    wanted = list(zip(image_names([item.path for item in fields]), fields, strict=True))
    return search_fields(search, wanted, title=f"Held-out fields of {folder.name}", quiet=quiet)


def _cells_report(
    outcome: Outcome, classes: tuple[str, ...], title: str, out: Path, log: MlflowLog | None
) -> Iterator[str]:
    about = {}
    if outcome.error_px is not None:
        place = location_error(outcome.error_px, outcome.labels, classes)
        text = f"median error {place['median_px']:.1f} px, 95 % within {place['p95_px']:.1f} px"
        about["place of mitotic figures"] = text
        yield f"Place of mitotic figures: {text}"
    for kind, found in held_out_reports(outcome.labels, outcome.probabilities, classes, outcome.cases).items():
        page = write_report(found, out / f"report-{kind}", title=f"{title}, {kind}", about=about)[-1]
        yield f"Held-out slides, {kind}: mitotic F1 {found.mitotic.f1:.3f}; {page}"
        if log is not None:
            log.metrics({f"held-out/{kind}/f1": found.mitotic.f1, f"held-out/{kind}/roc_auc": found.mitotic_auc})
