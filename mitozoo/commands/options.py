"""Options that several commands share."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

#: The default model, as in `mitozoo.api` (which is not imported here: it takes seconds).
DEFAULT_MODEL = "scout"


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --model, --weights, --threshold, --tuned and --tta."""
    for option in (
        click.option(
            "--tta",
            type=int,
            default=1,
            show_default=True,
            help="Views of each image, turned and mirrored: 1, 2, 4 or 8.",
        ),
        click.option(
            "--tuned", type=click.Path(path_type=Path), default=None, help="File of 'mitozoo tune' for these weights."
        ),
        click.option("--threshold", type=float, default=None, help="Score from which a detection counts."),
        click.option(
            "--weights",
            type=click.Path(path_type=Path),
            multiple=True,
            help="A .weights.h5 file, or the folder of a run (of a cross-validation: all folds together).",
        ),
        click.option(
            "--model",
            multiple=True,
            default=(DEFAULT_MODEL,),
            show_default=DEFAULT_MODEL,
            help="Entry of the zoo; several are asked together.",
        ),
    ):
        function = option(function)
    return function


def command_line() -> str:
    """The command as it was given, for the record of a run."""
    given = click.get_current_context().obj
    return shlex.join(["mitozoo", *(sys.argv[1:] if given is None else given)])
