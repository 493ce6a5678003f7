"""`mitozoo tune DATA`: choose a threshold, and decoder settings, on validation cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mitozoo.commands.options import DEFAULT_MODEL, command_line
from mitozoo.commands.stopping import says_when_stopped

if TYPE_CHECKING:
    from mitozoo.data.dataset import Dataset
    from mitozoo.evaluation.tuning import Trial
    from mitozoo.inference.session import Search, Settings
    from mitozoo.models.zoo import LoadedModel


@click.command("tune")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON file for the choice.")
@click.option(
    "--model",
    multiple=True,
    default=(DEFAULT_MODEL,),
    show_default=DEFAULT_MODEL,
    help="Entry of the zoo; several are asked together.",
)
@click.option(
    "--weights", type=click.Path(path_type=Path), multiple=True, help="A .weights.h5 file, or a run's folder."
)
@click.option("--tta", type=int, default=1, show_default=True, help="Views of each image: 1, 2, 4 or 8.")
@click.option("--keep", is_flag=True, help="Also keep the choice beside --weights, where it is found from then on.")
@click.option("--case", "cases", multiple=True, help="Validation case; may be given several times.")
@click.option("--split", type=click.Path(path_type=Path), default=None, help="Split file that names the cases.")
@click.option("--part", default="validation", show_default=True, help="Part of the split; never 'test'.")
@click.option("--grid", multiple=True, help="Decoder settings to try, e.g. merge_px=20,25,30; may be given again.")
@click.option("--protocol", default="default", show_default=True, help="Rule that matches detections and truth.")
@click.option("--um-per-px", type=float, default=None, help="Spacing in µm per pixel, in place of what the data say.")
@click.option("--data-format", default=None, help="Label format of DATA, where it is not recognised.")
@click.option("--overwrite", is_flag=True, help="Replace a choice that is there.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(out: Path, overwrite: bool, keep: bool, **given: Any) -> None:
    """Choose the threshold with the highest F1 on validation cases of DATA, fields with complete labels."""
    from mitozoo.evaluation.tuning import best_trial, check_out, keep_beside, write_tuned
    from mitozoo.inference.ensemble import identity

    with says_when_stopped(lambda: "Nothing was written."):
        check_out(out, overwrite)
        members, dataset, trials = _tune(keep=keep, **given)
        loaded = members[0]
        about = {
            "model": " + ".join(item.name for item in members),
            "weights_sha256": identity(members),
            "tta": given["tta"],
            "data": dataset.name,
            "split": str(given["split"]) if given["split"] else None,
            "part": given["part"] if given["split"] else None,
            "command": command_line(),
        }
        files = write_tuned(out, trials, loaded.decoder, about)
        if keep:
            files.append(keep_beside(loaded.weights, trials, loaded.decoder))
    best = best_trial(trials)
    counts, cases = best.report.counts, [row.name for row in best.report.cases]
    click.echo(f"Tuned on {best.report.fields} fields of {len(cases)} cases: {_listed(cases)}")
    click.echo(
        f"Threshold {best.threshold:.4g} with {best.name}: precision {counts.precision:.3f}, recall "
        f"{counts.recall:.3f}, F1 {counts.f1:.3f}, protocol {best.report.protocol.name}"
    )
    kept = f", kept in {files[2]}" if keep else ""
    click.echo(f"Choice: {files[0]}, curve: {files[1]}{kept}")


def _listed(cases: Sequence[str], most: int = 10) -> str:
    more = f" and {len(cases) - most} more" if len(cases) > most else ""
    return ", ".join(cases[:most]) + more


def _tune(
    data: Path,
    model: tuple[str, ...],
    weights: tuple[Path, ...],
    tta: int,
    keep: bool,
    cases: Sequence[str],
    split: Path | None,
    part: str,
    grid: Sequence[str],
    protocol: str,
    um_per_px: float | None,
    data_format: str | None,
    quiet: bool,
) -> tuple[list[LoadedModel], Dataset, list[Trial | None]]:
    """Check all that was given, then search the fields once for each setting of the grid."""
    from mitozoo.api import choosing
    from mitozoo.base.errors import DataError
    from mitozoo.data import formats as label_formats
    from mitozoo.evaluation.matching import protocol as known_protocol
    from mitozoo.evaluation.truths import is_patches, of_cases
    from mitozoo.evaluation.tuning import check_figures, parse_grid
    from mitozoo.inference.session import Settings
    from mitozoo.models.folding import folded

    settings = Settings(um_per_px=um_per_px, tta=tta)
    known_protocol(protocol)
    points = parse_grid(grid)
    dataset = of_cases(label_formats.read(data, data_format), _validation(cases, split, part))
    if is_patches(dataset):
        raise DataError(
            f"{dataset.name} has patches of single cells, on which a detector's threshold cannot be chosen. Give "
            "fields with complete labels."
        )
    check_figures(sum(len(item.mitoses) for item in dataset.fields if item.labelled and item.complete))
    members = choosing.load_all(model, weights or None)
    if keep:
        _check_keep(members, weights, tta)
    if len(members) > 1 and any(points):
        raise DataError("--grid is for one model: settings of one decoder mean nothing to another. Leave --grid out.")
    _check_names(members[0], points[0])
    # All settings are tried on the decoder before the first search, which may take hours.
    # Every point has a search of its own: they share one network, folded once.
    shared = [dataclasses.replace(item, model=folded(item.model)) for item in members]
    searches = [_prepare(shared, point, settings) for point in points]
    _share_maps(searches)
    trials = [_search(search, dataset, point, protocol, quiet) for search, point in zip(searches, points, strict=True)]
    return members, dataset, trials


def _check_keep(members: Sequence[LoadedModel], weights: Sequence[Path], tta: int) -> None:
    """Make sure, before the first search, that the choice can be kept. Raises: RecipeError, OutputError."""
    from mitozoo.base.errors import RecipeError
    from mitozoo.evaluation.tuning import record_beside

    if not weights:
        raise RecipeError("--keep puts the choice beside your own weights: give --weights, or leave --keep out.")
    if len(members) > 1:
        raise RecipeError("--keep is for one model; a choice for several is kept in --out. Leave --keep out.")
    if tta > 1:
        raise RecipeError("--keep is for one view of each image; a choice for --tta is kept in --out. Leave one out.")
    record_beside(members[0].weights)


def _validation(cases: Sequence[str], split: Path | None, part: str) -> Sequence[str]:
    """The cases to tune on. Raises: RecipeError where neither cases nor a split were given."""
    from mitozoo.base.errors import RecipeError
    from mitozoo.evaluation.tuning import cases_of_part, check_part

    check_part(part)
    if split is None:
        if not cases:
            raise RecipeError("Say which cases are for validation: --split FILE, or --case NAME for each of them.")
        return cases
    from mitozoo.data.split import read_split

    return cases_of_part(read_split(split), part, cases)


def _check_names(loaded: LoadedModel, point: Mapping[str, float]) -> None:
    """Raises: UnknownNameError for a setting that the model's decoder does not have."""
    import inspect

    from mitozoo.base.errors import UnknownNameError
    from mitozoo.inference.decoders import decoder

    known = set(inspect.signature(type(decoder(loaded.spec.task, loaded.model, {}))).parameters)
    for name in point:
        if name not in known - {"model", "batch_size"}:
            raise UnknownNameError("decoder setting", name, known - {"model", "batch_size"})


def _prepare(members: Sequence[LoadedModel], point: Mapping[str, float], settings: Settings) -> Search:
    """A search with one setting of the decoder. Raises: RecipeError for values that do not fit it."""
    from mitozoo.base.errors import RecipeError
    from mitozoo.inference.session import Search

    # At a threshold of 1 the decoder keeps its own cut, as it does later at the threshold chosen above it.
    models = [dataclasses.replace(item, threshold=1.0, decoder={**item.decoder, **point}) for item in members]
    try:
        return Search(models, settings)
    except (TypeError, ValueError, ArithmeticError) as error:
        given = " ".join(f"{name}={value:g}" for name, value in point.items())
        raise RecipeError(
            f"--grid: {members[0].name} cannot work with {given} ({error}). Give other values."
        ) from error


def _share_maps(searches: Sequence[Search]) -> None:
    """Let decoders that keep the maps of their network keep them together: it runs once for the whole grid."""
    kept: dict[bytes, Any] = {}
    for search in searches if len(searches) > 1 else ():
        for item in search.predictor.decoders:
            if hasattr(item, "kept"):
                item.kept = kept


def _search(search: Search, dataset: Dataset, point: Mapping[str, float], protocol: str, quiet: bool) -> Trial | None:
    """Search the fields with one setting of the decoder, and choose the threshold for it."""
    from mitozoo.api.searching import search_fields
    from mitozoo.evaluation.truths import image_names
    from mitozoo.evaluation.tuning import tune_threshold

    fields = [item for item in dataset.fields if item.labelled and item.complete]
    wanted = list(zip(image_names([item.path for item in fields]), fields, strict=True))
    title = ", ".join(f"{name} {value:g}" for name, value in point.items()) or "Fields"
    searched = search_fields(search, wanted, title=title, quiet=quiet)
    return tune_threshold(point, searched.truths, searched.found, protocol, cut=search.predictor.cut)
