"""Which images a command line names: files and folders become a sorted list with unique names."""

from __future__ import annotations

import difflib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mitozoo.base.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
#: Files that only OpenSlide reads, whatever their size. A TIFF is a slide where it is too large to be read as an image.
SLIDE_SUFFIXES = (".svs", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".dcm")
#: All that is searched.
SEARCHED_SUFFIXES = (*IMAGE_SUFFIXES, *SLIDE_SUFFIXES)
#: What stands before the suffix of pictures that mitozoo makes of an image (`x.overlay.png`), which are none to search.
DERIVED = (".overlay", ".mask", ".heatmap")


def list_images(paths: Iterable[str | Path], *, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> list[tuple[str, Path]]:
    """List the images that files and folders give, folders with all their sub-folders.

    A file that is named itself is always listed; in folders those with one of `suffixes` (any case) are. Hidden files
    and folders are not, nor are overlays, masks and heat maps (`DERIVED`). Links to folders are followed once, so that
    a loop ends.
    Returns: (name, path) sorted by name. A name is relative to the folder given, with `/`; where two would be equal
        (also when only upper and lower case differ), as many of the folders above are put before it as it takes.
    Raises: InputError for a path that does not exist or may not be read, and for a folder without an image.
    """
    found: dict[Path, str] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = list(_walk(path, suffixes))
            if not files:
                looked_for = ", ".join(suffixes)
                raise InputError(f"No image in {path} (looked for {looked_for}). Give another folder or an image file.")
        elif os.path.lexists(path):
            files = [(path.name, path)]
        else:
            raise InputError(f"No such file or folder: {path}. {nearest_sibling(path)}".rstrip())
        for name, file in files:
            found.setdefault(Path(os.path.abspath(file)), name)
    return sorted(zip(_unique(found), found, strict=True))


def nearest_sibling(path: Path) -> str:
    """Return `Did you mean 'x'?` with the most alike name in the same folder, or an empty text."""
    try:
        names = sorted(os.listdir(path.parent))
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.5)
    return f"Did you mean {near[0]!r}?" if near else ""


def _walk(root: Path, suffixes: Sequence[str]) -> Iterator[tuple[str, Path]]:
    real_root = Path(os.path.realpath(root))
    seen = {real_root}
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        for entry in _entries(folder):
            path = folder / entry.name
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                real = Path(os.path.realpath(path))
                # A link into the root is reached by its own name; one that was followed before would be a loop.
                if entry.is_symlink() and (real.is_relative_to(real_root) or real in seen):
                    continue
                seen.add(real)
                waiting.append(path)
            elif path.suffix.lower() in suffixes and not _derived(path) and _file_or_broken_link(path):
                yield path.relative_to(root).as_posix(), path


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except PermissionError:
        raise InputError(
            f"{folder} may not be read: permission denied. Change its permissions or leave it out."
        ) from None
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _derived(path: Path) -> bool:
    return Path(path.stem).suffix.lower() in DERIVED


def _file_or_broken_link(path: Path) -> bool:
    """Leave out pipes and devices; a broken link stays, so that reading it says that an image is missing."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _unique(found: dict[Path, str]) -> list[str]:
    """Names made unique by the folders above the roots, then, should these run out, by a number."""
    names = list(found.values())
    paths = list(found)
    for _ in range(max((len(path.parts) for path in paths), default=0)):
        clashes = _clashes(names)
        if not clashes:
            return names
        for index in clashes:
            parts = paths[index].parts[1:]
            kept = min(names[index].count("/") + 2, len(parts))
            names[index] = "/".join(parts[-kept:])
    for number, index in enumerate(_clashes(names), start=1):
        names[index] = f"{number}/{names[index]}"
    return names


def _clashes(names: list[str]) -> list[int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name.casefold()] = counts.get(name.casefold(), 0) + 1
    return [index for index, name in enumerate(names) if counts[name.casefold()] > 1]
