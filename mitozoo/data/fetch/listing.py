"""What an archive holds of a data set, asked of the archive itself."""

from __future__ import annotations

import http.client
import json
import posixpath
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from mitozoo.base.errors import DataError
from mitozoo.base.network import Unavailable, open_network, reason, url_problem
from mitozoo.data.fetch.sources import Source

#: Longest answer of an archive that is read, in bytes.
_LONGEST = 64 << 20


@dataclass(frozen=True)
class RemoteFile:
    """A file of an archive: name relative to the set's folder, size, checksum as "md5:…" or "git:…", and its URL."""

    name: str
    size: int
    checksum: str
    url: str


def via(mirror: str | None, url: str) -> str:
    """The URL at a mirror: its address, then host and path of the original.

    Raises: DataError for a mirror of no use.
    """
    if mirror is None:
        return url
    if not mirror.startswith("http") or (problem := url_problem(mirror)):
        said = problem if mirror.startswith("http") else "is no http(s) address"
        raise DataError(f"The mirror {mirror} {said}. Give an https:// URL, or http:// on this machine.")
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{mirror.rstrip('/')}/{parts.netloc}{parts.path}{query}"


def list_files(source: Source, mirror: str | None = None) -> list[RemoteFile]:
    """Ask the archive for the files of a set.

    Raises: DataError where it does not answer, or names a file that has no place in a folder.
    """
    if source.archive == "zenodo":
        answer = _ask(via(mirror, f"https://zenodo.org/api/records/{source.record}"), source)
        found = [_zenodo(entry, mirror) for entry in answer["files"]]
    elif source.archive == "github":
        tree = f"https://api.github.com/repos/{source.record}/git/trees/HEAD?recursive=1"
        answer = _ask(via(mirror, tree), source)
        raw = f"https://raw.githubusercontent.com/{source.record}/{answer['sha']}"
        inside = f"{source.folder}/" if source.folder else ""
        blobs = [item for item in answer["tree"] if item["type"] == "blob" and item["path"].startswith(inside)]
        found = [
            RemoteFile(
                item["path"].removeprefix(inside),
                int(item["size"]),
                f"git:{item['sha']}",
                via(mirror, f"{raw}/{quote(item['path'])}"),
            )
            for item in blobs
        ]
    else:
        raise DataError(f"{source.title}: {source.how}")
    for file in found:
        _check_name(file.name, source)
    return sorted(found, key=lambda file: file.name)


def _zenodo(entry: dict[str, Any], mirror: str | None) -> RemoteFile:
    return RemoteFile(
        str(entry["key"]), int(entry["size"]), str(entry["checksum"]), via(mirror, entry["links"]["self"])
    )


def _ask(url: str, source: Source) -> dict[str, Any]:
    try:
        with open_network(url) as answer:
            content = json.loads(answer.read(_LONGEST))
        if not isinstance(content, dict):
            raise ValueError("not an object")
    except (OSError, http.client.HTTPException, Unavailable) as error:
        raise DataError(
            f"The archive of {source.name} does not answer at {url} ({reason(error)}). "
            "Try again later, or give --mirror."
        ) from error
    except ValueError as error:
        raise DataError(f"The archive of {source.name} gave no list of files at {url}: {error}.") from error
    return content


def _check_name(name: str, source: Source) -> None:
    """Raises: DataError for a name that would lie outside its folder."""
    parts = name.split("/")
    if not name or name.startswith("/") or "\\" in name or ":" in name or ".." in parts or "" in parts:
        raise DataError(f"The archive of {source.name} names a file {name!r}, which has no place in a folder.")
    if posixpath.normpath(name) != name or name.endswith((".part", ".part.json")):
        raise DataError(f"The archive of {source.name} names a file {name!r}, which has no place in a folder.")
