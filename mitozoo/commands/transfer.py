"""`mitozoo transfer`: how few labelled cases does new tissue need?"""

from __future__ import annotations

from pathlib import Path

import click

from mitozoo.base.progress import progress_bar
from mitozoo.commands.options import command_line
from mitozoo.commands.stopping import says_when_stopped


class Fractions(click.ParamType):
    """Shares, comma-separated."""

    name = "list"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Parse."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(word) for word in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of shares such as 0.1,0.5,1.", param, ctx)


def _starts(imagenet: tuple[str, ...]) -> str:
    return "source,imagenet,scratch" if imagenet else "source,scratch"


@click.command("transfer")
@click.option("--from", "source", required=True, help="zoo:NAME, a run's folder, or a weights file with run.json.")
@click.option("--data", type=click.Path(path_type=Path, exists=True), multiple=True, required=True, help="The target.")
@click.option("--negatives", type=click.Path(path_type=Path, exists=True), multiple=True, help="As in train.")
@click.option("--data-format", default=None, help="Label format of --data, where it is not recognised.")
@click.option("--domain", multiple=True, help="Only fields of this domain (scanner, tumour type, source).")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the study.")
@click.option(
    "--fractions", type=Fractions(), default="0.01,0.02,0.05,0.1,0.25,0.5,1", show_default=True, help="Of the cases."
)
@click.option("--repeats", type=int, default=3, show_default=True, help="Parts of the cases, each held out in turn.")
@click.option(
    "--starts", default=None, help="What the trainings start from. [default: source, imagenet with --imagenet, scratch]"
)
@click.option("--imagenet", multiple=True, metavar="FILE", help="Also start the encoder from ImageNet, as in train.")
@click.option(
    "--windows",
    type=int,
    default=10_000,
    show_default=True,
    help="Windows of the last stage; from scratch the stages before it come first.",
)
@click.option("--preset", type=click.Choice(["paper", "quick"]), default="quick", show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on with the study in --out.")
@click.option("--cache", type=click.Path(path_type=Path), default=None, help="Folder that keeps the cells.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
def command(
    source: str,
    data: tuple[Path, ...],
    negatives: tuple[Path, ...],
    data_format: str | None,
    domain: tuple[str, ...],
    out: Path,
    fractions: tuple[float, ...],
    repeats: int,
    starts: str | None,
    imagenet: tuple[str, ...],
    windows: int,
    preset: str,
    seed: int,
    resume: bool,
    cache: Path | None,
    quiet: bool,
) -> None:
    """Train on growing shares of new tissue's cases, from a trained model and from nothing.

    Every case is tested once at every share; F1 is plotted against the number of labelled mitotic figures.
    """
    from mitozoo.evaluation.learning_curve import answer, learning_curve, write_curves
    from mitozoo.models.zoo_source import load_source
    from mitozoo.training.changes import varied
    from mitozoo.training.data import of_domains, read_sets, training_cells
    from mitozoo.training.initial import fresh_weights
    from mitozoo.training.transfer import Study, run_study

    study = Study(
        fractions=fractions,
        repeats=repeats,
        starts=tuple((starts or _starts(imagenet)).split(",")),
        windows=windows,
        seed=seed,
    )
    loaded = load_source(source)
    recipe = varied(loaded.spec.name, preset)
    with says_when_stopped(lambda: f"What was finished is in {out}. The same command with --resume goes on."):
        sets, without = of_domains(read_sets(data, data_format), domain), read_sets(negatives)
        fields = sum(len(item.fields) for item in (*sets, *without))
        with progress_bar("Reading cells", fields, quiet=quiet) as tell:
            cells = training_cells(
                sets, without, loaded.spec.classes, seed=seed, cache=cache, progress=lambda done, _: tell(done, "")
            )
        about = {
            "command": command_line(),
            "source": loaded.name,
            "source_sha256": loaded.sha256,
            "data": [item.name for item in sets],
            "domains": list(domain),
        }
        total = len(study.starts) * study.repeats * len(set(study.fractions))
        with progress_bar("Trainings", total, quiet=quiet) as tell:
            finished = run_study(
                recipe,
                cells,
                loaded.model,
                study,
                out,
                imagenet=fresh_weights(recipe, imagenet),
                resume=resume,
                about=about,
                tell=lambda done, of, note: tell(round(total * done / of), note),
            )
    points = learning_curve(finished, cells.classes, seed=seed)
    target = ", ".join(domain) or ", ".join(item.name for item in sets)
    files = write_curves(points, out, title=f"{loaded.name} to {target}", about=about)
    for point in points:
        ends = f"{point.f1_interval.low:.3f} to {point.f1_interval.high:.3f}"
        click.echo(
            f"{point.start:8}{point.figures:7.0f} mitotic figures: F1 {point.f1:.3f} ({ends}), AUC {point.auc:.3f}"
        )
    click.echo(f"{answer(points)}\nCurve: {files[-1]}")
