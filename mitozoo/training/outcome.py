"""What a model finds in held-out cells, kept beside their labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mitozoo.base.files import whole_file
from mitozoo.data.cells import Cells

PREDICTIONS = "predictions.npz"


@dataclass(frozen=True)
class Outcome:
    """Held-out predictions of a run, pooled over its folds.

    Attributes: labels (n,), probabilities (n, classes), cases, origins (n,); error_px (n,) of the located cells, or
    None for a model that does not locate; folds (n,) which fold the cell was held out in.
    """

    labels: np.ndarray
    probabilities: np.ndarray
    cases: np.ndarray
    origins: np.ndarray
    folds: np.ndarray
    error_px: np.ndarray | None


def save_outcome(path: Path, test: Cells, found: dict[str, np.ndarray]) -> None:
    """Write what a model found in held-out cells (`predict_windows`) beside their labels."""
    with whole_file(path) as temporary:
        np.savez(
            temporary,
            labels=test.labels,
            cases=test.cases.astype("U"),
            origins=test.origins.astype("U"),
            **found,
        )


def load_outcome(path: Path, fold: int) -> Outcome:
    """Read the held-out predictions of one fold."""
    with np.load(path, allow_pickle=False) as stored:
        error = None
        if "theta" in stored.files:
            half_window_px = 64.0
            apart = (stored["theta"] - stored["theta_true"])[:, :, 2] * half_window_px
            error = np.hypot(apart[:, 0], apart[:, 1])
        labels = stored["labels"]
        return Outcome(
            labels, stored["probabilities"], stored["cases"], stored["origins"], np.full(len(labels), fold), error
        )


def pool(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Put the folds' held-out predictions together."""
    if not outcomes:
        return None
    parts = {
        field.name: [getattr(outcome, field.name) for outcome in outcomes] for field in dataclasses.fields(Outcome)
    }
    return Outcome(**{key: None if value[0] is None else np.concatenate(value) for key, value in parts.items()})
