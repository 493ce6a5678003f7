"""`mitozoo review`: files for a second look in QuPath, and the corrections read back as labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mitozoo.export.corrections import Changes, Corrections


@click.command("review")
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1)
@click.option("--found", type=click.Path(path_type=Path), default=None, help="Folder that 'mitozoo predict' wrote.")
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder for the files; with --read, .json or .csv."
)
@click.option("--read", "corrected", type=click.Path(path_type=Path), default=None, help="Folder of corrected files.")
@click.option("--images", type=click.Path(path_type=Path), multiple=True, help="With --read: the images, or a folder.")
@click.option("--drop-unsure", is_flag=True, help="With --read: leave out cells that are still 'Look again'.")
@click.option("--accept-untouched", is_flag=True, help="With --read: files as they were written are right.")
@click.option("--marked-only", is_flag=True, help="With --read: nobody looked for missed mitotic figures.")
@click.option("--overwrite", is_flag=True, help="Replace files that are there, corrections too.")
def command(
    paths: tuple[Path, ...],
    found: Path | None,
    out: Path,
    corrected: Path | None,
    images: tuple[Path, ...],
    drop_unsure: bool,
    accept_untouched: bool,
    marked_only: bool,
    overwrite: bool,
) -> None:
    """Have what was found in PATHS, images and folders, corrected in QuPath, and read it back as labels.

    First: mitozoo review PATHS --found FOUND --out REVIEW. Then, with the files corrected:
    mitozoo review --read REVIEW --images PATHS --out labels.json.
    """
    only_read = {"--images": images, "--drop-unsure": drop_unsure, "--accept-untouched": accept_untouched}
    only_read["--marked-only"] = marked_only
    if corrected is None:
        given = [name for name, value in only_read.items() if value]
        if given:
            raise click.UsageError(f"{given[0]} goes with --read.")
        if found is None or not paths:
            raise click.UsageError("Give images and --found, or --read with --images. See 'mitozoo review --help'.")
        _write(paths, found, out, overwrite)
        return
    if found is not None or paths:
        raise click.UsageError("--read reads files back: leave --found out, and give the images as --images.")
    if not images:
        raise click.UsageError("--read needs the images: give them, or their folder, as --images.")
    from mitozoo.export.corrections import check_labels_out, read_corrections, write_labels

    check_labels_out(out, overwrite)
    done = read_corrections(
        corrected,
        images,
        drop_unsure=drop_unsure,
        accept_untouched=accept_untouched,
        marked_only=marked_only,
    )
    write_labels(done.dataset, out, overwrite=overwrite)
    _say(done, out)


def _write(paths: tuple[Path, ...], found: Path, out: Path, overwrite: bool) -> None:
    from mitozoo.export.review import READ_ME, write_review

    done = write_review(paths, found, out, overwrite=overwrite)
    click.echo(
        f"{_number(done.detections, 'detection')} and {_number(done.doubtful, 'doubtful cell')} in "
        f"{_number(len(done.images), 'image')}."
    )
    for names, why in ((done.failed, "could not be searched"), (done.unsearched, "were not part of the run")):
        if names:
            click.echo(f"Without a file, since they {why}: {_listed(names)}", err=True)
    click.echo(
        "In QuPath, drag each file onto its image; delete or re-classify what is wrong, add what was missed, and "
        f"export the objects under the same name. {done.out / READ_ME} says how."
    )
    click.echo(f"Files: {done.out}")


def _say(done: Corrections, out: Path) -> None:
    from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC

    for note in done.dataset.notes:
        click.echo(f"Note: {note}", err=True)
    for name, changes in done.changes.items():
        click.echo(f"{name}: {_line(changes)}")
    total = done.total
    if len(done.changes) > 1:
        click.echo(f"All {len(done.changes)} images: {_line(total)}")
    if done.untouched:
        click.echo(f"Unlabelled, since their files were not saved again: {_listed(done.untouched)}", err=True)
    if done.without_file:
        click.echo(f"Unlabelled, since their files are gone: {_listed(done.without_file)}", err=True)
    if total.others:
        click.echo(f"Left out: {_number(total.others, 'object')} of classes that are not of mitosis.", err=True)
    count = done.dataset.count
    figures = _number(count(MITOTIC_FIGURE) + count(ATYPICAL), "mitotic figure")
    click.echo(
        f"{figures} ({count(ATYPICAL)} of them atypical) and {_number(count(NON_MITOTIC), 'look-alike')} in "
        f"{_number(len(done.changes), 'image')}."
    )
    click.echo(f"Labels: {out}")


def _line(changes: Changes) -> str:
    doubtful = changes.doubtful_mitotic + changes.doubtful_not
    unsure = f", {changes.unsure} unsure and left out" if changes.unsure else ""
    looked = f"; of {_number(doubtful, 'doubtful cell')} {changes.doubtful_mitotic} mitotic" if doubtful else ""
    return (
        f"{changes.confirmed} confirmed, {changes.reclassified} re-classified, {changes.removed} removed, "
        f"{changes.added} added{looked}{unsure}"
    )


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
