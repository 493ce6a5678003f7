"""`mitozoo train MODEL`: train by a recipe, once or in folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from mitozoo.commands.options import command_line
from mitozoo.commands.stopping import says_when_stopped

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
@click.option(
    "--leave-out",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Places of --negatives that may be mitotic figures: CSV with image,x_px,y_px, such as detections.csv.",
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
    multiple=True,
    metavar="FILE",
    help="Start the encoder from ImageNet: a weights file, or 'imagenet' for Keras' cache or download; "
    "several times for a model with several encoders.",
)
@click.option(
    "--init",
    default=None,
    metavar="zoo:NAME|FILE",
    help="Start from an entry of the zoo, a .weights.h5 file or a run's folder, as far as its layers fit.",
)
@click.option("--freeze", multiple=True, help="Layer that stays as it is, such as an encoder; may be given again.")
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
    leave_out: tuple[Path, ...],
    data_format: str | None,
    domain: tuple[str, ...],
    out: Path,
    preset: str,
    folds: int,
    validation: float,
    split: Path | None,
    imagenet: tuple[str, ...],
    init: str | None,
    freeze: tuple[str, ...],
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
    from mitozoo.api import training
    from mitozoo.data.split import read_split
    from mitozoo.training.changes import varied
    from mitozoo.training.initial import fresh_weights
    from mitozoo.training.repeat import check_cells, check_initial, recipe_of
    from mitozoo.training.tracking import import_mlflow, mlflow_run

    if mlflow is not None:
        import_mlflow()
    if split is not None:
        read_split(split)
    chosen = varied(
        model, preset, epochs=epochs, lr=lr, changes=changes, batch_size=batch_size, seed=seed, precision=precision,
        frozen=freeze or None,
    )  # fmt: skip
    if record is not None:
        chosen = recipe_of(record)
    with says_when_stopped(lambda: f"What was finished is in {out}. The same command with --resume goes on."):
        check = None if record is None or from_run is None else (from_run, record)
        read = training.read(
            chosen, data, negatives, data_format, domain, left_out=leave_out, cache=cache, quiet=quiet, check=check
        )
        initial = fresh_weights(chosen, imagenet, init)
        if check is not None:
            check_cells(*check, read.material.sha256())
            check_initial(*check, initial)
        about = {
            "command": command_line(),
            **read.about,
            "imagenet": list(imagenet) or None,
            "init": init,
            "request": request,
        }
        settings = {"folds": folds, "validation": validation, "resume": resume, "gpus": gpus}
        parts = None if split is None else read_split(split)
        with mlflow_run(mlflow, str(out), lambda: {**request, "recipe": chosen.as_dict()}) as log:
            outcome = training.train(
                chosen, read.material, out, parts=parts, initial=initial, about=about, quiet=quiet, log=log, **settings
            )
            title = f"{model}, {f'{folds} folds by slide' if folds else 'held-out slides'}"
            for line in training.report(chosen, read, outcome, out, title=title, log=log, quiet=quiet):
                click.echo(line)
            if log is not None:
                log.artifacts(out)
    click.echo(f"Weights: {', '.join(str(path) for path in sorted(out.rglob('model.weights.h5')))}")
