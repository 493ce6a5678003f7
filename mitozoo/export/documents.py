"""Text and JSON documents, whole or not at all, for any file name that a disk can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.files import write_bytes


def utf8(text: str) -> bytes:
    r"""Encode as UTF-8; bytes of a file name that are not UTF-8 become `\udc80` and the like instead of an error."""
    return text.encode("utf-8", "backslashreplace")


def plain(value: Any) -> Any:
    """Turn paths, NumPy values and mappings into what JSON has; nan and infinity, which it has not, become None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value)


def write_document(path: Path, text: str) -> None:
    """Write text as UTF-8. Raises: OutputError where it cannot be written."""
    write_bytes(path, utf8(text))


def write_json(path: Path, content: Any, *, indent: int | None = None) -> None:
    """Write JSON, on one line unless `indent` is given. Raises: OutputError where it cannot be written."""
    write_document(path, json.dumps(plain(content), indent=indent, ensure_ascii=False, allow_nan=False) + "\n")
