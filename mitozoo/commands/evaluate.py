"""`mitozoo evaluate DATA`: measure a model on labelled patches or fields."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from mitozoo.base.errors import RecipeError
from mitozoo.commands.options import command_line, model_options
from mitozoo.commands.stopping import says_when_stopped


@click.command("evaluate")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the report.")
@model_options
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    default=None,
    help="Measure these detections, made before by any program, in place of a model's.",
)
@click.option("--ignore-unknown", is_flag=True, help="Leave out --predictions of images that DATA does not know.")
@click.option("--protocol", default="default", show_default=True, help="Rule that matches detections and truth.")
@click.option("--um-per-px", type=float, default=None, help="Spacing in µm per pixel, in place of what the data say.")
@click.option("--data-format", default=None, help="Label format of DATA, where it is not recognised.")
@click.option("--case", "cases", multiple=True, help="Only this case; may be given several times.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap intervals.")
@click.option("--overwrite", is_flag=True, help="Replace a report that is there.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    data: Path,
    out: Path,
    model: tuple[str, ...],
    weights: tuple[Path, ...],
    threshold: float | None,
    tuned: Path | None,
    tta: int,
    predictions: Path | None,
    ignore_unknown: bool,
    protocol: str,
    um_per_px: float | None,
    data_format: str | None,
    cases: tuple[str, ...],
    seed: int,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Measure a model on DATA: patches of single cells by class, fields with complete labels by detection."""
    import mitozoo
    from mitozoo.base.allocator import share_arenas
    from mitozoo.evaluation.classes import PatchReport
    from mitozoo.evaluation.groups import worst

    given = click.get_current_context().get_parameter_source("model")
    if predictions is not None and given is not ParameterSource.DEFAULT:
        raise RecipeError("--predictions are measured as they are, without a model: leave --model out.")
    if ignore_unknown and predictions is None:
        raise RecipeError("--ignore-unknown is about --predictions: give them, or leave it out.")
    share_arenas()
    with says_when_stopped(lambda: "No report was written."):
        report = mitozoo.evaluate(
            data,
            model=model,
            weights=weights or None,
            tuned=tuned,
            tta=tta,
            data_format=data_format,
            threshold=threshold,
            protocol=protocol,
            um_per_px=um_per_px,
            out=out,
            overwrite=overwrite,
            cases=cases,
            seed=seed,
            run={"command": command_line()},
            quiet=quiet,
            predictions=predictions,
            ignore_unknown=ignore_unknown,
        )
    if isinstance(report, PatchReport):
        counts, what = report.mitotic, f"{report.patches} patches of {report.cases} cases, mitotic against the rest"
    else:
        counts, what = report.counts, f"{report.fields} fields, protocol {report.protocol.name}"
    click.echo(f"{what}: precision {counts.precision:.3f}, recall {counts.recall:.3f}, F1 {counts.f1:.3f}")
    lowest = worst(report.domains)
    if lowest is not None:
        click.echo(f"Worst of {len(report.domains)} domains: {lowest.name}, F1 {lowest.counts.f1:.3f}")
    click.echo(f"Report: {out / 'report.html'}")
