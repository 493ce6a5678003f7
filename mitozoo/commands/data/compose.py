"""`mitozoo data compose`: training fields of real mitotic figures placed into real tissue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitozoo.commands.columns import aligned
from mitozoo.commands.stopping import says_when_stopped

if TYPE_CHECKING:
    from mitozoo.data.dataset import Dataset


@click.command("compose")
@click.option(
    "--patches",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    required=True,
    help="Labelled patches whose mitotic figures are placed; may be given several times.",
)
@click.option(
    "--fields",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    required=True,
    help="Fields of tissue that they are placed into; may be given several times.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the composed fields.")
@click.option("--split", type=click.Path(path_type=Path, exists=True), default=None, help="Split file, see --part.")
@click.option("--part", default="train", show_default=True, help="Part of --split that patches and fields are of.")
@click.option(
    "--per-mm2",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Mitotic figures for each mm² of tissue; as many ordinary nuclei are placed too.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=1, show_default=True, help="How often a field is used.")
@click.option(
    "--strong",
    type=click.FloatRange(0, 1),
    default=1.0,
    show_default=True,
    help="Share of the fields that keep pixel masks; the others have centres only.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Same seed, same fields.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    patches: tuple[Path, ...],
    fields: tuple[Path, ...],
    out: Path,
    split: Path | None,
    part: str,
    per_mm2: float,
    rounds: int,
    strong: float,
    seed: int,
    quiet: bool,
) -> None:
    """Compose training fields with pixel masks from patches of mitotic figures and fields of tissue.

    Painted cells are covered first. What is written is a data set that `mitozoo train` and `mitozoo data check` read.
    """
    from mitozoo import __version__
    from mitozoo.base.errors import OutputError
    from mitozoo.base.progress import progress_bar
    from mitozoo.commands.options import command_line
    from mitozoo.data import formats
    from mitozoo.data.composing.folder import ComposeSettings, compose_folder

    if out.exists():
        raise OutputError(f"{out} exists already. Choose another --out, or remove it.")
    sets = [[formats.read(path) for path in paths] for paths in (patches, fields)]
    if split is not None:
        sets = [_of_part(each, split, part) for each in sets]
    settings = ComposeSettings(per_mm2=per_mm2, rounds=rounds, seed=seed, strong=strong)
    steps = sum(len(data.fields) for data in sets[0]) + rounds * sum(len(data.fields) for data in sets[1])
    with (
        says_when_stopped(lambda: "Nothing was written."),
        progress_bar("Composing", steps, quiet=quiet) as bar,
    ):
        before = {"Patches": 0, "Fields": sum(len(data.fields) for data in sets[0])}
        counts = compose_folder(
            *sets,
            out,
            settings,
            tell=lambda what, done, total: bar(before[what] + done, f"{what} {done} of {total}"),
            mitozoo=__version__,
            command=command_line(),
            split=str(split) if split else None,
            part=part if split else None,
            patch_sets=[data.name for data in sets[0]],
            field_sets=[data.name for data in sets[1]],
        )
    for line in aligned([(name.replace("_", " "), f"{count:,}") for name, count in counts.items()], left=2):
        click.echo(line)
    click.echo(f"Composed: {out}. Next: mitozoo data check {out}")


def _of_part(datasets: list[Dataset], split: Path, part: str) -> list[Dataset]:
    from mitozoo.base.errors import UnknownNameError
    from mitozoo.data.composing.folder import of_part
    from mitozoo.data.split import read_split

    parts = read_split(split)
    if part not in parts:
        raise UnknownNameError("part of the split", part, parts)
    return of_part(datasets, parts[part])
