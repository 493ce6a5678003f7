"""Collected cells kept on disk, so that a second run on the same data starts at once.

The cache is two files named by a hash of all that the cells depend on: canvases as `.npy`, mapped into memory and read
when needed, and the rest as `.npz`. Nothing in it is pickled.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mitozoo import __version__
from mitozoo.base.files import make_folder, whole_file
from mitozoo.data.cells import MINING, Cells
from mitozoo.data.dataset import Dataset


def fingerprint(data: Sequence[Dataset], negatives: Sequence[Dataset], classes: Sequence[str], seed: int) -> str:
    """Hash of the images' names, sizes and times, their labels, the classes, the seed and this version."""
    digest = hashlib.sha256(json.dumps([__version__, MINING, list(classes), seed]).encode())
    for role, sets in (("data", data), ("negatives", negatives)):
        digest.update(role.encode())
        for item in (field for dataset in sets for field in dataset.fields):
            state = item.path.stat()
            parts = (str(item.path.resolve()), state.st_size, state.st_mtime_ns, item.case, item.um_per_px)
            digest.update(repr((parts, item.cells, item.excluded, item.complete)).encode())
    return digest.hexdigest()[:20]


def cached(folder: Path | None, key: str, make: Callable[[], Cells]) -> Cells:
    """Return the cells stored under `key`, or make and store them.

    Args: folder of the cache, or None for no cache; key, see `fingerprint`; make, called where nothing is stored.
    Raises: OutputError where the cache cannot be written. A damaged cache is made anew.
    """
    if folder is None:
        return make()
    canvases, rest = folder / f"{key}.canvases.npy", folder / f"{key}.npz"
    if canvases.exists() and rest.exists():
        try:
            with np.load(rest, allow_pickle=False) as stored:
                labels, cases, origins = stored["labels"], stored["cases"], stored["origins"]
                classes = tuple(str(name) for name in stored["classes"])
            images = np.load(canvases, mmap_mode="r", allow_pickle=False)
            if len(images) == len(labels):
                return Cells(images, labels, cases, origins, classes)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            pass
    cells = make()
    make_folder(folder)
    with whole_file(canvases) as temporary, temporary.open("wb") as stream:
        np.save(stream, cells.canvases, allow_pickle=False)
    with whole_file(rest) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            labels=cells.labels,
            cases=cells.cases.astype("U"),
            origins=cells.origins.astype("U"),
            classes=np.array(cells.classes),
        )
    return cells
