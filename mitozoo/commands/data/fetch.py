"""`mitozoo data fetch NAME`: download a public data set."""

from __future__ import annotations

import fnmatch
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitozoo.commands.columns import aligned
from mitozoo.commands.stopping import says_when_stopped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mitozoo.data.fetch.listing import Listing, RemoteFile
    from mitozoo.data.fetch.sources import Source


@click.command("fetch")
@click.argument("name", required=False)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=None, help="Folder for the files.")
@click.option("--list", "listed", is_flag=True, help="List the sets, or with NAME its files.")
@click.option("--accept-licence", is_flag=True, help="You have read the licence and accept it.")
@click.option("--only", multiple=True, metavar="FILE", help="Only this file, or 'a*'; may be given several times.")
@click.option("--unpack", is_flag=True, help="Unpack zip and tar archives, each into a folder beside it.")
@click.option(
    "--mirror",
    default=None,
    metavar="URL_OR_DIR",
    help="A server with /HOST/PATH of the archives, or a fetched folder.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that are there and differ from the archive's.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    name: str | None,
    out: Path | None,
    listed: bool,
    accept_licence: bool,
    only: tuple[str, ...],
    unpack: bool,
    mirror: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Download the public data set NAME from its archive.

    Files are checked by the archive's checksums; what broke off is resumed, what is there already is kept.
    """
    from mitozoo.data.fetch.record import check_folder
    from mitozoo.data.fetch.sources import SOURCES, source

    if name is None:
        if not listed:
            raise click.UsageError("Missing argument 'NAME'. 'mitozoo data fetch --list' lists the sets.")
        rows = [(each.name, each.title + ("" if each.places else " (after registration)")) for each in SOURCES.values()]
        click.echo("\n".join(aligned(rows, left=2)))
        return
    chosen = source(name)
    click.echo("\n".join(_about(chosen)))
    if not listed and chosen.places:
        if out is None:
            raise click.UsageError("Missing option '--out'.")
        check_folder(out, chosen)
        _refuse_where_nobody_can_answer(accept_licence)
    with says_when_stopped(lambda: "Nothing was fetched."):
        listing, when = _list(chosen, out, mirror, quiet)
        files = _chosen(chosen, listing, only)
        for licence in listing.licences:
            click.echo(f"Stated by the archive: {licence}")
        click.echo(f"{_files(len(files))}, {sum(file.size for file in files) / 1e9:.2f} GB")
        if listed or out is None:
            click.echo("\n".join(f"{file.size:14,}  {file.name}" for file in files))
            return
        _ask(accept_licence)
    with says_when_stopped(lambda: f"What came is kept in {out}. The same command goes on."):
        _fetch(chosen, listing, files, out, when=when, mirror=mirror, overwrite=overwrite, quiet=quiet)
        _unpack(files, out, unpack)
    click.echo(f"{_files(len(files))} of {name} in {out}, checked. Next: mitozoo data check {out}")


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _about(chosen: Source) -> list[str]:
    pages = [("From", place.page) for place in chosen.places]
    return [chosen.title, *aligned([*pages, ("Licence", chosen.licence), ("Cite", chosen.citation)], left=2)]


def _refuse_where_nobody_can_answer(accepted: bool) -> None:
    from mitozoo.base.errors import DataError

    if not accepted and not sys.stdin.isatty():
        raise DataError("Read the licence, then accept it with --accept-licence.")


def _ask(accepted: bool) -> None:
    from mitozoo.base.errors import DataError

    if not accepted and not click.confirm("Do you accept the licence?"):
        raise DataError("Nothing was fetched: the licence was not accepted.")


def _list(chosen: Source, out: Path | None, mirror: str | None, quiet: bool) -> tuple[Listing, str]:
    """What the archive or a folder can give, and when that was asked."""
    from mitozoo.base.progress import progress_bar
    from mitozoo.data.fetch.listing import list_files
    from mitozoo.data.fetch.record import from_folder, listed_before, now

    if mirror and "://" not in mirror and Path(mirror).is_dir():
        return from_folder(Path(mirror), chosen), now()
    if out and (before := listed_before(out, chosen, mirror)):
        return before
    with progress_bar("Asking the archive", 1, quiet=quiet) as tell:
        return list_files(chosen, mirror, lambda done, total: tell(done // total, f"{done} of {total}")), now()


def _chosen(chosen: Source, listing: Listing, only: Sequence[str]) -> list[RemoteFile]:
    """The files that are wanted. Raises: UnknownNameError for a name or pattern that fits none."""
    from mitozoo.base.errors import UnknownNameError

    names = [file.name for file in listing.files]
    for pattern in only:
        if not fnmatch.filter(names, pattern) and pattern not in names:
            raise UnknownNameError(f"file of {chosen.name}", pattern, names)
    return [
        file
        for file in listing.files
        if not only or any(file.name == pattern or fnmatch.fnmatch(file.name, pattern) for pattern in only)
    ]


def _fetch(
    chosen: Source,
    listing: Listing,
    files: list[RemoteFile],
    out: Path,
    *,
    when: str,
    mirror: str | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """Fetch what is missing, and record where it came from."""
    from mitozoo.base.files import make_folder
    from mitozoo.base.network import byte_bar
    from mitozoo.data.fetch.download import check_room, download
    from mitozoo.data.fetch.record import read_record, write_record

    make_folder(out)
    missing = _missing(files, out, overwrite, quiet)
    check_room(out, missing)
    before = {name for name, entry in ((read_record(out) or {}).get("files") or {}).items() if entry.get("there")}
    there = {file.name for file in listing.files if file.name in before and (out / file.name).exists()}
    there |= {file.name for file in files} - {file.name for file in missing}
    write_record(out, chosen, listing, there, listed=when, mirror=mirror)
    done = 0
    with byte_bar(f"Fetching {chosen.name}", sum(file.size for file in missing), quiet=quiet) as tell:
        for file in missing:
            download(file, out, lambda count, start=done: tell(start + count))  # type: ignore[misc]
            done += file.size
            there.add(file.name)
    write_record(out, chosen, listing, there, listed=when, mirror=mirror)


def _missing(files: list[RemoteFile], out: Path, overwrite: bool, quiet: bool) -> list[RemoteFile]:
    """The files that are not there whole. Raises: OutputError for one that is there and differs, without overwrite."""
    from mitozoo.base.errors import OutputError
    from mitozoo.base.progress import progress_bar
    from mitozoo.data.fetch.download import is_whole

    missing = []
    with progress_bar("Checking what is there", len(files), quiet=quiet) as tell:
        for i, file in enumerate(files):
            path = out / file.name
            if not is_whole(path, file):
                if path.exists() and not overwrite:
                    raise OutputError(
                        f"{path} is there and is not the archive's file: changed, damaged or of another version. "
                        "Move it away, or add --overwrite to replace it."
                    )
                missing.append(file)
            tell(i + 1, file.name)
    return missing


def _unpack(files: list[RemoteFile], out: Path, wanted: bool) -> None:
    from mitozoo.data.fetch.unpack import is_archive, unpack

    packed = [file.name for file in files if is_archive(file.name)]
    if packed and not wanted:
        click.echo(f"Packed: {', '.join(packed[:5])}{' …' if len(packed) > 5 else ''}. Add --unpack to unpack.")
        return
    for name in packed:
        folder = unpack(out / name)
        click.echo(f"Unpacked: {folder}" if folder else f"Unpacked before: {name}")
