"""Fetch weights into the user's cache, SHA-256 checked and whole or not at all, from a mirror, https or files."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit

from mitozoo.base.errors import OutputError, WeightsError
from mitozoo.base.files import whole_file
from mitozoo.base.network import TIMEOUT_S, Unavailable, byte_bar, open_network, reason, url_problem
from mitozoo.models.zoo_manifest import WeightsFile

CACHE_VARIABLE = "MITOZOO_CACHE"
MIRROR_VARIABLE = "MITOZOO_MIRROR"
_CHUNK_BYTES = 1 << 18
#: What a killed download left is removed after this time, when no other process can still be writing it.
_STALE_S = 24 * 3600.0


def cache_folder() -> Path:
    """Return where fetched weights are kept: `$MITOZOO_CACHE`, or mitozoo's folder in the platform's cache."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return base / "mitozoo"


def cached_path(name: str, weights: WeightsFile) -> Path:
    """Return where the weights of entry `name` lie once fetched; another version has another folder."""
    return cache_folder() / name / weights.sha256[:12] / weights.file


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal. Raises: WeightsError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise WeightsError(
            f"Cannot read the weights {path}: {error.strerror}. Give a file that can be read."
        ) from error


def sources(name: str, weights: WeightsFile, zoo: Path) -> list[str]:
    """Return the URLs and paths to try in order: the mirror, then the manifest's own.

    Raises: WeightsError for a mirror that is not https, a file URL or a folder.
    """
    found = []
    if mirror := os.environ.get(MIRROR_VARIABLE):
        if "://" in mirror:
            if problem := url_problem(mirror):
                raise WeightsError(
                    f"The mirror in {MIRROR_VARIABLE} {problem}. Give an https:// or file:// URL or a folder."
                )
            found.append(f"{mirror.rstrip('/')}/{quote(name)}/{quote(weights.file)}")
        else:
            found.append(str(Path(mirror).expanduser().absolute() / name / weights.file))
    for url in weights.urls:
        found.append(url if urlsplit(url).scheme else str(zoo / url))
    return found


@contextlib.contextmanager
def _reader(source: str, wanted_bytes: int) -> Iterator[Callable[[], bytes]]:
    """Yield a function that reads the next chunk of a source. Raises: Unavailable, also while reading."""
    stream: IO[bytes] | None = None
    try:
        if source.startswith(("https://", "http://")):
            stream = open_network(source, timeout_s=TIMEOUT_S)
            offered = stream.headers.get("Content-Length")  # type: ignore[attr-defined]
        else:
            parts = urlsplit(source)
            path = Path(urllib.request.url2pathname(parts.path) if parts.scheme == "file" else source)
            stream = path.open("rb")
            offered = str(os.fstat(stream.fileno()).st_size)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(reason(error, TIMEOUT_S)) from error
    with stream:
        if offered is not None and offered != str(wanted_bytes):
            raise Unavailable(f"it offers {offered} bytes, the manifest says {wanted_bytes}")

        def read() -> bytes:
            try:
                return stream.read(_CHUNK_BYTES)
            except (OSError, http.client.HTTPException) as error:
                raise Unavailable(reason(error, TIMEOUT_S)) from error

        yield read


def _copy(source: str, target: Path, name: str, weights: WeightsFile) -> None:
    digest, count = hashlib.sha256(), 0
    bar = byte_bar(f"Fetching {name}", weights.bytes)
    with _reader(source, weights.bytes) as read, bar as tell, target.open("wb") as out:
        while chunk := read():
            count += len(chunk)
            if count > weights.bytes:
                raise Unavailable(f"it gave more than the {weights.bytes} bytes that the manifest says")
            digest.update(chunk)
            out.write(chunk)
            tell(count)
    if count != weights.bytes:
        raise Unavailable(f"it broke off after {count} of {weights.bytes} bytes")
    if digest.hexdigest() != weights.sha256:
        raise Unavailable(f"its SHA-256 is {digest.hexdigest()[:12]}…, the manifest says {weights.sha256[:12]}…")


def is_cached(name: str, weights: WeightsFile) -> bool:
    """Whether whole weights of entry `name` lie in the cache; reads all of the file."""
    path = cached_path(name, weights)
    try:
        return path.is_file() and path.stat().st_size == weights.bytes and sha256_of(path) == weights.sha256
    except (OSError, WeightsError):
        return False


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for part in folder.glob(".part-*"):
            with contextlib.suppress(OSError):
                if time.time() - part.stat().st_mtime > _STALE_S:
                    part.unlink()
    except OSError as error:
        raise _no_cache(folder, error) from error


def _no_cache(folder: Path, error: BaseException) -> WeightsError:
    why = getattr(error, "strerror", None) or error
    return WeightsError(f"Cannot write into the cache {folder}: {why}. Set {CACHE_VARIABLE} to a folder with room.")


def fetch(name: str, weights: WeightsFile, zoo: Path) -> Path:
    """Return the cached weights of entry `name`, fetched first where they are missing or damaged.

    Two processes may fetch at once: each writes its own temporary file and the last one to finish names it.
    Args: name; weights, from the manifest; zoo, the folder that relative URLs start from.
    Raises: WeightsError that lists what was tried, or says why the cache cannot be written.
    """
    target = cached_path(name, weights)
    if is_cached(name, weights):
        return target
    tried = [f"{target} (damaged or half-written)" if target.exists() else f"{target} (not there)"]
    places = sources(name, weights, zoo)
    if places:
        _prepare(target.parent)
    for source in places:
        try:
            with whole_file(target) as part:
                _copy(source, part, name, weights)
            return target
        except Unavailable as problem:
            tried.append(f"{source} ({problem})")
        except OutputError as error:
            # Windows refuses to replace a file that another process reads: that one is as good as ours.
            if is_cached(name, weights):
                return target
            raise _no_cache(target.parent, error.__cause__ or error) from error
    raise WeightsError(
        f"Cannot get the weights of {name!r} ({weights.bytes / 1e6:.1f} MB). Tried: {'; '.join(tried)}. "
        f"Go online and run 'mitozoo zoo fetch {name}', set {MIRROR_VARIABLE} to a folder or URL that has "
        f"{name}/{weights.file}, or copy that file to {target}."
    )
