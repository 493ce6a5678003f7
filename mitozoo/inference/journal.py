"""What a run has found so far, kept on disk tile by tile, so that a run that was killed goes on where it stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import OutputError, RecipeError
from mitozoo.base.files import explain, make_folder, remove_parts, write_text
from mitozoo.base.points import Detection
from mitozoo.inference.result import FieldResult

#: Folder of the journal inside that of the results. It stays when a run is complete, with results alone: one that is
#: resumed then, with more images, skips those that are done.
FOLDER = ".mitozoo-journal"
_MARK = "settings.json"
#: File of the results that tells a complete run (`mitozoo.export.formats.RUN_FILE`).
_COMPLETE = "run.json"
#: File that a run holds while it writes.
LOCK = ".mitozoo-lock"

#: Places float (n, 2) and class probabilities (n, classes) of a tile.
Found = tuple[np.ndarray, np.ndarray]


def fingerprint(settings: dict[str, Any]) -> str:
    """A hash of the settings that a run's results follow from."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()[:32]


class RunJournal:
    """The journals of all images of a run."""

    def __init__(self, out: Path, mark: str) -> None:
        """Begin, or go on with what is there. Args: out, folder of the results; mark, `fingerprint` of the settings.

        Raises: RecipeError if the unfinished run there had other settings; OutputError where nothing can be written.
        """
        self.folder = make_folder(Path(out) / FOLDER)
        path = self.folder / _MARK
        if path.exists():
            try:
                before = json.loads(path.read_text(encoding="utf-8"))["mark"]
            except (ValueError, KeyError, OSError):
                before = None
            if before != mark:
                raise RecipeError(
                    f"The run in {out} had other settings, weights or another version. Resume with the same command, "
                    "or start anew with --overwrite and without --resume."
                )
        else:
            write_text(path, json.dumps({"mark": mark}) + "\n")

    def image(self, name: str, path: Path) -> ImageJournal:
        """The journal of one image. One that has changed since is begun anew."""
        try:
            state = path.stat()
            stamp = [state.st_size, state.st_mtime_ns]
        except OSError:
            stamp = []
        place = self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.jsonl"
        return ImageJournal(place, {"name": name, "file": stamp})


def unfinished(out: Path) -> bool:
    """Whether a folder holds a run that was stopped while it searched an image."""
    return _begun(out) and not (Path(out) / _COMPLETE).exists()


def _begun(out: Path) -> bool:
    folder = Path(out) / FOLDER
    return (folder / _MARK).exists() and any(folder.glob("*.jsonl"))


def may_resume(out: Path, resume: bool, overwrite: bool) -> bool:
    """Whether a run goes on with the one in a folder; what that wrote may then be written again.

    Without `resume` the journal of a run that is complete is removed, and with `overwrite` also that of one that was
    stopped. The folder is to be held (`only_run_in`).
    Raises: OutputError if a run was stopped there and neither was asked for.
    """
    if resume and _begun(out):
        remove_parts(Path(out))
        return True
    if unfinished(out) and not overwrite:
        raise OutputError(
            f"{out} holds a run that was stopped. Add --resume to go on with it, or --overwrite to start anew."
        )
    shutil.rmtree(Path(out) / FOLDER, ignore_errors=True)
    return False


@contextlib.contextmanager
def only_run_in(out: Path) -> Iterator[None]:
    """Hold a folder for this process. Raises: OutputError if another one is writing into it."""
    from filelock import FileLock, Timeout

    lock = FileLock(make_folder(Path(out)) / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputError(f"Another run is writing into {out}. Wait for it, or choose another --out.") from None
    except OSError as error:
        raise explain(Path(out) / LOCK, error) from error
    try:
        yield
    finally:
        lock.release()
        (Path(out) / LOCK).unlink(missing_ok=True)


class ImageJournal:
    """One image: a file of lines, each whole or not there.

    Attributes: tiles, what is known by their number, None where a tile could not be read; result, once it is complete.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        """Read what is there. Args: path; head, what tells that it is still the same image."""
        self.path, self._head = path, head
        self.tiles: dict[int, Found | None] = {}
        self.result: FieldResult | None = None
        lines, good = _whole_lines(path)
        if lines and lines[0] == head:
            for line in lines[1:]:
                self._take(line)
            # A line that was torn by the kill would spoil the next one.
            with path.open("r+b") as stream:
                stream.truncate(good)
        else:
            write_text(path, json.dumps(head) + "\n")

    def _take(self, line: dict[str, Any]) -> None:
        if "result" in line:
            self.result = _result_of(line["result"])
        elif line["found"] is None:
            self.tiles[line["tile"]] = None
        else:
            xy, probabilities = line["found"]
            rows, classes = len(xy), len(probabilities[0]) if probabilities else 0
            self.tiles[line["tile"]] = (np.array(xy).reshape(rows, 2), np.array(probabilities).reshape(rows, classes))

    def add_tile(self, number: int, found: Found | None) -> None:
        """Keep what a tile gave. Raises: OutputError where the disk is full."""
        plain = None if found is None else [found[0].tolist(), found[1].tolist()]
        self.tiles[number] = found
        self._append({"tile": number, "found": plain})

    def finish(self, result: FieldResult) -> None:
        """Keep the result of the whole image, in place of its tiles. Raises: OutputError where the disk is full."""
        self.result = result
        line = {"result": {**dataclasses.asdict(result), "path": str(result.path)}}
        write_text(self.path, json.dumps(self._head) + "\n" + json.dumps(line) + "\n")

    def _append(self, line: dict[str, Any]) -> None:
        try:
            with self.path.open("ab") as stream:
                stream.write((json.dumps(line) + "\n").encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise OutputError(
                f"Cannot write {self.path}: {error.strerror or error}. Free some space and run again with --resume."
            ) from error


def _whole_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The lines that are whole, and where they end in the file."""
    if not path.exists():
        return [], 0
    lines, good = [], 0
    for line in path.read_bytes().splitlines(keepends=True):
        if not line.endswith(b"\n"):
            break
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
        good += len(line)
    return lines, good


def _result_of(plain: dict[str, Any]) -> FieldResult:
    lists = {name: tuple(Detection(**item) for item in plain[name]) for name in ("detections", "below")}
    return FieldResult(**{**plain, **lists, "path": Path(plain["path"]), "notes": tuple(plain["notes"])})
