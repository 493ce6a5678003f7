"""What the readers of label files share: class names, CSV with all its dialects, checks of points, names of cases."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.images import image_header

_MITOTIC = (
    "mitosis mitoses mitotic mitotic_figure mitotic_figures mitotic_cell mitotic_cells mf positive positives pos "
    "typical normal normal_mitosis normal_mitotic_figure nmf"
)
_ATYPICAL = "atypical atypical_mitosis atypical_mitotic_figure atypical_mitotic_figures amf"
_NON_MITOTIC = (
    "not_mitosis non_mitosis nonmitosis no_mitosis not_mitotic non_mitotic nonmitotic non_mitoses not_mitotic_figure "
    "non_mitotic_figure nonmitotic_figure non_mitotic_figures hard_negative hard_negatives negative negatives neg "
    "hard_negative_imposter imposter imposters impostor impostors look_alike look_alikes lookalike mitosis_like "
    "mitotic_like mitotic_like_figure mitotic_figure_look_alike mitotic_figure_like nonmitotic_cell non_mitotic_cell"
)
_CLASS_OF = (
    dict.fromkeys(_MITOTIC.split(), MITOTIC_FIGURE)
    | dict.fromkeys(_ATYPICAL.split(), ATYPICAL)
    | dict.fromkeys(_NON_MITOTIC.split(), NON_MITOTIC)
)


def class_of(name: str) -> str | None:
    """Return which of `CLASSES` a usual name stands for, or None; case, space and hyphen do not matter."""
    return _CLASS_OF.get(own_name(name))


def own_name(name: str) -> str:
    """Return a data set's own class name in lower case with `_` for other signs."""
    return re.sub(r"[^0-9a-z]+", "_", name.strip().lower()).strip("_")


def read_text(path: Path) -> str:
    """Read a text file in UTF-8 or UTF-16, with or without byte-order mark. Raises: LabelError if it cannot be."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LabelError(f"{path} cannot be read: {error.strerror or error}.") from error
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise LabelError(f"{path} is not UTF-8 text. Save it as CSV in UTF-8.") from None
    if "\0" in text:
        raise LabelError(f"{path} is not text: it holds zero bytes. Save it as CSV in UTF-8.")
    return text


def number(text: str, where: str) -> float:
    """Parse a number, with point or comma as decimal sign. Raises: LabelError beginning with `where`."""
    try:
        value = float(text.strip().strip('"').replace(",", "."))
    except ValueError:
        raise LabelError(f"{where}: {text.strip()!r} is not a number. Correct the line.") from None
    if not math.isfinite(value):
        raise LabelError(f"{where}: {text.strip()} is not a finite number. Correct the line.")
    return value


def number_rows(path: Path) -> list[tuple[int, list[float]]]:
    """Read a CSV of nothing but numbers as (line, numbers), empty lines and a heading left out.

    Separators are commas, or semicolons or tabs (then a comma is a decimal sign). A file without lines gives [].
    Raises: LabelError naming file and line.
    """
    rows: list[tuple[int, list[float]]] = []
    for line, text in enumerate(read_text(path).splitlines(), start=1):
        separator = next((sign for sign in ";\t" if sign in text), ",")
        parts = [part.strip() for part in text.split(separator)]
        while parts and not parts[-1]:
            parts.pop()
        if not parts or (not rows and line == 1 and re.match(r'"?[A-Za-z]', parts[0]) and parts[0].lower() != "nan"):
            continue
        rows.append((line, [number(part, f"{path} line {line}") for part in parts]))
    return rows


def header_of(path: Path) -> set[str]:
    """Return the column names of a CSV; empty where there is none or it is not text."""
    try:
        first = next(iter(read_text(path).splitlines()), "") if path.is_file() else ""
    except LabelError:
        return set()
    return set(_names(first, _separator(first)))


def table_rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, row by column name) of a CSV with a heading; rows that are empty are left out.

    Raises: LabelError if one of `columns` or a value is missing.
    """
    text = read_text(path)
    first = next(iter(text.splitlines()), "")
    separator = _separator(first)
    names = _names(first, separator)
    missing = [name for name in columns if name not in names]
    if missing:
        raise LabelError(f"{path} has no column {', '.join(missing)}. Its first line must be {','.join(columns)}.")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    next(reader)
    for row in reader:
        if not any(cell.strip() for cell in row):
            continue
        if len(row) < len(names):
            raise LabelError(
                f"{path} line {reader.line_num} has {len(row)} values, not {len(names)}. Correct the line."
            )
        yield reader.line_num, {name: cell.strip() for name, cell in zip(names, row, strict=False)}


def _separator(first_line: str) -> str:
    return max(",;\t", key=first_line.count)


def _names(first_line: str, separator: str) -> list[str]:
    return [name.strip().strip('"').lower() for name in first_line.split(separator)]


def size_of(image: Path) -> tuple[int, int] | None:
    """Return width and height in pixels of an image file, or None if it does not exist. Raises: InputError."""
    if not image.is_file():
        return None
    header = image_header(image)
    return header.width, header.height


def checked_cells(
    image: Path, cells: Iterable[Cell], size: tuple[int, int] | None, notes: list[str]
) -> tuple[Cell, ...]:
    """Return the cells of one image, each once.

    Args: size, width and height in pixels, or None where unknown; notes, to which a sentence is added for doubles.
    Raises: LabelError for a point outside the image, or one that carries two labels.
    """
    labels: dict[tuple[float, float], str] = {}
    kept: list[Cell] = []
    doubles = 0
    for cell in cells:
        point = (cell.x_px, cell.y_px)
        if size is not None and not is_inside(*point, size):
            raise LabelError(
                f"{image}: the {cell.label} at x {cell.x_px:g}, y {cell.y_px:g} lies outside the image "
                f"({size[0]} x {size[1]} px). Correct the label file, or check that it belongs to this image."
            )
        if labels.setdefault(point, cell.label) != cell.label:
            raise LabelError(
                f"{image}: the point x {cell.x_px:g}, y {cell.y_px:g} is labelled {labels[point]} and {cell.label}. "
                "Remove one of the two."
            )
        doubles += len(kept) == len(labels)
        if len(kept) < len(labels):
            kept.append(cell)
    if doubles:
        notes.append(
            f"{image.name}: {doubles} {'point was' if doubles == 1 else 'points were'} listed twice, kept once."
        )
    return tuple(kept)


def is_inside(x_px: float, y_px: float, size: tuple[int, int]) -> bool:
    """Whether a point lies on a pixel of an image of that width and height; a pixel reaches half a pixel each way."""
    return -0.5 <= x_px < size[0] and -0.5 <= y_px < size[1]


def mitos_slide(name: str) -> tuple[str, str] | None:
    """Return slide and scanner of a MITOS file name (`A03_00Aa` -> "03", "A"), or None if it is no such name.

    The scanners A (Aperio), H (Hamamatsu) and M (multispectral) show the same slides, so a case is the slide alone.
    """
    match = re.match(r"([AHM])(\d\d)_\d\d", name)
    return (match[2], match[1]) if match else None


def say_missing(fields_missing: int, total: int, notes: list[str]) -> None:
    """Add a sentence where image files do not exist, so that labels can be read without them."""
    if fields_missing:
        notes.append(f"{fields_missing} of {total} images are not there: only their labels were read.")
