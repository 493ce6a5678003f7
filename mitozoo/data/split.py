"""Splits by case, kept in a file: {"parts": {"train": [case …], "validation": […], "test": […]}}."""

from __future__ import annotations

import json
from pathlib import Path

from mitozoo.base.errors import DataError


def read_split(path: Path) -> dict[str, tuple[str, ...]]:
    """Read a split.

    Returns: the cases of each part, by its name.
    Raises: DataError if the file is not a split, or has a case in two parts.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a split: {error}.") from error
    parts = content.get("parts") if isinstance(content, dict) else None
    good = isinstance(parts, dict) and all(
        isinstance(cases, list) and all(isinstance(case, str) for case in cases) for cases in parts.values()
    )
    if not parts or not good:
        raise DataError(f'{path} is not a split. It should hold {{"parts": {{"validation": ["case", …], …}}}}.')
    seen: dict[str, str] = {}
    for name, cases in parts.items():
        for case in cases:
            if seen.setdefault(case, name) != name:
                raise DataError(f"{path}: case {case!r} is in {seen[case]!r} and in {name!r}. Leave it in one part.")
    return {name: tuple(cases) for name, cases in parts.items()}
