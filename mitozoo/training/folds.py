"""Folds and splits by case: no slide is ever on both sides."""

from __future__ import annotations

import numpy as np

from mitozoo.base.errors import DataError


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
    share = table / np.maximum(table.sum(axis=0), 1)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-share[order].max(axis=1), kind="stable")]
    load, empty = np.zeros((folds, classes)), np.ones(folds, bool)
    out = {}
    for done, i in enumerate(order):
        cost = ((load + share[i]) ** 2).sum(axis=1) - (load**2).sum(axis=1)
        if len(order) - done == empty.sum():
            cost[~empty] = np.inf
        fold = int(np.argmin(cost))
        load[fold] += share[i]
        empty[fold] = False
        out[str(names[i])] = fold
    return out


def split(cases: np.ndarray, fold_of: dict[str, int], fold: int) -> tuple[np.ndarray, np.ndarray]:
    """Return masks (n,) of the cells to train on and of the cells of `fold`."""
    held = np.array([fold_of[str(case)] == fold for case in cases])
    return ~held, held
