"""How well the counts of two observers agree, case by case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Agreement of two counts of the same cases.

    Attributes: cases; bias, mean of second − first; low, high, 95 % limits of agreement (bias ± 1.96 standard
    deviations of the differences); icc, ICC(2,1). nan where fewer than two cases make it meaningless.
    """

    cases: int
    bias: float
    low: float
    high: float
    icc: float


def icc_2_1(ratings: np.ndarray) -> float:
    """ICC(2,1): agreement of single ratings, two-way random effects.

    Args: ratings (n, k), n subjects rated by the same k raters. Returns: at most 1; nan for fewer than two subjects or
    raters, or if all ratings are equal.
    Source: Shrout and Fleiss 1979, doi:10.1037/0033-2909.86.2.420, page 423.
    """
    ratings = np.asarray(ratings, dtype=np.float64)
    n, k = ratings.shape
    if n < 2 or k < 2:
        return float("nan")
    mean = ratings.mean()
    by_subject, by_rater = ratings.mean(axis=1), ratings.mean(axis=0)
    subjects = k * np.sum((by_subject - mean) ** 2) / (n - 1)
    raters = n * np.sum((by_rater - mean) ** 2) / (k - 1)
    residual = ratings - by_subject[:, None] - by_rater[None, :] + mean
    error = np.sum(residual**2) / ((n - 1) * (k - 1))
    whole = subjects + (k - 1) * error + k * (raters - error) / n
    return float((subjects - error) / whole) if whole > 0 else float("nan")


def count_agreement(first: np.ndarray, second: np.ndarray) -> Agreement:
    """Bland–Altman bias and limits, and ICC(2,1).

    Args: first (n,) counts of the reference, second (n,) counts of the model, case by case.
    Source: Bland and Altman 1986, doi:10.1016/S0140-6736(86)90837-8.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    difference = second - first
    bias = float(difference.mean()) if len(difference) else float("nan")
    spread = float(difference.std(ddof=1)) if len(difference) > 1 else float("nan")
    icc = icc_2_1(np.stack([first, second], axis=1))
    return Agreement(len(first), bias, bias - 1.96 * spread, bias + 1.96 * spread, icc)
