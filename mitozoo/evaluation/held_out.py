"""What a training run's held-out predictions say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.evaluation.classes import PatchReport, evaluate_patches


def one_to_one(labels: np.ndarray, classes: Sequence[str], *, seed: int = 0) -> np.ndarray:
    """Rows of all mitotic figures and of as many other cells, chosen at random.

    Precision depends on how many negatives there are; one for each mitotic figure makes it comparable.

    Args: labels (n,) class numbers; classes, names.  Returns: sorted row numbers.
    """
    mitotic = np.isin(labels, [i for i, name in enumerate(classes) if name in MITOTIC_CLASSES])
    positives, others = np.flatnonzero(mitotic), np.flatnonzero(~mitotic)
    kept = np.random.default_rng(seed).permutation(others)[: len(positives)]
    return np.sort(np.concatenate([positives, kept]))


def held_out_reports(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], cases: np.ndarray, *, seed: int = 0
) -> dict[str, PatchReport]:
    """Reports on all held-out cells ("all"), and on one other cell for each mitotic figure ("one-to-one").

    The second is left out where no mitotic figure was held out.
    """
    kept = one_to_one(labels, classes, seed=seed)
    reports = {"all": evaluate_patches(labels, probabilities, classes, cases, seed=seed)}
    if len(kept):
        reports["one-to-one"] = evaluate_patches(labels[kept], probabilities[kept], classes, cases[kept], seed=seed)
    return reports


def location_error(error_px: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, float]:
    """Median and 95th percentile of the distance in pixels between found and true place, over the mitotic figures.

    Args: error_px (n,); labels (n,) class numbers; classes, names.  Returns: also how many; nan where there is none.
    """
    mitotic = np.isin(labels, [i for i, name in enumerate(classes) if name in MITOTIC_CLASSES])
    median, high = np.percentile(error_px[mitotic], [50, 95]) if mitotic.any() else (np.nan, np.nan)
    return {"median_px": float(median), "p95_px": float(high), "cells": int(mitotic.sum())}
