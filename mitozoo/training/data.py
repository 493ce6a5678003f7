"""From paths on the command line to cells to train on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.base.points import ATYPICAL, MITOTIC_CLASSES, MITOTIC_FIGURE, Cell
from mitozoo.data import formats
from mitozoo.data.cells import Cells, collect
from mitozoo.data.cells_cache import cached, fingerprint
from mitozoo.data.dataset import Dataset
from mitozoo.data.training_fields import TrainingFields, read_training_fields


def read_sets(paths: Sequence[Path], data_format: str | None = None) -> list[Dataset]:
    """Read every path as the label format that it is recognised as, or as the given one."""
    return [formats.read(path, data_format) for path in paths]


def training_cells(
    data: Sequence[Dataset],
    negatives: Sequence[Dataset],
    classes: Sequence[str],
    *,
    seed: int,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Cells:
    """Collect the cells of labelled data sets and of fields without mitotic figures; `cache`, a folder, keeps them.

    Fields of `negatives` that do hold labelled mitotic figures raise DataError: they would be learnt as non-mitotic.
    """
    _check_negatives(negatives)
    data = [in_classes(item, classes) for item in data]
    key = fingerprint(data, negatives, classes, seed) if cache else ""
    return cached(cache, key, lambda: collect(data, negatives, classes, seed=seed, progress=progress))


def training_fields(
    data: Sequence[Dataset],
    negatives: Sequence[Dataset],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingFields:
    """Read whole fields to learn from. Raises: DataError for patches, or `negatives` with labelled mitotic figures."""
    _check_negatives(negatives)
    for item in data:
        if shows_single_cells(item):
            raise DataError(
                f"{item.name} has patches of single cells, and this model learns from whole fields. Compose fields of "
                "them with 'mitozoo data compose'."
            )
    return read_training_fields(data, negatives, progress=progress)


def shows_single_cells(data: Dataset) -> bool:
    """Whether a data set shows single cells: none of its labelled fields is complete, and each has one cell."""
    labelled = [field for field in data.fields if field.labelled]
    return bool(labelled) and all(not field.complete and len(field.cells) == 1 for field in labelled)


def in_classes(data: Dataset, classes: Sequence[str]) -> Dataset:
    """The data set in the classes of a model: one that does not tell atypical mitotic figures takes them as others."""
    if ATYPICAL in classes or MITOTIC_FIGURE not in classes:
        return data

    def plain(cell: Cell) -> Cell:
        return replace(cell, label=MITOTIC_FIGURE) if cell.label == ATYPICAL else cell

    return replace(data, fields=tuple(replace(f, cells=tuple(map(plain, f.cells))) for f in data.fields))


def of_domains(sets: Sequence[Dataset], domains: Sequence[str]) -> list[Dataset]:
    """The data sets with only the fields of the named domains (scanner, tumour type, source); all where none is named.

    Raises: UnknownNameError for a domain that no field has.
    """
    if not domains:
        return list(sets)
    known = {field.domain for item in sets for field in item.fields if field.domain}
    for name in domains:
        if name not in known:
            raise UnknownNameError("domain", name, known)
    kept = [replace(item, fields=tuple(f for f in item.fields if f.domain in domains)) for item in sets]
    return [item for item in kept if item.fields]


def _check_negatives(negatives: Sequence[Dataset]) -> None:
    for item in negatives:
        wrong = next((f for f in item.fields if any(cell.label in MITOTIC_CLASSES for cell in f.cells)), None)
        if wrong is not None:
            raise DataError(f"{wrong.path} has labelled mitotic figures: give its folder with --data, not --negatives.")
