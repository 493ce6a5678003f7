"""What a pathologist corrected in the files of a review, as labels to train and measure on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import DataError, LabelError, OutputError
from mitozoo.base.points import CLASSES, MITOTIC_CLASSES, NON_MITOTIC, Cell
from mitozoo.base.units import UM_PER_PX_40X, um_to_px
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.formats import geojson_points
from mitozoo.data.labels import checked_cells, read_text, size_of
from mitozoo.data.listing import list_images
from mitozoo.export.labels import midog, points_csv
from mitozoo.export.labels.entries import entries_of
from mitozoo.export.review import RECORD, UNSURE

#: Marks nearer than this are of one cell, as when detections are measured.
SAME_CELL_UM = 7.5
_WRITERS = {".json": midog, ".csv": points_csv}
_NAMED = 5


@dataclass(frozen=True)
class Changes:
    """What became of the cells of one image, or of all.

    Attributes: of the detections, confirmed, reclassified (the other kind of mitotic figure) and removed (deleted, or
    made look-alikes); of the doubtful cells, doubtful_mitotic and doubtful_not; added, mitotic figures that were
    missed; unsure, cells that are still to be looked at again; others, objects of other classes, left out.
    """

    confirmed: int = 0
    reclassified: int = 0
    removed: int = 0
    added: int = 0
    doubtful_mitotic: int = 0
    doubtful_not: int = 0
    unsure: int = 0
    others: int = 0

    def __add__(self, other: Changes) -> Changes:
        """Counts of both."""
        return Changes(*(getattr(self, item.name) + getattr(other, item.name) for item in fields(self)))


@dataclass(frozen=True)
class Corrections:
    """Corrected labels.

    Attributes: dataset, with the images that nobody has looked at as unlabelled; changes by image, of those looked at;
    untouched, names of images whose file is as it was written; without_file, names of those whose file is gone.
    """

    dataset: Dataset
    changes: Mapping[str, Changes]
    untouched: tuple[str, ...]
    without_file: tuple[str, ...]

    @property
    def total(self) -> Changes:
        """Counts of all images."""
        return sum(self.changes.values(), Changes())


@dataclass(frozen=True)
class _Image:
    """One image of the record: name, its file, digest of the file as written, size and spacing, cells as written."""

    name: str
    file: Path
    sha256: str
    size_px: tuple[int, int]
    um_per_px: float | None
    assumed: bool
    cells: tuple[Cell, ...]

    @property
    def radius_px(self) -> float:
        return um_to_px(SAME_CELL_UM, self.um_per_px or UM_PER_PX_40X)


def read_corrections(
    review: str | Path,
    images: Sequence[str | Path],
    *,
    drop_unsure: bool = False,
    accept_untouched: bool = False,
    marked_only: bool = False,
) -> Corrections:
    """Read the corrected files of a review.

    What was removed becomes a look-alike, unless another mark is on the same cell.

    Args: review, folder of `write_review`; images, files and folders; drop_unsure, leave out cells that are still to
        be looked at again (their places are excluded: neither mitotic figure nor background) instead of refusing them;
        accept_untouched, take files that are as they were written as looked at; marked_only, nobody looked for missed
        mitotic figures, so that the fields are not complete.
    Raises: DataError where `review` is none, an image is missing or has changed its size, or nobody has looked at
        anything; LabelError for a damaged file, an object without a class, and cells still to be looked at again.
    """
    review = Path(review)
    about, listed = _record(review)
    paths = dict(list_images([Path(path) for path in images]))
    _refuse_strangers(review, [item.file for item in listed])
    notes: list[str] = []
    found: list[Field] = []
    changes: dict[str, Changes] = {}
    untouched, without, unsure = [], [], {}
    for item in listed:
        path = _path_of(item, paths)
        spacing = None if item.assumed else item.um_per_px
        if not item.file.is_file():
            without.append(item.name)
        elif hashlib.sha256(item.file.read_bytes()).hexdigest() == item.sha256 and not accept_untouched:
            untouched.append(item.name)
        else:
            cells = _corrected(item, path, notes)
            kept, open_cells, changes[item.name] = compare(item.cells, cells, item.radius_px)
            if open_cells:
                unsure[item.name] = open_cells
            excluded = tuple((cell.x_px, cell.y_px, item.radius_px) for cell in open_cells)
            complete = not marked_only
            found.append(Field(path, item.name, kept, spacing, complete=complete, excluded=excluded))
            continue
        found.append(Field(path, item.name, um_per_px=spacing, complete=False, labelled=False))
    if unsure and not drop_unsure:
        raise _still_unsure(unsure)
    if not changes:
        raise DataError(
            f"No file of {review} was saved again, so nobody has looked at anything. Correct the files in QuPath "
            "(README.txt says how), or add --accept-untouched if they were looked at and are right as they are."
        )
    source = f"Detections of {about.get('model', 'a model')}, corrected" if about else ""
    dataset = Dataset(review.resolve().name, tuple(found), source=source, notes=tuple(notes))
    return Corrections(dataset, changes, tuple(untouched), tuple(without))


def compare(
    written: Sequence[Cell], cells: Sequence[Cell], radius_px: float
) -> tuple[tuple[Cell, ...], list[Cell], Changes]:
    """Compare the cells of an image with those that were written for it.

    Args: written, with labels of `MITOTIC_CLASSES` or `UNSURE`; cells, as they are now; radius_px within which two
        marks are of one cell.
    Returns: the labels; the cells that are still to be looked at again; what changed.
    """
    pairs = _nearest_pairs(written, cells, radius_px)
    count: Counter[str] = Counter()
    gone: list[Cell] = []
    for index, old in enumerate(written):
        now = cells[pairs[index]].label if index in pairs else None
        if now is not None and now.startswith(UNSURE):
            continue
        was_doubtful = old.label == UNSURE
        if now in MITOTIC_CLASSES:
            count["doubtful_mitotic" if was_doubtful else "confirmed" if now == old.label else "reclassified"] += 1
            continue
        count["doubtful_not" if was_doubtful else "removed"] += 1
        # One that was made a look-alike is among the cells, at the place where it is marked now.
        if now != NON_MITOTIC:
            gone.append(old)
    open_cells = [cell for cell in cells if cell.label.startswith(UNSURE)]
    kept = [cell for cell in cells if cell.label in CLASSES]
    new = [cells[index] for index in set(range(len(cells))) - set(pairs.values())]
    count["added"] = sum(cell.label in MITOTIC_CLASSES for cell in new)
    count["others"] = sum(cell.label not in CLASSES and not cell.label.startswith(UNSURE) for cell in new)
    count["unsure"] = len(open_cells)
    # Of two marks on one cell, deleting one says nothing against the cell.
    marked = [*kept, *open_cells]
    gone = [cell for cell in gone if not (_distances([cell], marked) <= radius_px).any()]
    look_alikes = [Cell(cell.x_px, cell.y_px, NON_MITOTIC) for cell in gone]
    return (*kept, *look_alikes), open_cells, Changes(**count)


def _distances(some: Sequence[Cell], others: Sequence[Cell]) -> np.ndarray:
    a, b = (np.array([(c.x_px, c.y_px) for c in cells], dtype=np.float64).reshape(-1, 2) for cells in (some, others))
    return np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])


def _nearest_pairs(written: Sequence[Cell], cells: Sequence[Cell], radius_px: float) -> dict[int, int]:
    """One-to-one pairs of indices, the nearest first: what was not moved stays with its own mark."""
    apart = _distances(written, cells)
    rows, columns = np.nonzero(apart <= radius_px)
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for k in np.argsort(apart[rows, columns], kind="stable"):
        row, column = int(rows[k]), int(columns[k])
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return pairs


def _record(review: Path) -> tuple[Mapping[str, Any], list[_Image]]:
    file = review / RECORD
    if not file.is_file():
        raise DataError(f"{review} has no {RECORD}. Give a folder that 'mitozoo review' wrote.")
    try:
        content = json.loads(read_text(file))
        listed = [
            _Image(
                name=item["image"],
                file=review / item["file"],
                sha256=item["sha256"],
                size_px=(int(item["width_px"]), int(item["height_px"])),
                um_per_px=item["um_per_px"],
                assumed=bool(item["spacing_assumed"]),
                cells=tuple(Cell(float(c["x_px"]), float(c["y_px"]), str(c["label"])) for c in item["cells"]),
            )
            for item in content["images"]
        ]
        return dict(content.get("run") or {}), listed
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LabelError(f"{file} is damaged ({error!r}). Write the review again into another folder.") from error


def _refuse_strangers(review: Path, files: Sequence[Path]) -> None:
    known = {file.resolve() for file in files}
    for file in sorted(review.rglob(f"*{geojson_points.SUFFIX}")):
        if file.resolve() not in known and not file.name.startswith("."):
            raise LabelError(
                f"{file} is not a file of this review. Save it under the name of the file that it replaces, or move it "
                "elsewhere."
            )


def _path_of(item: _Image, paths: Mapping[str, Path]) -> Path:
    if item.name not in paths:
        raise DataError(f"{item.name} is not among the images. Give those of the review as --images.")
    path = paths[item.name]
    size = size_of(path)
    if size != item.size_px:
        now = "is not there" if size is None else f"has {size[0]} x {size[1]} px"
        raise DataError(
            f"{path} {now}, but its review is for {item.size_px[0]} x {item.size_px[1]} px. Give the image that was "
            "searched."
        )
    return path


def _corrected(item: _Image, path: Path, notes: list[str]) -> tuple[Cell, ...]:
    """The cells of a file as it is now, checked against the image."""
    (field,) = geojson_points.read(item.file).fields
    return checked_cells(path, field.cells, item.size_px, notes)


def _still_unsure(unsure: Mapping[str, Sequence[Cell]]) -> LabelError:
    cells = [
        f"{name} at x {cell.x_px:.0f}, y {cell.y_px:.0f}" for name, open_cells in unsure.items() for cell in open_cells
    ]
    more = f" and {len(cells) - _NAMED} more" if len(cells) > _NAMED else ""
    return LabelError(
        f"{len(cells)} {'cell is' if len(cells) == 1 else 'cells are'} still of the class Look again: "
        f"{'; '.join(cells[:_NAMED])}{more}. In QuPath, give each the class Mitotic figure, Atypical mitotic figure or "
        "Look-alike, or delete it, and export again. --drop-unsure leaves them out."
    )


def check_labels_out(out: Path, overwrite: bool) -> None:
    """Raises: OutputError for a file that is taken, or of which the ending names no format."""
    if out.suffix.lower() not in _WRITERS or out.is_dir():
        raise OutputError(f"--out is one .json or .csv file of labels, got {out}. Give for example labels.json.")
    if out.exists() and not overwrite:
        raise OutputError(f"{out} exists already. Choose another --out, or add --overwrite to replace it.")


def write_labels(dataset: Dataset, out: Path, *, overwrite: bool = False) -> None:
    """Write labels as MIDOG's json or as CSV, by the ending of `out`. Raises: LabelError, OutputError."""
    check_labels_out(out, overwrite)
    entries = entries_of(dataset, out.parent, out.parent, {})
    _WRITERS[out.suffix.lower()].write(out, dataset, entries, overwrite=overwrite)
