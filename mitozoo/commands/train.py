"""`mitozoo train MODEL`: train by a recipe, once or in folds."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path

import click

from mitozoo.base.progress import progress_bar


@click.command("train")
@click.argument("model")
@click.option(
    "--data",
    "data",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    required=True,
    help="Labelled cells or fields; may be given several times.",
)
@click.option(
    "--negatives",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Fields without mitotic figures to mine negatives from; may be given several times.",
)
@click.option("--data-format", default=None, help="Label format of --data, where it is not recognised.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--preset", type=click.Choice(["paper", "quick"]), default="paper", show_default=True)
@click.option(
    "--folds",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Cross-validation by slide; 0 trains once.",
)
@click.option(
    "--validation",
    type=click.FloatRange(0, 0.5),
    default=0.1,
    show_default=True,
    help="Without --folds: share of slides whose losses are only recorded; 0 learns from all.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=None, help="Epochs of all stages together.")
@click.option("--batch-size", type=click.IntRange(min=1), default=None)
@click.option("--lr", type=float, default=None, help="Largest learning rate of the stages; the others scale with it.")
@click.option("--seed", type=int, default=None)
@click.option("--precision", type=click.Choice(["float32", "mixed_bfloat16", "mixed_float16"]), default=None)
@click.option(
    "--gpus",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="2 or more share each batch (MirroredStrategy); 0 takes what TensorFlow finds.",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out.")
@click.option(
    "--cache", type=click.Path(path_type=Path), default=None, help="Folder that keeps the cells for the next run."
)
@click.option("--quiet", is_flag=True, help="No progress bars.")
def command(
    model: str,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    data_format: str | None,
    out: Path,
    preset: str,
    folds: int,
    validation: float,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    seed: int | None,
    precision: str | None,
    gpus: int,
    resume: bool,
    cache: Path | None,
    quiet: bool,
) -> None:
    """Train MODEL by the recipe of its paper, or by the quick one.

    Every epoch ends with a checkpoint: after Ctrl-C or a kill the same command with --resume goes on.
    """
    from mitozoo.training.recipe import recipe

    chosen = recipe(model, preset)
    given = {"batch_size": batch_size, "seed": seed, "precision": precision}
    chosen = dataclasses.replace(chosen, **{key: value for key, value in given.items() if value is not None})
    chosen = chosen.with_epochs(epochs) if epochs else chosen
    chosen = chosen.with_lr(lr) if lr else chosen

    from mitozoo.evaluation.held_out import held_out_reports, location_error
    from mitozoo.evaluation.report import write_report
    from mitozoo.models import registry
    from mitozoo.training.data import read_sets, training_cells
    from mitozoo.training.run import run_training

    spec = registry.spec(model)
    sets, without = read_sets(data, data_format), read_sets(negatives)
    fields = sum(len(item.fields) for item in (*sets, *without))
    with progress_bar("Reading cells", fields, quiet=quiet) as tell:
        cells = training_cells(
            sets, without, spec.classes, seed=chosen.seed, cache=cache, progress=lambda done, _: tell(done, "")
        )
    about = {
        "command": "mitozoo " + shlex.join(sys.argv[1:]),
        "data": [dataclasses.asdict(_said(item)) for item in (*sets, *without)],
    }
    with progress_bar(f"Training {model}", 100 * chosen.epochs * max(folds, 1), quiet=quiet) as tell:
        state = {"done": 0, "note": ""}

        def epoch(fold: int, progress) -> None:
            state["done"] = 100 * (fold * chosen.epochs + progress.done)
            losses = ", ".join(f"{key} {value:.4g}" for key, value in progress.logs.items() if key.endswith("loss"))
            state["note"] = f"{f'fold {fold + 1}, ' if folds else ''}{progress.stage}: {losses}"
            tell(state["done"], state["note"])

        outcome = run_training(
            chosen,
            cells,
            out,
            folds=folds,
            validation=validation,
            resume=resume,
            about=about,
            gpus=gpus,
            tell=epoch,
            step=lambda percent: tell(state["done"] + percent, state["note"]),
        )
    if outcome is not None:
        about = {"recipe": f"{model}, {chosen.preset}"}
        if outcome.error_px is not None:
            place = location_error(outcome.error_px, outcome.labels, cells.classes)
            about["place of mitotic figures"] = (
                f"median error {place['median_px']:.1f} px, 95 % within {place['p95_px']:.1f} px"
            )
            click.echo(about["place of mitotic figures"])
        reports = held_out_reports(
            outcome.labels, outcome.probabilities, cells.classes, outcome.cases, seed=chosen.seed
        )
        for kind, report in reports.items():
            title = f"{model}, {f'{folds} folds by slide' if folds else 'held-out slides'}, {kind}"
            write_report(report, out / f"report-{kind}", title=title, about=about)
            click.echo(
                f"Held-out slides, {kind}: mitotic F1 {report.mitotic.f1:.3f}; {out / f'report-{kind}'}/report.html"
            )
    click.echo(f"Weights: {', '.join(str(path) for path in sorted(out.rglob('model.weights.h5')))}")


def _said(item):  # noqa: ANN001, ANN202
    """A data set without its fields, for `run.json`."""
    return dataclasses.replace(item, fields=())
