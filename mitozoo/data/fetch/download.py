"""One file, whole or not at all: resumed where it broke off, checked by the checksum that its archive gives."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mitozoo.base.errors import DataError, OutputError
from mitozoo.base.files import inside, make_folder, write_text
from mitozoo.base.network import Unavailable, is_lasting, open_network, pause_s, reason
from mitozoo.data.fetch import answers
from mitozoo.data.fetch.listing import RemoteFile

#: How often a file is tried in a row without anything coming of it.
TRIES = 4
#: Room beyond the files themselves that must be free.
SPARE = 1.05
_CHUNK_BYTES = 1 << 20


def digest_of(path: Path, kind: str) -> str:
    """Return the checksum of a file as `kind:…`. Args: kind, "md5", "sha256" or "git" (SHA-1 of git's blob)."""
    hashed = hashlib.new("sha1" if kind == "git" else kind, usedforsecurity=False)
    if kind == "git":
        hashed.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            hashed.update(chunk)
    return f"{kind}:{hashed.hexdigest()}"


def found_of(path: Path, file: RemoteFile) -> str:
    """What is at a path, to compare with `file.checksum`: its checksum, or its size where that tells already."""
    size = path.stat().st_size
    if size != file.size:
        return f"{size:,} bytes"
    return digest_of(path, file.checksum.partition(":")[0]) if file.checksum else ""


def wanted_of(file: RemoteFile, found: str) -> str:
    """What the archive says, in the words of `found`."""
    return f"{file.size:,} bytes" if found.endswith(" bytes") else file.checksum


def is_whole(path: Path, file: RemoteFile) -> bool:
    """Whether a file is there with the right size and checksum; reads all of it. Raises: OutputError if it cannot."""
    try:
        return path.is_file() and found_of(path, file) == file.checksum
    except OSError as error:
        raise OutputError(f"Cannot read {path}: {error.strerror}. Choose another --out.") from error


def check_room(folder: Path, files: Sequence[RemoteFile]) -> None:
    """Make sure that files to be fetched, less what is there of them, fit. Raises: OutputError with the numbers."""
    there = sum(min(_size(_part(folder / file.name)), file.size) for file in files)
    need = (sum(file.size for file in files) - there) * SPARE
    free = shutil.disk_usage(folder).free
    if need > free:
        raise OutputError(
            f"{folder} has {free / 1e9:.2f} GB free, and {need / 1e9:.2f} GB are needed (the files and 5 % more). "
            "Make room, choose another --out, or fetch single files with --only."
        )


def download(file: RemoteFile, folder: Path, tell: Callable[[int], None]) -> Path:
    """Fetch a file into a folder, going on with what is there of it.

    Args: tell, called with the bytes that are there.
    Returns: its path. Raises: DataError where it cannot be had, or its checksum is wrong twice; OutputError.
    """
    target = inside(folder, file.name)
    part = _part(target)
    make_folder(target.parent)
    failures, was_wrong, most = 0, False, _size(part)
    while True:
        try:
            _fetch(file, part, tell)
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, Unavailable) as error:
            # Only what was never there before counts as coming on: a part may have been thrown away in between.
            failures = 1 if _size(part) > most else failures + 1
            most = max(most, _size(part))
            if failures == TRIES or is_lasting(error):
                raise _unavailable(file, part, error) from error
            answers.wait(pause_s(error, failures))
            continue
        except OSError as error:
            raise OutputError(
                f"Cannot write {part}: {error.strerror or error}. Make room or choose another --out; the same command "
                "then goes on."
            ) from error
        found = found_of(part, file)
        if found == file.checksum:
            os.replace(part, target)
            _note(part).unlink(missing_ok=True)
            return target
        _drop(part)
        if was_wrong:
            raise DataError(
                f"{file.name} came twice with a wrong checksum: {found}, where the archive says "
                f"{wanted_of(file, found)}. It was not kept. Try again later, or another --mirror."
            )
        was_wrong = True


def _unavailable(file: RemoteFile, part: Path, error: Exception) -> DataError:
    kept = f"Its first {_size(part):,} bytes are kept: run the command again." if part.exists() else "Try again later."
    return DataError(f"{file.name} cannot be fetched from {file.url} ({reason(error)}). {kept}")


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _fetch(file: RemoteFile, part: Path, tell: Callable[[int], None]) -> None:
    """Write the rest of a file to its part. Raises: Unavailable where it is not whole, and what the network raises."""
    there = _size(part)
    if there == file.size and part.exists():
        return
    tag = _tag_of(_note(part)) if 0 < there < file.size else None
    with _open(file, part, there, tag) as (read, done, tag):
        write_text(_note(part), json.dumps({"tag": tag, "url": file.url}))
        with part.open("ab" if done else "wb") as out:
            tell(done)
            while chunk := read(min(_CHUNK_BYTES, file.size - done + 1)):
                done += len(chunk)
                if done > file.size:
                    break
                out.write(chunk)
                tell(done)
    if done > file.size:
        _drop(part)
        raise Unavailable(f"it gave more than the {file.size:,} bytes that the archive says")
    if done < file.size:
        raise Unavailable(f"it broke off after {done:,} of {file.size:,} bytes")


@contextlib.contextmanager
def _open(
    file: RemoteFile, part: Path, there: int, tag: str | None
) -> Iterator[tuple[Callable[[int], bytes], int, str | None]]:
    """Yield how to read on, from which byte, and the tag of the version; with a known tag, from where it broke off."""
    if "://" not in file.url:
        try:
            stream: Any = Path(file.url).open("rb")
        except OSError as error:
            raise Unavailable(reason(error), lasting=True) from error
        with stream:
            yield _reader(stream), 0, None
        return
    headers = {"Range": f"bytes={there}-", "If-Range": tag} if tag else {}
    try:
        answer = open_network(file.url, headers=headers)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            _drop(part)
        raise
    except OSError as error:
        raise Unavailable(reason(error)) from error
    with answer:
        resumed = bool(headers) and answer.status == 206
        if resumed and answer.headers.get("Content-Range") != f"bytes {there}-{file.size - 1}/{file.size}":
            _drop(part)
            raise Unavailable(f"it answered {answer.headers.get('Content-Range')!r} when asked for the rest")
        if answer.status != 200 and not resumed:
            raise Unavailable(f"HTTP {answer.status}")
        new = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        yield _reader(answer), there if resumed else 0, new or (tag if resumed else None)


def _reader(stream: Any) -> Callable[[int], bytes]:
    """Reading alone: what fails then is the source's fault, not the disk's that is written to."""

    def read(count: int) -> bytes:
        try:
            found = stream.read(count)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(reason(error)) from error
        return bytes(found)

    return read


def _tag_of(note: Path) -> str | None:
    """What tells the version of the file that the part is of; weak tags cannot."""
    try:
        tag = json.loads(note.read_text(encoding="utf-8"))["tag"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return tag if isinstance(tag, str) and tag and not tag.startswith("W/") else None
