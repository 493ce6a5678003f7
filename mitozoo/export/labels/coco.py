"""COCO's json: `bbox` is x,y,w,h, with `area` and `iscrowd`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mitozoo.data.dataset import Dataset
from mitozoo.data.formats.midog import SIZES
from mitozoo.export.labels.boxes import write_boxes
from mitozoo.export.labels.entries import Entry


def write(out: Path, dataset: Dataset, entries: Sequence[Entry], *, overwrite: bool = False) -> list[str]:
    """Write one json. Returns: what it does not carry. Raises: OutputError where it cannot be written."""
    return write_boxes(out, dataset, entries, SIZES)
