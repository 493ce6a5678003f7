"""Files appear under their names when they are whole, and stay inside their folder."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mitozoo.base.errors import OutputError

_PART = ".part-"


def explain(path: Path, error: OSError) -> OutputError:
    """What the command line says where a file cannot be written."""
    reason = {
        errno.ENOSPC: "the disk is full; free some space and run again",
        errno.EDQUOT: "the disk quota is used up; free some space and run again",
        errno.EFBIG: "the disk, or a limit of this account (ulimit -f), takes no file so large; choose another --out",
        errno.EROFS: "the disk is read-only; choose another --out",
        errno.EACCES: "permission denied; choose another --out",
        errno.EPERM: "permission denied; choose another --out",
        errno.ENOTDIR: "a part of its path is a file; choose another --out",
    }.get(error.errno or 0, error.strerror or str(error))
    return OutputError(f"Cannot write {path}: {reason}.")


def make_folder(path: Path) -> Path:
    """Create a folder and its parents. Raises: OutputError saying why it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"Cannot write into {path}: it is a file, not a folder. Choose another --out.") from None
    except OSError as error:
        raise explain(path, error) from error
    return path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it takes that name at once, on failure nothing is left.

    The temporary name keeps the last two suffixes, for writers that choose a format by it.
    Raises: OutputError where the disk is full, read-only or forbidden.
    """
    make_folder(path.parent)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(prefix=_PART, suffix="".join(path.suffixes[-2:]), dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("r+b") as stream:  # Windows flushes only what may be written
            os.fsync(stream.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise explain(path, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `path`; on success it takes that name at once, on failure nothing is left.

    Raises: OutputError where something is at `path` already, or the disk is full, read-only or forbidden.
    """
    make_folder(path.parent)
    temporary: Path | None = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=_PART, dir=path.parent))
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        if path.exists():
            raise OutputError(f"{path} is there already. Choose another place, or remove it.")
        os.replace(temporary, path)
    except OSError as error:
        raise explain(path, error) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_parts(folder: Path) -> None:
    """Remove what a killed process left half written in a folder and below. Nobody else may be writing there."""
    for path in folder.rglob(f"{_PART}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_bytes(content)


def safe_name(relative: str) -> str:
    """Turn an image's relative path into a relative output path that cannot leave its folder.

    Sub-folders stay; `..`, drive letters, absolute paths and characters that some file system refuses become `_`.
    """
    parts = [part for part in re.split(r"[\\/]+", relative) if part not in ("", ".")]
    clean = ["_" if part == ".." else re.sub(r'[<>:"|?*\x00-\x1f]', "_", part).rstrip(" .") or "_" for part in parts]
    return "/".join(clean) or "_"


def inside(folder: Path, relative: str) -> Path:
    """Return `folder / safe_name(relative)`. Raises: OutputError if it still leads outside (through a link)."""
    path = folder / safe_name(relative)
    if not path.resolve().is_relative_to(folder.resolve()):
        raise OutputError(f"{relative} would be written outside {folder}. Rename it and run again.")
    return path
