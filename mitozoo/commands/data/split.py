"""`mitozoo data split PATH…`: divide data sets by case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitozoo.commands.columns import aligned

if TYPE_CHECKING:
    from mitozoo.data.split import Split

_PARTS = "train=0.7,validation=0.15,test=0.15"
#: Columns of the table that are left out where they are 0 throughout.
_OPTIONAL = ("atypical", "look_alikes")


@click.command("split")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="File for the split, a .json.")
@click.option("--parts", default=_PARTS, show_default=True, help="Names and shares, which add up to 1.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same split.")
@click.option("--data-format", default=None, help="Label format of every PATH, where it is not recognised.")
@click.option("--overwrite", is_flag=True, help="Replace a split that is there.")
def command(
    paths: tuple[Path, ...], out: Path, parts: str, seed: int, data_format: str | None, overwrite: bool
) -> None:
    """Divide the cases of PATH, labelled data of any known format, into parts.

    No case is divided. Mitotic figures, look-alikes, atypical ones and domains are spread as evenly as whole cases
    allow. Several PATHs are divided together, and a case that two of them share stays in one part.
    """
    from mitozoo import __version__
    from mitozoo.base.errors import OutputError
    from mitozoo.data import formats
    from mitozoo.data.split import make_split, parse_parts, write_split

    shares = parse_parts(parts)
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already. Choose another --out, or add --overwrite to replace it.")
    split = make_split([formats.read(path, data_format) for path in paths], shares, seed=seed)
    write_split(split, out, paths=list(map(str, paths)), mitozoo=__version__)
    for line in _table(split):
        click.echo(line)
    if split.shared:
        click.echo(f"{len(split.shared)} cases are in several of the data sets, and stay together.")
    for part, counts in split.counts.items():
        if not counts.mitotic_figures:
            click.echo(f"Note: {part} holds no mitotic figure. Give more data, or another --seed.", err=True)
    click.echo(f"Split: {out}")


def _table(split: Split) -> list[str]:
    counts = {part: vars(counts) for part, counts in split.counts.items()}
    names = next(iter(counts.values())).keys()
    shown = [name for name in names if name not in _OPTIONAL or any(row[name] for row in counts.values())]
    head = ["part", *(name.replace("_", " ").replace("look alikes", "look-alikes") for name in shown)]
    total = ["total", *(sum(row[name] for row in counts.values()) for name in shown)]
    return aligned([head, *([part, *(row[name] for name in shown)] for part, row in counts.items()), total])
