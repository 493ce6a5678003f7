"""Folds and splits by case: no slide is ever on both sides."""

from __future__ import annotations

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.data.spread import spread


def assign_folds(cases: np.ndarray, labels: np.ndarray, folds: int, *, seed: int) -> dict[str, int]:
    """Give every case to a fold so that each class is spread as evenly as whole cases allow.

    Largest cases first, each to the fold that has least of its classes; none is left empty.

    Args: cases (n,) names; labels (n,) class numbers; folds >= 2; seed breaks ties.
    Returns: fold by case. Raises: DataError if there are fewer cases than folds.
    """
    names = np.unique(cases)
    if len(names) < 2:
        raise DataError("One slide cannot be divided into folds. Give more with --data, or leave --folds out.")
    if folds < 2 or len(names) < folds:
        raise DataError(f"{len(names)} slides cannot be divided into {folds} folds. Give --folds 2 to {len(names)}.")
    classes = int(labels.max()) + 1
    table = np.array([np.bincount(labels[cases == name], minlength=classes) for name in names])
    chosen = spread(table, [1.0] * folds, seed=seed)
    return {str(name): fold for name, fold in zip(names, chosen, strict=True)}


def split(cases: np.ndarray, fold_of: dict[str, int], fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (n,) of the cells to train on and of the cells of `fold`."""
    held = np.array([fold_of[str(case)] == fold for case in cases])
    return ~held, held
