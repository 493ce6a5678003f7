"""`mitozoo train MODEL`: train by a recipe, once or in folds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from mitozoo.base.progress import progress_bar
from mitozoo.commands.options import command_line
from mitozoo.commands.stopping import says_when_stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras

    from mitozoo.data.cells import Cells
    from mitozoo.training.loop import Progress
    from mitozoo.training.outcome import Outcome
    from mitozoo.training.recipe import Recipe
    from mitozoo.training.tracking import MlflowLog


#: Options that a repetition may have of its own.
FREE = ("out", "cache", "quiet", "gpus", "resume", "mlflow", "from_run")


@click.command("train")
@click.argument("model", required=False)
@click.option(
    "--data",
    "data",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Labelled cells or fields; may be given several times.",
)
@click.option(
    "--negatives",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="Fields without mitotic figures to mine negatives from; may be given several times.",
)
@click.option("--data-format", default=None, help="Label format of --data, where it is not recognised.")
@click.option("--domain", multiple=True, help="Only fields of --data of this domain (scanner, tumour type, source).")
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
@click.option(
    "--split",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Split file: its part 'train' is learnt from, all else held out, in place of --validation.",
)
@click.option(
    "--imagenet",
    default=None,
    metavar="FILE",
    help="Start the encoder from ImageNet: a weights file, or 'imagenet' for Keras' cache or download.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=None, help="Epochs of all stages together.")
@click.option("--batch-size", type=click.IntRange(min=1), default=None)
@click.option("--lr", type=float, default=None, help="Largest learning rate of the stages; the others scale with it.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting of the recipe, such as smoothing=0 or augment.scanner=0; may be given several times.",
)
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
@click.option(
    "--from-run",
    type=click.Path(path_type=Path, exists=True),
    default=None,
    help="Repeat the run in this folder: its model, recipe, data, seed and folds.",
)
@click.option("--mlflow", default=None, metavar="URI", help="Log the run to an MLflow server or folder as well.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.pass_context
def command(context: click.Context, from_run: Path | None, **options: Any) -> None:
    """Train MODEL by the recipe of its paper, or by the quick one.

    Every epoch ends with a checkpoint: after Ctrl-C or a kill the same command with --resume goes on.
    """
    from mitozoo.training import repeat
    from mitozoo.training.run import check_out

    record = None
    if from_run is not None:
        record = repeat.read_record(from_run)
        stored = repeat.options_of(record)
        given = {
            name: value
            for name, value in options.items()
            if context.get_parameter_source(name) is ParameterSource.COMMANDLINE and name not in FREE
        }
        repeat.check_options(from_run, stored, given)
        options |= {name: value for name, value in stored.items() if name in options and name not in FREE}
    for name, shown in (("model", "argument 'MODEL'"), ("data", "option '--data'")):
        if not options[name]:
            raise click.UsageError(f"Missing {shown}. Give it, or repeat a run with --from-run.", context)
    check_out(options["out"], options["resume"])
    asked = {name: value for name, value in options.items() if name not in FREE}
    _run(record, from_run, repeat.request(asked), **options)


def _run(
    record: dict[str, Any] | None,
    from_run: Path | None,
    request: dict[str, Any],
    *,
    model: str,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    data_format: str | None,
    domain: tuple[str, ...],
    out: Path,
    preset: str,
    folds: int,
    validation: float,
    split: Path | None,
    imagenet: str | None,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    changes: tuple[str, ...],
    seed: int | None,
    precision: str | None,
    gpus: int,
    resume: bool,
    cache: Path | None,
    mlflow: str | None,
    quiet: bool,
) -> None:
    """Train, or repeat the run of a record."""
    from mitozoo.data.split import read_split
    from mitozoo.training.changes import varied
    from mitozoo.training.initial import fresh_weights
    from mitozoo.training.material import cells_sha256
    from mitozoo.training.repeat import check_cells, check_initial, recipe_of
    from mitozoo.training.tracking import import_mlflow, mlflow_run

    if mlflow is not None:
        import_mlflow()
    if split is not None:
        read_split(split)
    chosen = varied(
        model, preset, epochs=epochs, lr=lr, changes=changes, batch_size=batch_size, seed=seed, precision=precision
    )
    if record is not None:
        chosen = recipe_of(record)
    with says_when_stopped(lambda: f"What was finished is in {out}. The same command with --resume goes on."):
        check = None if record is None or from_run is None else (from_run, record)
        cells, about, remine = _read(model, data, negatives, data_format, domain, chosen.seed, cache, quiet, check)
        initial = fresh_weights(chosen, imagenet)
        if check is not None:
            check_cells(*check, cells_sha256(cells))
            check_initial(*check, initial)
        about |= {"imagenet": imagenet, "request": request}
        start = {"initial": initial, "remine": remine, "parts": None if split is None else read_split(split)}
        with mlflow_run(mlflow, str(out), lambda: {**request, "recipe": chosen.as_dict()}) as log:
            outcome = _train(chosen, cells, out, folds, validation, resume, about, gpus, quiet, start, log)
            if outcome is not None:
                title = f"{model}, {f'{folds} folds by slide' if folds else 'held-out slides'}"
                _report(outcome, cells.classes, title, out, log)
            if log is not None:
                log.artifacts(out)
    click.echo(f"Weights: {', '.join(str(path) for path in sorted(out.rglob('model.weights.h5')))}")


def _read(
    model: str,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    data_format: str | None,
    domain: tuple[str, ...],
    seed: int,
    cache: Path | None,
    quiet: bool,
    check: tuple[Path, dict[str, Any]] | None,
) -> tuple[Cells, dict[str, Any], Callable[[keras.Model, str], Cells]]:
    """The cells, what `run.json` says of them, and what mines hard negatives from the same data."""
    from mitozoo.models import registry
    from mitozoo.training.data import of_domains, read_sets, training_cells
    from mitozoo.training.repeat import check_data, data_state

    classes = registry.spec(model).classes
    sets, without = of_domains(read_sets(data, data_format), domain), read_sets(negatives)
    every = (*sets, *without)
    state = data_state(sets, without)
    if check is not None:
        check_data(*check, state)
    with progress_bar("Reading cells", sum(len(item.fields) for item in every), quiet=quiet) as tell:
        cells = training_cells(sets, without, classes, seed=seed, cache=cache, progress=lambda done, _: tell(done, ""))
    said = [dataclasses.asdict(dataclasses.replace(item, fields=())) for item in every]

    def remine(model: keras.Model, what: str) -> Cells:
        from mitozoo.training.mining import hard_negatives

        return hard_negatives(model, sets, without, classes, seed=seed, what=what)

    return cells, {"command": command_line(), "data": said, "data_state": state}, remine


def _train(
    chosen: Recipe,
    cells: Cells,
    out: Path,
    folds: int,
    validation: float,
    resume: bool,
    about: dict[str, Any],
    gpus: int,
    quiet: bool,
    start: dict[str, Any],
    log: MlflowLog | None,
) -> Outcome | None:
    """Train under a progress bar that counts hundredths of epochs."""
    from mitozoo.training.run import run_training

    done, note = 0, ""

    def epoch(fold: int, progress: Progress) -> None:
        nonlocal done, note
        done = 100 * (fold * chosen.epochs + progress.done)
        losses = ", ".join(f"{key} {value:.4g}" for key, value in progress.logs.items() if key.endswith("loss"))
        note = f"{f'fold {fold + 1}, ' if folds else ''}{progress.stage}: {losses}"
        tell(done, note)
        if log is not None:
            log.epoch(progress.done, progress.logs, f"fold_{fold}/" if folds else "")

    with progress_bar(f"Training {chosen.model}", 100 * chosen.epochs * max(folds, 1), quiet=quiet) as tell:
        return run_training(
            chosen,
            cells,
            out,
            folds=folds,
            validation=validation,
            resume=resume,
            about=about,
            gpus=gpus,
            tell=epoch,
            step=lambda percent: tell(done + percent, note),
            **start,
        )


def _report(outcome: Outcome, classes: tuple[str, ...], title: str, out: Path, log: MlflowLog | None) -> None:
    """Write and say what the held-out cells show."""
    from mitozoo.evaluation.held_out import held_out_reports, location_error
    from mitozoo.evaluation.report import write_report

    about = {}
    if outcome.error_px is not None:
        place = location_error(outcome.error_px, outcome.labels, classes)
        text = f"median error {place['median_px']:.1f} px, 95 % within {place['p95_px']:.1f} px"
        about["place of mitotic figures"] = text
        click.echo(f"Place of mitotic figures: {text}")
    for kind, report in held_out_reports(outcome.labels, outcome.probabilities, classes, outcome.cases).items():
        page = write_report(report, out / f"report-{kind}", title=f"{title}, {kind}", about=about)[-1]
        click.echo(f"Held-out slides, {kind}: mitotic F1 {report.mitotic.f1:.3f}; {page}")
        if log is not None:
            log.metrics({f"held-out/{kind}/f1": report.mitotic.f1, f"held-out/{kind}/roc_auc": report.mitotic_auc})
