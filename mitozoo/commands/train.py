"""`mitozoo train MODEL`: train by a recipe, once or in folds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mitozoo.base.progress import progress_bar
from mitozoo.commands.options import command_line
from mitozoo.commands.stopping import says_when_stopped

if TYPE_CHECKING:
    from collections.abc import Callable

    import keras
    import numpy as np

    from mitozoo.data.cells import Cells
    from mitozoo.training.loop import Progress
    from mitozoo.training.recipe import Recipe
    from mitozoo.training.run import Outcome


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
    "--imagenet",
    default=None,
    metavar="FILE",
    help="Start the encoder from ImageNet: a weights file, or 'imagenet' for Keras' cache or download.",
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
    domain: tuple[str, ...],
    out: Path,
    preset: str,
    folds: int,
    validation: float,
    imagenet: str | None,
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
    from mitozoo.training.recipe import varied

    chosen = varied(model, preset, epochs=epochs, lr=lr, batch_size=batch_size, seed=seed, precision=precision)
    with says_when_stopped(lambda: f"What was finished is in {out}. The same command with --resume goes on."):
        cells, about, remine = _read(model, data, negatives, data_format, domain, chosen.seed, cache, quiet)
        start = {"initial": _imagenet(chosen, imagenet), "remine": remine}
        outcome = _train(
            chosen, cells, out, folds, validation, resume, about | {"imagenet": imagenet}, gpus, quiet, start
        )
    if outcome is not None:
        _report(outcome, cells.classes, f"{model}, {f'{folds} folds by slide' if folds else 'held-out slides'}", out)
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
) -> tuple[Cells, dict[str, Any], Callable[[keras.Model], Cells]]:
    """The cells, what `run.json` says of them, and what mines hard negatives from the same data."""
    from mitozoo.models import registry
    from mitozoo.training.data import of_domains, read_sets, training_cells

    classes = registry.spec(model).classes
    sets, without = of_domains(read_sets(data, data_format), domain), read_sets(negatives)
    every = (*sets, *without)
    with progress_bar("Reading cells", sum(len(item.fields) for item in every), quiet=quiet) as tell:
        cells = training_cells(sets, without, classes, seed=seed, cache=cache, progress=lambda done, _: tell(done, ""))
    said = [dataclasses.asdict(dataclasses.replace(item, fields=())) for item in every]

    def remine(model: keras.Model) -> Cells:
        from mitozoo.training.mining import hard_negatives

        return hard_negatives(model, sets, without, classes, seed=seed)

    return cells, {"command": command_line(), "data": said}, remine


def _imagenet(chosen: Recipe, source: str | None) -> list[np.ndarray] | None:
    """Fresh weights with an encoder from ImageNet."""
    if source is None:
        return None
    import keras

    from mitozoo.models import registry
    from mitozoo.models.imagenet import load_imagenet

    keras.utils.set_random_seed(chosen.seed)
    model = registry.build(chosen.model, **chosen.settings)
    load_imagenet(model, source)
    return model.get_weights()


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


def _report(outcome: Outcome, classes: tuple[str, ...], title: str, out: Path) -> None:
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
