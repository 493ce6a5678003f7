"""One tree of exceptions. The command line prints their text and exits with code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MitozooError(Exception):
    """Something the user can mend; the text says how."""


class InputError(MitozooError):
    """An image or slide that cannot be read, or is not what it says it is."""


class LabelError(MitozooError):
    """A label file that is malformed or does not fit its images."""


class DataError(MitozooError):
    """A data set that cannot be trained or measured on as asked (no example, too few slides …)."""


class OutputError(MitozooError):
    """An output place that is taken, read-only or full."""


class WeightsError(MitozooError):
    """Weights that are missing, damaged or of another architecture."""


class RecipeError(MitozooError):
    """A recipe with settings that do not make sense, or not the one a run was started with."""


class UnknownNameError(MitozooError):
    """A name that is not registered; the text gives the nearest one."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Args: kind, e.g. "model"; name as given; known names."""
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}."
        super().__init__(f"No {kind} named {name!r}. {hint}")
