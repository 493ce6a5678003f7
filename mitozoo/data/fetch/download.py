"""One file, whole or not at all: resumed where it broke off, checked by the checksum that its archive gives."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
from collections.abc import Callable, Sequence
from pathlib import Path

from mitozoo.base.errors import DataError, OutputError
from mitozoo.base.files import make_folder, write_text
from mitozoo.base.network import Unavailable, open_network, reason
from mitozoo.data.fetch.listing import RemoteFile

#: How often a file is tried, and the pause before the second try, in seconds; it doubles.
TRIES, PAUSE_S = 4, 1.0
#: Room beyond the files themselves that must be free.
SPARE = 1.05
_CHUNK_BYTES = 1 << 20


def digest_of(path: Path, checksum: str) -> str:
    """Return the checksum of a file, of the kind of `checksum`: "md5:…", "sha256:…" or "git:…" (of git's blobs)."""
    kind = checksum.partition(":")[0]
    hashed = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=False)
    if kind == "git":
        hashed.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hashed.update(chunk)
    return f"{kind}:{hashed.hexdigest()}"


def is_whole(path: Path, file: RemoteFile) -> bool:
    """Whether a file is there with the right size and checksum; reads all of it."""
    return path.is_file() and path.stat().st_size == file.size and digest_of(path, file.checksum) == file.checksum


def check_room(folder: Path, files: Sequence[RemoteFile]) -> None:
    """Raises: OutputError where the files, less what is there of them, do not fit."""
    need = sum(file.size for file in files if not (folder / file.name).exists())
    need -= sum(part.stat().st_size for file in files if (part := _part(folder / file.name)).exists())
    free = shutil.disk_usage(folder).free
    if need * SPARE > free:
        raise OutputError(
            f"{folder} has {free / 1e9:.2f} GB free, and {need * SPARE / 1e9:.2f} GB are needed. Make room, choose "
            "another --out, or fetch single files with --only."
        )


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def download(
    file: RemoteFile, folder: Path, tell: Callable[[int], None], wait: Callable[[float], None] = time.sleep
) -> Path:
    """Fetch a file into a folder, going on with what is there of it.

    Args: tell, called with the bytes that are there; wait, how to pause between tries.
    Returns: its path. Raises: DataError where it cannot be had, or its checksum is wrong twice; OutputError.
    """
    target = folder / file.name
    make_folder(target.parent)
    wrong: list[str] = []
    problem = ""
    for attempt in range(TRIES):
        if attempt:
            wait(PAUSE_S * 2 ** (attempt - 1))
        try:
            _fetch(file, _part(target), tell)
        except (OSError, http.client.HTTPException, Unavailable) as error:
            if isinstance(error, OSError) and not isinstance(
                error, urllib.error.URLError | TimeoutError | ConnectionError
            ):
                raise OutputError(
                    f"Cannot write {target}: {error.strerror or error}. Make room or choose another --out."
                ) from error
            problem = reason(error)
            if _is_lasting(error):
                break
            continue
        found = digest_of(_part(target), file.checksum)
        if found == file.checksum:
            os.replace(_part(target), target)
            _note(target).unlink(missing_ok=True)
            return target
        _part(target).unlink()
        wrong.append(found)
        if len(wrong) == 2:
            raise DataError(
                f"{file.name} came twice with a wrong checksum: {wrong[-1]}, where the archive says {file.checksum}. "
                "It was not kept. Try again later, or another --mirror."
            )
    raise DataError(
        f"{file.name} cannot be fetched from {file.url}: {problem}. What came is kept: run the command again."
    )


def _is_lasting(error: Exception) -> bool:
    """Whether asking again is of no use: the place is not there, or not for us."""
    if isinstance(error, Unavailable):
        return error.lasting
    return isinstance(error, urllib.error.HTTPError) and error.code < 500 and error.code not in (408, 416, 429)


def _note(target: Path) -> Path:
    return target.with_name(target.name + ".part.json")


def _fetch(file: RemoteFile, part: Path, tell: Callable[[int], None]) -> None:
    """Write the rest of a file to its part. Raises: Unavailable where it is not whole."""
    note = part.with_name(part.name + ".json")
    there = part.stat().st_size if part.exists() else 0
    if there == file.size:
        return
    if there > file.size:
        there = 0
    headers = {}
    if there and (tag := _tag_of(note)):
        headers = {"Range": f"bytes={there}-", "If-Range": tag}
    with open_network(file.url, headers=headers) as answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {there}-")
        done = there if headers and resumed else 0
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        write_text(note, json.dumps({"tag": tag}))
        with part.open("ab" if done else "wb") as out:
            tell(done)
            while chunk := answer.read(min(_CHUNK_BYTES, file.size - done + 1)):
                done += len(chunk)
                if done > file.size:
                    part.unlink()
                    raise Unavailable(f"it gave more than the {file.size} bytes that the archive says")
                out.write(chunk)
                tell(done)
    if done < file.size:
        raise Unavailable(f"it broke off after {done} of {file.size} bytes")


def _tag_of(note: Path) -> str | None:
    """What tells the version of the file that the part is of; weak tags cannot."""
    try:
        tag = json.loads(note.read_text(encoding="utf-8"))["tag"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return tag if isinstance(tag, str) and not tag.startswith("W/") else None
