"""`run.json`: what was run, with which versions, so that it can be run again."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitozoo import __version__
from mitozoo.export.documents import write_json

# The second names are builds of the same package under another name.
_PACKAGES = {
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-intel"),
    "keras": ("keras",),
    "numpy": ("numpy",),
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
}


def _installed(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "not installed"


def versions() -> dict[str, str]:
    """Versions of mitozoo, of what it computes with, of Python and of the platform; imports none of them."""
    found = {name: _installed(names) for name, names in _PACKAGES.items()}
    return {"mitozoo": __version__, **found, "python": platform.python_version(), "platform": platform.platform()}


def plain_command(command: str) -> str:
    """The command with paths cut to their last part: where the data lie differs from machine to machine."""
    return shlex.join(Path(word).name if "/" in word else word for word in shlex.split(command))


def write_run(path: Path, run: Mapping[str, Any]) -> None:
    """Write the settings of a run, with `versions` unless it brings its own.

    Paths become text and nan null. Raises: OutputError where the file cannot be written.
    """
    write_json(path, {**run, "versions": run.get("versions", versions())}, indent=2)
