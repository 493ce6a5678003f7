"""Options that several commands share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

#: The default model, as in `mitozoo.api` (which is not imported here: it takes seconds).
DEFAULT_MODEL = "stn"


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model, --weights and --threshold."""
    for option in (
        click.option("--threshold", type=float, default=None, help="Score from which a detection counts."),
        click.option(
            "--weights", type=click.Path(path_type=Path), default=None, help="A .weights.h5 file of the model."
        ),
        click.option("--model", default=DEFAULT_MODEL, show_default=True, help="Entry of the zoo."),
    ):
        function = option(function)
    return function


def command_line() -> str:
    """The command as it was given, for the record of a run."""
    given = click.get_current_context().obj
    return shlex.join(["mitozoo", *(sys.argv[1:] if given is None else given)])
