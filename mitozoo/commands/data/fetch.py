"""`mitozoo data fetch NAME`: download a public data set."""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mitozoo.commands.stopping import says_when_stopped

if TYPE_CHECKING:
    from mitozoo.data.fetch.listing import RemoteFile
    from mitozoo.data.fetch.sources import Source


@click.command("fetch")
@click.argument("name", required=False)
@click.option("--out", type=click.Path(path_type=Path), default=None, help="Folder for the files.")
@click.option("--list", "listed", is_flag=True, help="List the sets, or with NAME its files.")
@click.option("--accept-licence", is_flag=True, help="You have read the licence and accept it.")
@click.option("--only", multiple=True, help="Only this file; may be given several times.")
@click.option("--mirror", default=None, metavar="URL", help="Ask this server, which serves /HOST/PATH of the archives.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    name: str | None,
    out: Path | None,
    listed: bool,
    accept_licence: bool,
    only: tuple[str, ...],
    mirror: str | None,
    quiet: bool,
) -> None:
    """Download the public data set NAME from its archive.

    Files are checked by the archive's checksums; what broke off is resumed, what is there already is kept.
    """
    from mitozoo.base.errors import UnknownNameError
    from mitozoo.data.fetch.listing import list_files
    from mitozoo.data.fetch.sources import SOURCES, source

    if name is None:
        if not listed:
            raise click.UsageError("Missing argument 'NAME'. 'mitozoo data fetch --list' lists the sets.")
        for item in SOURCES.values():
            click.echo(f"{item.name:16} {item.title}{'' if item.archive else ' (not fetched: see its text)'}")
        return
    chosen = source(name)
    click.echo(f"{chosen.title}\nLicence: {chosen.licence}\nCite: {chosen.citation}")
    files = list_files(chosen, mirror)
    for wanted in only:
        if wanted not in {file.name for file in files}:
            raise UnknownNameError(f"file of {name}", wanted, [file.name for file in files])
    files = [file for file in files if not only or file.name in only]
    total = sum(file.size for file in files)
    click.echo(f"{len(files)} files, {total / 1e9:.2f} GB")
    if listed:
        for file in files:
            click.echo(f"{file.size:14,}  {file.name}")
        return
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    _accept(accept_licence)
    with says_when_stopped(lambda: f"What came is kept in {out}. The same command goes on."):
        _fetch(chosen, files, out, quiet)
    click.echo(f"All of {name} is in {out}, checked. Next: mitozoo data check {out}")


def _accept(given: bool) -> None:
    """Ask for the licence to be accepted. Raises: RecipeError where nobody can answer."""
    from mitozoo.base.errors import RecipeError

    if given:
        return
    if not sys.stdin.isatty():
        raise RecipeError("Read the licence, then accept it with --accept-licence.")
    if not click.confirm("Do you accept the licence?"):
        raise RecipeError("Nothing was fetched: the licence was not accepted.")


def _fetch(chosen: Source, files: list[RemoteFile], out: Path, quiet: bool) -> None:
    """Fetch what is missing, and record where it came from."""
    from mitozoo.base.files import make_folder, write_text
    from mitozoo.base.progress import progress_bar
    from mitozoo.data.fetch.download import check_room, download, is_whole

    make_folder(out)
    check_room(out, files)
    # The bar counts kilobytes.
    with progress_bar(f"Fetching {chosen.name} (kB)", sum(file.size for file in files) // 1000, quiet=quiet) as tell:
        before = 0
        for file in files:
            if not is_whole(out / file.name, file):
                download(file, out, lambda done, b=before, n=file.name: tell((b + done) // 1000, n))  # type: ignore[misc]
            before += file.size
            tell(before // 1000, file.name)
    record = {
        "set": chosen.name,
        "archive": chosen.archive,
        "record": chosen.record,
        "fetched": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "licence": chosen.licence,
        "citation": chosen.citation,
        "files": {file.name: file.checksum for file in files},
    }
    write_text(out / "SOURCE.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
