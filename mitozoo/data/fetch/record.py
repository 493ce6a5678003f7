"""`SOURCE.json` beside a fetched set: where it is from, under which licence, when, with sizes and checksums.

A folder that has one can serve as a mirror for others, and a long list of files need not be asked for twice.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from mitozoo.base.errors import DataError, OutputError
from mitozoo.base.files import inside, write_text
from mitozoo.base.network import url_problem
from mitozoo.data.fetch.listing import RECORD, Listing, RemoteFile, check_name
from mitozoo.data.fetch.sources import Source

#: For so long a list that took many questions is not asked for again.
_FRESH = datetime.timedelta(days=1)


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return what `SOURCE.json` in a folder says, or None where there is none that can be read."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) else None


def write_record(
    folder: Path, source: Source, listing: Listing, there: Collection[str], *, listed: str, mirror: str | None
) -> None:
    """Write `SOURCE.json`. Args: there, names of the files that are in the folder, checked; listed, as `now` gives."""
    content = {
        "set": source.name,
        "title": source.title,
        "archives": [place.page for place in source.places],
        "mirror": mirror,
        "licence": source.licence,
        "licence_stated_by_archive": list(listing.licences),
        "citation": source.citation,
        "listed": listed,
        "fetched": now(),
        "complete": len(there) == len(listing.files),
        "files": {
            file.name: {"size": file.size, "checksum": file.checksum, "url": file.url, "there": file.name in there}
            for file in listing.files
        },
    }
    write_text(folder / RECORD, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def now() -> str:
    """The time, as ISO 8601 in UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def check_folder(folder: Path, source: Source) -> None:
    """Raises: OutputError where a folder holds another set already."""
    record = read_record(folder)
    if record and record.get("set") != source.name:
        raise OutputError(f"{folder} holds the set {record.get('set')!r} already. Choose another --out.")


def listed_before(folder: Path, source: Source, mirror: str | None) -> tuple[Listing, str] | None:
    """Return the list that a folder's record holds and when it was made, where asking again would take long."""
    record = read_record(folder)
    if not record or record.get("set") != source.name or record.get("mirror") != mirror:
        return None
    if all(place.archive != "figshare" for place in source.places):
        return None
    try:
        listed = str(record["listed"])
        age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(listed)
        listing = _listing(record, folder)
    except (KeyError, TypeError, ValueError):
        return None
    fetchable = all(file.url.startswith("http") and not url_problem(file.url) for file in listing.files)
    return (listing, listed) if age < _FRESH and fetchable else None


def from_folder(mirror: Path, source: Source) -> Listing:
    """Return what a folder that `fetch` filled can give; the URLs are paths.

    Args: mirror, that folder, or the one in which it lies under the set's name.
    Raises: DataError where it holds no such set.
    """
    for folder in (mirror / source.name, mirror):
        record = read_record(folder)
        if record and record.get("set") == source.name:
            try:
                listing = _listing(record, folder)
                there = [file for file in listing.files if record["files"][file.name]["there"]]
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f"{folder / RECORD} is damaged ({type(error).__name__}: {error}). Fetch the set again."
                ) from error
            files = (RemoteFile(f.name, f.size, f.checksum, str(inside(folder, f.name).absolute())) for f in there)
            return Listing(tuple(files), listing.licences)
    raise DataError(
        f"The mirror {mirror} holds no {source.name}: neither it nor {mirror / source.name} has a {RECORD} of that "
        "set. Give a folder that 'mitozoo data fetch' has filled."
    )


def _listing(record: dict[str, Any], folder: Path) -> Listing:
    files = []
    for name, entry in record["files"].items():
        check_name(name, str(folder / RECORD))
        files.append(RemoteFile(name, int(entry["size"]), str(entry["checksum"]), str(entry["url"])))
    return Listing(tuple(files), tuple(str(licence) for licence in record["licence_stated_by_archive"]))
