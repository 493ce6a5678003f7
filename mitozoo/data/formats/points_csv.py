"""One table of points, as `mitozoo data convert --to csv` writes it and as anyone can make it.

Layout: a CSV (any name) with a heading and the columns `image,x_px,y_px,label`, one row a cell; images beside it, in
`images/`, or where `image` leads from the table's folder. The path is the CSV, or a folder with one such CSV.
More columns, all optional, say something of the image and may be given once: `case`, `um_per_px`, `domain`,
`labelled` and `complete` (yes or no), `excluded` (circles `x y radius | x y radius`, pixels), `width_px`, `height_px`.
Case: the column, else the image.
Traps: a row with empty x_px, y_px and label says that the image was looked at and holds nothing (or, with `labelled`
no, that nobody looked); an image without a row is not part of the set, which is said of images beside the table. A
column `score` makes it a table of detections, not of labels.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import Cell
from mitozoo.data.dataset import Dataset
from mitozoo.data.formats._own_key import Stated, find_image, plausible, stated_field
from mitozoo.data.labels import class_of, header_of, number, own_name, read_text, say_missing, table_rows
from mitozoo.data.listing import DERIVED, IMAGE_SUFFIXES

TITLE = "one table of points (a CSV with image,x_px,y_px,label)"
#: The columns in the order in which they are written; the first four must be there.
COLUMNS = (
    "image", "x_px", "y_px", "label", "case", "um_per_px", "domain", "labelled", "complete", "excluded", "width_px",
    "height_px",
)  # fmt: skip
#: Between two excluded circles.
CIRCLE_SIGN = "|"
_NEEDED = COLUMNS[:4]
_OF_THE_IMAGE = COLUMNS[4:]
_YES_NO = dict.fromkeys(("yes", "true", "1"), True) | dict.fromkeys(("no", "false", "0"), False)


@dataclass
class _Entry:
    """The rows of one image: cells, and what is said of it, each with its line."""

    cells: list[Cell] = field(default_factory=list)
    said: dict[str, tuple[int, str]] = field(default_factory=dict)
    first_cell: int = 0
    empty_row: int = 0


def recognises(path: Path) -> bool:
    """Whether `path` is such a CSV, or a folder with one."""
    return any(map(_is_table, _csvs(path)))


def read(path: Path) -> Dataset:
    """Read the table; images that do not exist are listed.

    Raises: LabelError for a malformed or contradictory row, a column that is missing or there twice, a point outside
        its image, or a table of detections.
    """
    table = _the_table(path)
    notes: list[str] = []
    fields = tuple(
        stated_field(
            find_image(table.parent, name), entry.cells, _stated(table, name, entry), default_case=name, notes=notes
        )
        for name, entry in _entries(table).items()
    )
    say_missing(sum(not item.path.is_file() for item in fields), len(fields), notes)
    unlabelled = sum(not item.labelled for item in fields)
    if unlabelled:
        notes.append(f"{unlabelled} images are unlabelled, as the table says: not counted as negative.")
    _say_left_out(table, {item.path for item in fields}, notes)
    return Dataset(name=table.stem, fields=fields, source=str(table), notes=tuple(notes))


def stated_sizes(path: Path) -> dict[Path, tuple[int, int]]:
    """Width and height in pixels that the table states, by image path."""
    table = _the_table(path)
    stated = {name: _stated(table, name, entry) for name, entry in _entries(table).items()}
    return {find_image(table.parent, name): item.size_px for name, item in stated.items() if item.size_px}


def _csvs(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".csv" else []
    return sorted(file for file in path.glob("*.csv") if not file.name.startswith("."))


def _is_table(file: Path) -> bool:
    names = header_of(file)
    return names >= set(_NEEDED) and "score" not in names


def _the_table(path: Path) -> Path:
    if path.is_file():
        return path
    found = [file for file in _csvs(path) if _is_table(file)]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise LabelError(f"{path} should hold one CSV with {','.join(_NEEDED)}, but there are: {names}. Give the file.")
    return found[0]


def _checked_rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a table whose columns and rows are as long as its heading and named once."""
    text = read_text(table)
    first = next(iter(text.splitlines()), "")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=first.count))
    names = [name.strip().lower() for name in next(reader, [])]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise LabelError(f"{table} has the column {twice[0]} twice. Remove or rename one of the two.")
    if "score" in names:
        raise LabelError(
            f"{table} holds detections with a score, not labels. Check every row, then remove the column score."
        )
    for row in reader:
        if any(cell.strip() for cell in row[len(names) :]):
            raise LabelError(
                f"{table} line {reader.line_num} has {len(row)} values, not {len(names)}. Where a comma is the decimal "
                "sign, separate the columns by semicolons."
            )
    yield from table_rows(table, _NEEDED)


def _entries(table: Path) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for line, row in _checked_rows(table):
        where = f"{table} line {line}"
        if not row["image"]:
            raise LabelError(f"{where} names no image. Fill the column image.")
        entry = entries.setdefault(row["image"], _Entry())
        if row["x_px"] or row["y_px"] or row["label"]:
            if not (row["x_px"] and row["y_px"] and row["label"]):
                raise LabelError(f"{where}: a cell needs x_px, y_px and label; leave all three empty for none.")
            label = class_of(row["label"]) or own_name(row["label"])
            if not label:
                raise LabelError(
                    f"{where}: {row['label']!r} is no name of a class. Write mitotic figure, hard negative …"
                )
            entry.cells.append(Cell(number(row["x_px"], where), number(row["y_px"], where), label))
            entry.first_cell = entry.first_cell or line
        else:
            entry.empty_row = line
        if entry.empty_row and entry.first_cell:
            raise LabelError(
                f"{table}: {row['image']} holds nothing in line {entry.empty_row}, but a cell in line "
                f"{entry.first_cell}. Remove one of the two."
            )
        for name in _OF_THE_IMAGE:
            value = row.get(name, "")
            before, known = entry.said.setdefault(name, (line, value)) if value else (line, value)
            if value != known:
                raise LabelError(
                    f"{where}: {name} of {row['image']} is {value!r}, but {known!r} in line {before}. Correct one."
                )
    return entries


def _stated(table: Path, name: str, entry: _Entry) -> Stated:
    def text(column: str) -> str:
        return entry.said.get(column, (0, ""))[1]

    def where(column: str) -> str:
        return f"{table} line {entry.said[column][0]}"

    def yes_no(column: str) -> bool | None:
        value = text(column).lower()
        if value and value not in _YES_NO:
            raise LabelError(f"{where(column)}: {column} is {text(column)!r}. Write yes or no.")
        return _YES_NO.get(value)

    def side(column: str) -> int | None:
        value = number(text(column), where(column)) if text(column) else None
        if value is not None and (value <= 0 or value != int(value)):
            raise LabelError(f"{where(column)}: {column} is {text(column)!r}, not a number of pixels. Correct it.")
        return None if value is None else int(value)

    width, height = side("width_px"), side("height_px")
    spacing = text("um_per_px")
    return Stated(
        case=text("case"),
        um_per_px=plausible(number(spacing, where("um_per_px")), where("um_per_px")) if spacing else None,
        domain=text("domain"),
        complete=yes_no("complete"),
        labelled=yes_no("labelled"),
        excluded=_circles(text("excluded"), where("excluded")) if text("excluded") else (),
        size_px=(width, height) if width and height else None,
    )


def _circles(text: str, where: str) -> tuple[tuple[float, float, float], ...]:
    circles = []
    for part in text.split(CIRCLE_SIGN):
        values = [number(value, where) for value in part.split()]
        if len(values) != 3 or values[2] < 0:
            raise LabelError(f"{where}: excluded has {part.strip()!r}. Write circles as x y radius | x y radius.")
        circles.append((values[0], values[1], values[2]))
    return tuple(circles)


def _is_drawn(file: Path) -> bool:
    return Path(file.stem).suffix.lower() in DERIVED


def _say_left_out(table: Path, used: set[Path], notes: list[str]) -> None:
    places = [folder for folder in (table.parent, table.parent / "images") if folder.is_dir()]
    images = [file for folder in places for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
    left = sum(file not in used and not file.name.startswith(".") and not _is_drawn(file) for file in images)
    if left:
        notes.append(
            f"{left} images beside the table have no row and were left out. One that was looked at and holds nothing "
            "needs a row with its name and nothing else."
        )
