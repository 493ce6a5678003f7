"""`mitozoo data check PATH`: what a labelled data set holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitozoo.commands.columns import aligned

if TYPE_CHECKING:
    from mitozoo.data.check import Check
    from mitozoo.data.dataset import Dataset

#: How many files of a kind are listed; a --json holds all.
_LISTED = 10


@click.command("check")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--data-format", default=None, help="Label format of PATH, where it is not recognised.")
@click.option("--sheet", type=click.Path(path_type=Path), default=None, help="A .png to draw: up to 48 labelled cells.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), default=None, help="A .json for all that is found."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the choice of cells.")
@click.option("--overwrite", is_flag=True, help="Replace a sheet or .json that is there.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    path: Path,
    data_format: str | None,
    sheet: Path | None,
    json_file: Path | None,
    seed: int,
    overwrite: bool,
    quiet: bool,
) -> int:
    """Say what PATH holds, a folder or label file of any known format, and what is wrong with it.

    Ends with code 1 where an image is damaged.
    """
    from mitozoo.base.files import write_text
    from mitozoo.base.progress import progress_bar
    from mitozoo.data.check import check
    from mitozoo.data.set_aside import read_setting_aside

    _refuse(sheet, ".png", overwrite)
    _refuse(json_file, ".json", overwrite)
    dataset, name = read_setting_aside(path, data_format)
    with progress_bar("Headers", len(dataset.fields), quiet=quiet) as tell:
        found = check(dataset, name, tell=tell)
    for line in [*_summary(found), *_domains(found), *_findings(found)]:
        click.echo(line)
    if json_file:
        write_text(json_file, json.dumps(found.as_dict(), indent=1, ensure_ascii=False) + "\n")
        click.echo(f"Json: {json_file}")
    if sheet:
        _draw(dataset, sheet, seed, quiet)
    return 1 if found.damaged else 0


def _refuse(file: Path | None, suffix: str, overwrite: bool) -> None:
    from mitozoo.base.errors import OutputError

    if file and file.suffix.lower() != suffix:
        raise OutputError(f"{file} does not end in {suffix}. Give a file name that does.")
    if file and file.exists() and not overwrite:
        raise OutputError(f"{file} exists already. Choose another name, or add --overwrite to replace it.")


def _draw(dataset: Dataset, file: Path, seed: int, quiet: bool) -> None:
    from mitozoo.base.progress import progress_bar
    from mitozoo.export.contact_sheet import MOST_CELLS, draw_sheet, write_sheet

    with progress_bar("Cells", MOST_CELLS, quiet=quiet) as tell:
        drawn = draw_sheet(dataset, seed=seed, tell=tell)
    if drawn is None:
        click.echo("No sheet: none of the images with a labelled cell is there to be read.", err=True)
        return
    for reason in drawn.skipped:
        click.echo(f"Not on the sheet: {reason}", err=True)
    write_sheet(drawn, file)
    click.echo(f"Sheet: {file} ({drawn.cells} cells)")


def _summary(found: Check) -> list[str]:
    labelled = f", {found.images - found.unlabelled:,} of them labelled" if found.unlabelled else ""
    rows = [
        ("Data set", found.name),
        ("Format", found.format),
        ("Images", f"{found.images:,}{labelled}"),
        ("Cases", f"{found.cases:,}"),
        ("Mitotic figures", f"{found.mitotic_figures:,}"),
        ("  atypical", "the labels do not tell" if found.atypical is None else f"{found.atypical:,}"),
        ("Look-alikes", f"{found.look_alikes:,}"),
        *((f"Class {name}", f"{count:,}") for name, count in found.other_classes.items()),
        ("No mitotic figure", f"{_images(found.without_mitotic_figure)} ({found.empty:,} without any label)"),
    ]
    if found.patches:
        rows.append(("Single cells only", f"{_images(found.patches)}: other cells in them are not labelled"))
    if found.excluded:
        rows.append(("Excluded", f"{found.excluded:,} places in which nothing is counted"))
    rows += [
        ("Missing files", f"{len(found.missing):,}"),
        ("Damaged files", f"{len(found.damaged):,}"),
        ("Spacing", _spacing(found)),
        ("Licence", found.licence or "not stated"),
        ("Source", found.source or "not stated"),
    ]
    return aligned(rows, left=2)


def _images(count: int) -> str:
    return f"{count:,} {'image' if count == 1 else 'images'}"


def _spacing(found: Check) -> str:
    if found.um_per_px is None:
        return "not known for any image (give --um-per-px to other commands)"
    low, high = (f"{value:.4g}" for value in found.um_per_px)
    span = low if low == high else f"{low} to {high}"
    return f"{span} µm per pixel, known for {found.spacing_known:,} of {found.images:,}"


def _domains(found: Check) -> list[str]:
    if len(found.domains) < 2 and not (found.domains and found.domains[0].name):
        return []
    head = ("Domain", "cases", "images", "mitotic figures", "look-alikes")
    rows = [
        (domain.name or "(not stated)", domain.cases, domain.images, domain.mitotic_figures, domain.look_alikes)
        for domain in found.domains
    ]
    return ["", *aligned([head, *rows])]


def _findings(found: Check) -> list[str]:
    lines = [f"Note: {note}" for note in _shortened(found.notes)]
    lines += [f"Look at this: {warning}" for warning in found.warnings]
    if len(found.missing) < found.images:
        lines += [f"Missing: {file}" for file in _shortened(found.missing)]
    lines += [f"Damaged: {reason}" for reason in _shortened(tuple(found.damaged.values()))]
    return ["", *lines] if lines else []


def _shortened(items: tuple[str, ...]) -> list[str]:
    more = [f"{len(items) - _LISTED} more; --json FILE lists all."] if len(items) > _LISTED else []
    return [*items[:_LISTED], *more]
