"""`mitozoo compare RUN RUN…`: models side by side."""

from __future__ import annotations

import math
from pathlib import Path

import click

from mitozoo.commands.stopping import says_when_stopped


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the comparison.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the bootstrap.")
@click.option("--overwrite", is_flag=True, help="Replace a comparison that is there.")
def command(runs: tuple[Path, ...], out: Path, seed: int, overwrite: bool) -> None:
    """Compare models, the first RUN with each other one: folders that 'mitozoo evaluate' wrote on the same data."""
    from mitozoo.base.errors import OutputError
    from mitozoo.evaluation.compare import compare
    from mitozoo.evaluation.compare_page import JSON_FILE, summary, write_comparison

    if not overwrite and (out / JSON_FILE).exists():
        raise OutputError(f"{out} holds a comparison already. Choose another --out, or add --overwrite to replace it.")
    with says_when_stopped(lambda: "The comparison is not complete; run the command again."):
        found = compare(runs, seed=seed)
        files = write_comparison(found, out)
    click.echo(f"{len(found.rows)} models on {len(found.cases)} cases with {found.truths} mitotic figures")
    for row in found.rows:
        numbers = (f"{title} {_number(row.values[name])}" for name, title in _SHOWN)
        click.echo(f"{row.name}: {', '.join(numbers)}")
    for sentence in summary(found):
        click.echo(sentence)
    click.echo(f"Comparison: {files[-1]}")


#: Numbers that are printed.
_SHOWN = (("precision", "precision"), ("recall", "recall"), ("f1", "F1"))


def _number(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.3f}"
