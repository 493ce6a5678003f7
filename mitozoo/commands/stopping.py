"""Ctrl-C ends a command with a line that says what was kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import IO, Any

import click

#: What a shell says of a program that Ctrl-C ended: 128 and the signal's number.
STOPPED = 130


class Stopped(click.ClickException):
    """Ctrl-C; the text says what was kept."""

    exit_code = STOPPED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it on the error stream, below the ^C that the terminal shows."""
        click.echo(f"\nStopped. {self.message}", file=file, err=file is None)


@contextlib.contextmanager
def says_when_stopped(kept: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C into `Stopped`. Args: kept, called then, says what was kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(kept()) from None
