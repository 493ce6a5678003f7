"""What archives hold of a data set, asked of the archives themselves: names, sizes, checksums, licence.

Answers as documented at developers.zenodo.org, docs.figshare.com and docs.github.com/rest (git trees).
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from mitozoo.base.errors import DataError
from mitozoo.base.files import safe_name
from mitozoo.base.network import url_problem
from mitozoo.data.fetch.answers import ask
from mitozoo.data.fetch.sources import Place, Source

#: The file in which `fetch` records where a set is from; no archive may name a file so.
RECORD = "SOURCE.json"
_CHECKSUM = re.compile(r"(md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}|git:[0-9a-f]{40})?")
_FIGSHARE = "https://api.figshare.com/v2"
#: Articles and files that figshare gives at once: smaller pages of a collection repeat some and leave others out.
_PAGE = 1000
#: figshare names so many files in an article's own answer; all of a longer list are asked for.
_FIRST_FILES = 10


@dataclass(frozen=True)
class RemoteFile:
    """A file of an archive.

    Attributes: name relative to the set's folder; size in bytes; checksum, "md5:…", "sha256:…", "git:…" (SHA-1 of git's
    blob) or "" where the archive states none; url, or a path in a folder that is used as a mirror.
    """

    name: str
    size: int
    checksum: str
    url: str


@dataclass(frozen=True)
class Listing:
    """Files by name, and the licences that the archives state."""

    files: tuple[RemoteFile, ...]
    licences: tuple[str, ...] = field(default=())


def via(mirror: str | None, url: str) -> str:
    """The URL at a mirror: its address, then host and path of the original.

    Raises: DataError for a mirror or original of no use.
    """
    problem = url_problem(url) if url.startswith("https://") else "is not https"
    if problem:
        raise DataError(f"The archive gives the address {url!r}, which {problem}. Nothing is fetched.")
    if mirror is None:
        return url
    problem = url_problem(mirror) if mirror.startswith("http") else "is no folder that is there and no http(s) address"
    if problem:
        raise DataError(f"The mirror {mirror} {problem}. Give an https:// URL, http:// on this machine, or a folder.")
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}{query}"


def list_files(source: Source, mirror: str | None = None, tell: Callable[[int, int], None] | None = None) -> Listing:
    """Ask the archives for the files of a set.

    Args: mirror, a server to ask instead (see `via`); tell, called with how many of how many answers are there.
    Returns: files by name, of two with one name the first. Raises: DataError for a set that is not fetched, where an
    archive does not answer or not as it should, or names a file that has no place in a folder.
    """
    if not source.places:
        raise DataError(f"{source.name} is given after registration, and not fetched. {source.how}")
    found: dict[str, RemoteFile] = {}
    licences: dict[str, None] = {}
    for place in source.places:
        try:
            listing = _ARCHIVES[place.archive](place, mirror, tell or _silent)
            for file in listing.files:
                if any(fnmatch.fnmatchcase(file.name, pattern) for pattern in place.patterns):
                    wanted = _checked(file, place)
                    found.setdefault(wanted.name.casefold(), wanted)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{place.page} gave a list of files that cannot be read ({type(error).__name__}: {error}). "
                "Try again later, or give --mirror."
            ) from error
        licences |= dict.fromkeys(f"{licence} ({place.page})" for licence in listing.licences)
    if not found:
        raise DataError(
            f"The archives of {source.name} name no file of it: {', '.join(p.page for p in source.places)}."
        )
    return Listing(tuple(sorted(found.values(), key=lambda file: file.name)), tuple(licences))


def check_name(name: str, where: str) -> None:
    """Raises: DataError for the name of a file that would lie outside its folder, or on one of mitozoo's own."""
    if safe_name(name) != name or name.endswith((".part", ".part.json")) or name == RECORD:
        raise DataError(f"{where} names a file {name!r}, which has no place in a folder. Nothing is fetched.")


def _silent(done: int, total: int) -> None:
    """Tell nobody."""


def _checked(file: RemoteFile, place: Place) -> RemoteFile:
    """The file under the name that it gets. Raises: DataError for one that would lie outside its folder."""
    name = file.name.removeprefix(place.strip)
    check_name(name, place.page)
    if file.size < 0 or not _CHECKSUM.fullmatch(file.checksum):
        raise ValueError(f"{name} has {file.size} bytes and the checksum {file.checksum!r}")
    return RemoteFile(name, file.size, file.checksum, file.url)


def _zenodo(place: Place, mirror: str | None, tell: Callable[[int, int], None]) -> Listing:
    answer = ask(via(mirror, f"https://zenodo.org/api/records/{place.record}"), place)
    files = [
        RemoteFile(str(item["key"]), int(item["size"]), str(item["checksum"]), via(mirror, item["links"]["self"]))
        for item in answer["files"]
    ]
    licence = (answer.get("metadata") or {}).get("license") or {}
    tell(1, 1)
    return Listing(tuple(files), _names(licence.get("id")))


def _github(place: Place, mirror: str | None, tell: Callable[[int, int], None]) -> Listing:
    base = f"https://api.github.com/repos/{place.record}"
    licence = ask(via(mirror, base), place).get("license") or {}
    tell(1, 2)
    answer = ask(via(mirror, f"{base}/git/trees/HEAD?recursive=1"), place)
    if answer.get("truncated"):
        raise ValueError("the list is cut short")
    raw = f"https://raw.githubusercontent.com/{place.record}/{answer['sha']}"
    files = [
        RemoteFile(
            str(item["path"]), int(item["size"]), f"git:{item['sha']}", via(mirror, f"{raw}/{quote(item['path'])}")
        )
        for item in answer["tree"]
        if item["type"] == "blob" and item.get("mode") != "120000"
    ]
    tell(2, 2)
    spdx = licence.get("spdx_id")
    return Listing(tuple(files), _names(None if spdx == "NOASSERTION" else spdx))


def _figshare(place: Place, mirror: str | None, tell: Callable[[int, int], None]) -> Listing:
    articles = _articles(place, mirror)
    files: dict[str, RemoteFile] = {}
    licences: dict[str, None] = {}
    for i, article in enumerate(articles):
        url = f"{_FIGSHARE}/articles/{article}"
        answer = ask(via(mirror, url), place)
        licences |= dict.fromkeys(_names((answer.get("license") or {}).get("name")))
        items = answer["files"]
        if len(items) >= _FIRST_FILES:
            items = [item for page in _pages(f"{url}/files", place, mirror) for item in page]
        for item in items:
            if item.get("is_link_only"):
                continue
            file = _figshare_file(item, mirror)
            same = files.setdefault(file.name, file)
            if (same.size, same.checksum) != (file.size, file.checksum):
                # Two articles that call different files the same: the later one lies in a folder of its own.
                files[f"{article}/{file.name}"] = RemoteFile(f"{article}/{file.name}", *_rest(file))
        tell(i + 1, len(articles))
    return Listing(tuple(files.values()), tuple(licences))


def _rest(file: RemoteFile) -> tuple[int, str, str]:
    return file.size, file.checksum, file.url


def _articles(place: Place, mirror: str | None) -> list[int]:
    """Numbers of the articles of a collection, in order. Raises: ValueError where not all are named."""
    url = f"{_FIGSHARE}/collections/{place.record}"
    count = int(ask(via(mirror, url), place)["articles_count"])
    numbers = sorted({int(item["id"]) for page in _pages(f"{url}/articles", place, mirror) for item in page})
    if len(numbers) < count:
        raise ValueError(f"{len(numbers)} of {count} articles are named")
    return numbers


def _pages(url: str, place: Place, mirror: str | None) -> Iterator[list[Any]]:
    number = 1
    while True:
        page = ask(via(mirror, f"{url}?page_size={_PAGE}&page={number}"), place, list)
        yield page
        if len(page) < _PAGE:
            return
        number += 1


def _figshare_file(item: dict[str, Any], mirror: str | None) -> RemoteFile:
    # figshare.com/ndownloader answers programs with an empty page; this host gives the file.
    url = str(item["download_url"]).replace("https://figshare.com/ndownloader/", "https://ndownloader.figshare.com/")
    md5 = item.get("supplied_md5") or item.get("computed_md5")
    return RemoteFile(str(item["name"]), int(item["size"]), f"md5:{md5}" if md5 else "", via(mirror, url))


def _names(licence: object) -> tuple[str, ...]:
    return (licence,) if isinstance(licence, str) and licence else ()


_ARCHIVES: dict[str, Callable[[Place, str | None, Callable[[int, int], None]], Listing]] = {
    "zenodo": _zenodo,
    "figshare": _figshare,
    "github": _github,
}
