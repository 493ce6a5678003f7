"""A zoo entry's manifest.json: what the weights are, where they come from, and how they are to be used."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mitozoo.base.errors import WeightsError
from mitozoo.base.network import url_problem
from mitozoo.base.units import PLAUSIBLE_UM_PER_PX

FILE_NAME = "manifest.json"
WEIGHTS_SUFFIX = ".weights.h5"


@dataclass(frozen=True, kw_only=True)
class WeightsFile:
    """One file of weights.

    Attributes: file, its name, which ends with `.weights.h5`; urls, tried in this order (https, file, or relative to
    the zoo's folder); sha256, 64 lower-case hexadecimal digits; bytes, its size.
    """

    file: str
    sha256: str
    bytes: int
    urls: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a zoo entry says of its weights.

    Attributes:
        model: name of the architecture, which may differ from the entry's.
        settings: keyword arguments of the architecture's builder.
        title: one line for tables.
        version: of the weights.
        weights: the file.
        um_per_px, input_px, classes: what the weights were trained at and for.
        threshold: score from which a detection counts, in [0, 1], chosen on validation.
        decoder: tuned settings of the decoder.
        licence: of the weights, as the data allow.
        trained_on: data sets.
        command, seed, hours, machine: how they were made; hours is None where nobody timed it.
        results: measured figures, e.g. {"f1": 0.8}.
        date: of the training, year-month-day.
    """

    model: str
    title: str
    version: str
    weights: WeightsFile
    um_per_px: float
    input_px: int
    classes: tuple[str, ...]
    threshold: float
    licence: str
    trained_on: tuple[str, ...]
    command: str
    seed: int
    machine: str
    date: str
    hours: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    decoder: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> bool:
    return (isinstance(value, float) or _integer(value)) and math.isfinite(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(item) for item in value)


def _mapping(value: Any) -> bool:
    return isinstance(value, dict)


def _spacing(value: Any) -> bool:
    return _number(value) and PLAUSIBLE_UM_PER_PX[0] <= value <= PLAUSIBLE_UM_PER_PX[1]


def _date(value: Any) -> bool:
    try:
        return len(value) == 10 and bool(datetime.date.fromisoformat(value))
    except (TypeError, ValueError):
        return False


def _file_name(value: Any) -> bool:
    return _text(value) and re.fullmatch(r"[A-Za-z0-9][\w.-]*\.weights\.h5", value, re.ASCII) is not None


Rule = tuple[Callable[[Any], bool], str]
_TEXT: Rule = (_text, "a text that is not empty")
_TEXTS: Rule = (_texts, "a list of texts that is not empty")
_MAPPING: Rule = (_mapping, "an object")
_RULES: dict[str, Rule] = {
    "model": _TEXT,
    "settings": _MAPPING,
    "title": _TEXT,
    "version": _TEXT,
    "weights": _MAPPING,
    "um_per_px": (_spacing, "a plausible spacing in µm per pixel"),
    "input_px": (lambda value: _integer(value) and value > 0, "a whole number above 0"),
    "classes": _TEXTS,
    "threshold": (lambda value: _number(value) and 0 <= value <= 1, "a number from 0 to 1"),
    "decoder": _MAPPING,
    "licence": _TEXT,
    "trained_on": _TEXTS,
    "command": _TEXT,
    "seed": (_integer, "a whole number"),
    "hours": (lambda value: value is None or (_number(value) and value >= 0), "a number of hours or null"),
    "machine": _TEXT,
    "results": _MAPPING,
    "date": (_date, "a date as 2026-01-31"),
}
_WEIGHTS_RULES: dict[str, Rule] = {
    "file": (_file_name, "a plain file name that ends with .weights.h5"),
    "urls": (lambda value: isinstance(value, list) and all(_text(item) for item in value), "a list of texts"),
    "sha256": (
        lambda value: isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None,
        "64 hex digits",
    ),
    "bytes": (lambda value: _integer(value) and value > 0, "a whole number above 0"),
}


def _problem(data: Any, rules: dict[str, Rule], prefix: str = "") -> str | None:
    if not isinstance(data, dict):
        return "it is not a JSON object"
    for key in data:
        if key not in rules:
            near = difflib.get_close_matches(key, rules, n=1, cutoff=0.5)
            return f"it has no key {prefix + key!r}" + (f"; did you mean {prefix + near[0]!r}?" if near else "")
    for key, (fits, wanted) in rules.items():
        if key not in data:
            return f"the key {prefix + key!r} is missing"
        if not fits(data[key]):
            return f"{prefix + key!r} must be {wanted}, and is {json.dumps(data[key])[:80]}"
    return None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def parse(text: str, where: str) -> Manifest:
    """Read a manifest from JSON text.

    Args: text; where, the file's name for messages.
    Raises: WeightsError that names the file, the key and what it must be.
    """
    try:
        data = json.loads(text, parse_constant=_refuse_constant)
        problem = _problem(data, _RULES) or _problem(data["weights"], _WEIGHTS_RULES, "weights.")
    except (ValueError, RecursionError) as error:
        problem = f"it is not JSON ({error})"
    if problem is None:
        bad = [(url, url_problem(url)) for url in data["weights"]["urls"] if url_problem(url)]
        problem = f"the URL {bad[0][0]!r} {bad[0][1]}" if bad else None
    if problem:
        raise WeightsError(
            f"The manifest {where} cannot be used: {problem.rstrip('?.')}. Mend it, or take the zoo's own."
        )
    weights = WeightsFile(**{**data["weights"], "urls": tuple(data["weights"]["urls"])})
    lists = {key: tuple(data[key]) for key in ("classes", "trained_on")}
    return Manifest(**{**data, **lists, "weights": weights})


def read(path: Path) -> Manifest:
    """Read a manifest from a file. Raises: WeightsError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise WeightsError(f"The manifest {path} cannot be read: {reason}. Take the zoo's own.") from error
    return parse(text, str(path))


def to_json(manifest: Manifest, where: str = FILE_NAME) -> str:
    """Return the manifest as JSON text that `parse` accepts. Raises: WeightsError for what it would refuse."""
    data = dataclasses.asdict(manifest)
    try:
        text = json.dumps({key: data[key] for key in _RULES}, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise WeightsError(f"The manifest {where} cannot be written as JSON: {error}. Give plain numbers.") from error
    parse(text, where)
    return text
