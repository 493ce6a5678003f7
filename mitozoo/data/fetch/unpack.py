"""Unpacking zip and tar archives that nobody vouches for: no way out of the folder, no links, no more than fits."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from mitozoo.base.errors import DataError, OutputError
from mitozoo.base.files import inside, safe_name

_TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
#: Room beyond the unpacked files that must be free, and the most files that an archive may hold.
_SPARE, _MOST_FILES = 1.05, 1_000_000
_CHUNK_BYTES = 1 << 20
_DAMAGED = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)


def is_archive(name: str) -> bool:
    """Whether a file's name is that of a zip or tar archive."""
    return name.lower().endswith((".zip", *_TAR))


def folder_of(path: Path) -> Path:
    """Where an archive is unpacked: beside it, under its name without the ending."""
    ending = next(end for end in sorted((".zip", *_TAR), key=len, reverse=True) if path.name.lower().endswith(end))
    return path.with_name(path.name[: -len(ending)] or "_")


def unpack(path: Path) -> Path | None:
    """Unpack an archive into a folder beside it, whole or not at all.

    Returns: the folder, or None where it is there already. Raises: DataError for an archive that is damaged or would
    write outside its folder; OutputError where what it declares does not fit on the disk, or it cannot be written.
    """
    target = folder_of(path)
    if target.exists():
        return None
    work = Path(tempfile.mkdtemp(prefix=".part-", dir=path.parent))
    try:
        _check(path, shutil.disk_usage(path.parent).free)
        for name, size, stream in _members(path):
            _write(inside(work, name), size, stream, f"{path.name}: {name}")
        work.chmod(0o755)
        os.replace(work, target)
    except _DAMAGED as error:
        raise DataError(f"{path} cannot be unpacked: {error}. Remove it and fetch it again.") from error
    except OSError as error:
        if error.errno is None:  # what gzip and bz2 say of damaged data
            raise DataError(f"{path} cannot be unpacked: {error}. Remove it and fetch it again.") from error
        raise OutputError(f"Cannot unpack {path}: {error.strerror or error}. Make room and run again.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _check(path: Path, free_bytes: int) -> None:
    """Look at every entry before anything is written. Raises: DataError, OutputError."""
    total, names = 0, set()
    for name, size, _ in _members(path):
        if safe_name(name) != name:
            raise DataError(f"{path} holds {name!r}, which leads out of its folder. It is not unpacked.")
        if name.casefold() in names:
            raise DataError(f"{path} holds {name!r} twice. It is not unpacked.")
        names.add(name.casefold())
        total += size
        if total * _SPARE > free_bytes:
            raise OutputError(
                f"{path} unpacks to {total / 1e9:.2f} GB or more, and {free_bytes / 1e9:.2f} GB are free. Make room."
            )
        if len(names) > _MOST_FILES:
            raise DataError(f"{path} holds more than {_MOST_FILES:,} files. It is not unpacked.")


def _members(path: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Yield name, declared size and content of every file. Raises: DataError for links, devices and encrypted files."""
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for item in archive.infolist():
                mode = item.external_attr >> 16
                if item.flag_bits & 1 or (stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))):
                    raise _refused(path, item.filename)
                if not item.is_dir():
                    # `orig_filename` is what the archive says, before Python made it harmless.
                    with archive.open(item) as stream:
                        yield item.orig_filename, item.file_size, stream
        return
    with tarfile.open(path) as tar:
        for entry in tar:
            if entry.isdir():
                continue
            content = tar.extractfile(entry) if entry.isreg() else None
            if content is None:
                raise _refused(path, entry.name)
            yield entry.name.removeprefix("./"), entry.size, content


def _refused(path: Path, name: str) -> DataError:
    return DataError(f"{path} holds {name!r}, which is a link, a device or encrypted. It is not unpacked.")


def _write(target: Path, size: int, stream: IO[bytes], where: str) -> None:
    """Write one file. Raises: DataError where it is not as long as declared."""
    target.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with target.open("xb") as out:
        while chunk := stream.read(min(_CHUNK_BYTES, size - done + 1)):
            done += len(chunk)
            if done > size:
                break
            out.write(chunk)
    if done != size:
        raise DataError(f"{where} is not as long as declared ({size:,} bytes). It is not unpacked.")
