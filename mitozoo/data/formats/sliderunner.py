"""SlideRunner databases (SQLite): TUPAC alternative labels, MITOS2014, MITOS_WSI_CCMCT, MITOS_WSI_CMC.

Layout: one `.sqlite` file with the tables `Slides`, `Annotations` (agreedClass, deleted in newer ones),
`Annotations_coordinates` and `Classes`; images beside it, in `<directory>/` as `Slides` names it, or in `images/`.
The point of an annotation is the mean of its coordinates. The file is opened read-only.
Licence, citation, split: those of the images; Aubreville et al. 2018 (SlideRunner), Bertram et al. 2019 (CCMCT),
Bertram et al. 2020 (TUPAC alternative labels), Aubreville et al. 2020 (CMC).
Case: the slide's `directory` (TUPAC), the slide of a MITOS name, else the file.
Traps: `agreedClass` 0 or empty is an open dispute, left out and said; classes that are no mitosis classes (eosinophils)
keep their own name; a slide without annotation may be one that nobody looked at: this is said.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath

from mitozoo.base.errors import LabelError
from mitozoo.base.points import Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.labels import checked_cells, class_of, mitos_slide, own_name, say_missing, size_of
from mitozoo.data.listing import IMAGE_SUFFIXES

TITLE = "a SlideRunner database (.sqlite with Slides, Annotations, Annotations_coordinates, Classes)"
#: How long to wait for another program that writes into the database.
_PATIENCE_S = 1.0
_TABLES = {"Slides", "Annotations", "Annotations_coordinates", "Classes"}
_Slide = tuple[int, str, int | None, int | None, str | None]
_POINTS = """
    SELECT a.slide, a.uid, a.agreedClass, AVG(c.coordinateX), AVG(c.coordinateY)
    FROM Annotations a JOIN Annotations_coordinates c ON c.annoId = a.uid {where}
    GROUP BY a.uid ORDER BY a.slide, a.uid
"""


def recognises(path: Path) -> bool:
    """Whether `path` is such a database."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            is_sqlite = stream.read(15) == b"SQLite format 3"
        return is_sqlite and _tables(path) >= _TABLES
    except sqlite3.Error as error:
        # What it holds cannot be seen now; `read` says what to do.
        return _is_locked(error)
    except OSError:
        return False


def _is_locked(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def read(path: Path) -> Dataset:
    """Read the database; images that do not exist are listed.

    Raises: LabelError if it is damaged or in use, or for a point outside its image.
    """
    notes: list[str] = []
    try:
        slides, cells = _query(path, notes)
    except sqlite3.Error as error:
        if _is_locked(error):
            raise LabelError(f"{path} is in use by another program. Close it there, and try again.") from error
        raise LabelError(f"{path} cannot be read as a SlideRunner database ({error}). Download it again.") from error
    fields = []
    for uid, name, width, height, directory in slides:
        image = _image(path.parent, name, directory)
        size = (width, height) if width and height else _size(image)
        fields.append(
            Field(
                path=image,
                case=_case(name, directory),
                cells=checked_cells(image, cells[uid], size, notes),
            )
        )
    say_missing(sum(not field.path.is_file() for field in fields), len(fields), notes)
    empty = sum(not field.cells for field in fields)
    if empty:
        notes.append(f"{empty} slides have no annotation: they are taken as looked at and free of mitotic figures.")
    return Dataset(name=path.stem, fields=tuple(fields), source=f"SlideRunner database {path.name}", notes=tuple(notes))


@contextlib.contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(
        sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=_PATIENCE_S)
    ) as connection:
        yield connection


def _tables(path: Path) -> set[str]:
    with _database(path) as database:
        return {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")}


def _columns(database: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


def _query(path: Path, notes: list[str]) -> tuple[list[_Slide], dict[int, list[Cell]]]:
    """Return the slides, and the cells by slide uid."""
    with _database(path) as database:
        has = _columns(database, "Slides")
        wanted = (name if name in has else "NULL" for name in ("uid", "filename", "width", "height", "directory"))
        slides = database.execute(f"SELECT {', '.join(wanted)} FROM Slides ORDER BY directory, filename").fetchall()
        names = {uid: str(name) for uid, name in database.execute("SELECT uid, name FROM Classes")}
        where = "WHERE a.deleted = 0" if "deleted" in _columns(database, "Annotations") else ""
        rows = database.execute(_POINTS.format(where=where)).fetchall()
    cells: dict[int, list[Cell]] = defaultdict(list)
    disputed = 0
    known = {uid for uid, *_ in slides}
    for slide, uid, chosen, x, y in rows:
        if slide not in known:
            raise LabelError(f"{path}: annotation {uid} is on slide {slide}, which is not in Slides. Export it again.")
        if chosen not in names:
            disputed += 1
            continue
        cells[slide].append(Cell(float(x), float(y), class_of(names[chosen]) or own_name(names[chosen])))
    if disputed:
        notes.append(f"{disputed} annotations have no agreed class and were left out.")
    return slides, cells


def _image(folder: Path, name: str, directory: str | None) -> Path:
    """Where the image is: beside the database, in its directory or in images/; a path of another machine is cut off."""
    name = PureWindowsPath(name).name
    places = [folder / name, folder / "images" / name]
    if directory:
        last = PureWindowsPath(directory).name
        places = [folder / last / name, folder / "images" / last / name, *places]
    return next((place for place in places if place.is_file()), places[0])


def _size(image: Path) -> tuple[int, int] | None:
    return size_of(image) if image.suffix.lower() in (*IMAGE_SUFFIXES, ".svs") else None


def _case(name: str, directory: str | None) -> str:
    stem = PureWindowsPath(name).stem
    slide = mitos_slide(stem)
    if slide:
        return f"MITOS14/{slide[0]}"
    folder = PureWindowsPath(directory).name if directory else ""
    return f"TUPAC16/{folder}" if re.fullmatch(r"\d\d", folder) and re.fullmatch(r"\d\d", stem) else stem
