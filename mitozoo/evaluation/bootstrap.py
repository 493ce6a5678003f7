"""Percentile bootstrap over cases.

Cases (patients or slides) are drawn with replacement, with all that belongs to them: fields and patches of one case are
alike, and drawing them one by one would give intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from mitozoo.evaluation.counts import precision_recall_f1, ratio

#: Statistics of (…, 3) arrays of tp, fp, fn.
METRICS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "precision": lambda counts: precision_recall_f1(*np.moveaxis(counts, -1, 0))[0],
    "recall": lambda counts: precision_recall_f1(*np.moveaxis(counts, -1, 0))[1],
    "f1": lambda counts: precision_recall_f1(*np.moveaxis(counts, -1, 0))[2],
}
#: Numbers held at once while drawing, so that memory stays small for any number of cases.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A confidence interval; both ends nan where it cannot be told (fewer than two cases)."""

    low: float
    high: float


@dataclass(frozen=True)
class PairedTest:
    """Difference of two models on the same cases (first minus second), its interval and two-sided p value."""

    difference: float
    interval: Interval
    p_value: float


def draws(cases: int, bootstraps: int, seed: int, width: int = 0) -> Iterator[np.ndarray]:
    """Yield chunks (k, cases) of how often each case is drawn, `bootstraps` rows in all; the same for the same seed.

    Args: width, numbers a row will be spread to (for the size of the chunks), if more than `cases`.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK // max(cases, width, 1))
    for start in range(0, bootstraps, rows):
        size = min(rows, bootstraps - start)
        yield rng.multinomial(cases, np.full(cases, 1.0 / cases), size=size)


def resample_sums(per_case: np.ndarray, bootstraps: int = 1000, seed: int = 0) -> np.ndarray:
    """Sum the numbers of resampled cases. Args: per_case (cases, …), at least one case. Returns: (bootstraps, …)."""
    per_case = np.asarray(per_case, dtype=np.float64)
    flat = per_case.reshape(len(per_case), -1)
    sums = [drawn.astype(np.float64) @ flat for drawn in draws(len(flat), bootstraps, seed)]
    return np.concatenate([np.zeros((0, flat.shape[1])), *sums]).reshape(-1, *per_case.shape[1:])


def percentile_interval(samples: np.ndarray, cases: int, level: float = 0.95) -> Interval:
    """Interval that holds the middle `level` of the samples (n,); resamples without a value (nan) are left out."""
    samples = samples[~np.isnan(samples)]
    if cases < 2 or not len(samples):
        return Interval(float("nan"), float("nan"))
    low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def count_intervals(per_case: np.ndarray, bootstraps: int = 1000, seed: int = 0) -> dict[str, Interval]:
    """95 % intervals of micro-averaged precision, recall and F1.

    Args: per_case (cases, 3) tp, fp, fn of each case. Source: Efron and Tibshirani 1993, chapter 13 (percentiles).
    """
    sums = resample_sums(per_case, bootstraps, seed)
    return {name: percentile_interval(metric(sums), len(per_case)) for name, metric in METRICS.items()}


def auc_interval(
    positive: np.ndarray, scores: np.ndarray, cases: np.ndarray, bootstraps: int = 1000, seed: int = 0
) -> Interval:
    """95 % interval of the ROC AUC. Args: positive (n,) bool, scores (n,), cases (n,) names."""
    names, case = np.unique(np.asarray(cases), return_inverse=True)
    if not len(names):
        return Interval(float("nan"), float("nan"))
    return percentile_interval(auc_samples(positive, scores, case, len(names), bootstraps, seed), len(names))


def auc_samples(
    positive: np.ndarray, scores: np.ndarray, case: np.ndarray, cases: int, bootstraps: int = 1000, seed: int = 0
) -> np.ndarray:
    """ROC AUC (bootstraps,) of resampled cases. Args: positive (n,) bool, scores (n,), case (n,) < cases."""
    order = np.argsort(scores, kind="stable")
    case, positive, ranked = case[order], np.asarray(positive).astype(bool)[order], np.asarray(scores)[order]
    first = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]])
    samples = []
    for drawn in draws(cases, bootstraps, seed, width=len(case)):
        weight = drawn[:, case].astype(np.float64)
        up = np.add.reduceat(weight * positive, first, axis=1)
        down = np.add.reduceat(weight * ~positive, first, axis=1)
        below = np.cumsum(down, axis=1) - down / 2
        samples.append(ratio((up * below).sum(axis=1), up.sum(axis=1) * down.sum(axis=1)))
    return np.concatenate([np.zeros(0), *samples])


def ap_samples(
    scores: np.ndarray,
    true_positive: np.ndarray,
    false_positive: np.ndarray,
    case: np.ndarray,
    truths: np.ndarray,
    bootstraps: int = 1000,
    seed: int = 0,
) -> np.ndarray:
    """Average precision (bootstraps,) of resampled cases, as `curves.average_precision` counts it.

    Args: scores (n,) of the detections, what each adds as the threshold falls to it: true_positive, false_positive (n,)
    bool; case (n,) index into truths (cases,), how many there are in each case.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    ranked, case = np.asarray(scores)[order], case[order]
    right, wrong = np.asarray(true_positive)[order], np.asarray(false_positive)[order]
    last = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True]) if len(ranked) else np.zeros(0, dtype=int)
    samples = []
    for drawn in draws(len(truths), bootstraps, seed, width=len(case)):
        weight = drawn[:, case].astype(np.float64)
        tp, fp = np.cumsum(weight * right, axis=1)[:, last], np.cumsum(weight * wrong, axis=1)[:, last]
        # Where nothing is gained the precision, which may not be defined, does not matter.
        precision = np.nan_to_num(ratio(tp, tp + fp))
        samples.append(ratio((np.diff(tp, axis=1, prepend=0.0) * precision).sum(axis=1), drawn @ truths))
    return np.concatenate([np.zeros(0), *samples])


def paired_test(
    first: np.ndarray, second: np.ndarray, metric: str = "f1", bootstraps: int = 1000, seed: int = 0
) -> PairedTest:
    """Compare two models on the same cases, drawing the same cases for both.

    The p value is twice the smaller share of resamples in which the difference is at most, or at least, 0, counting the
    observed one, so that it is never 0.

    Args: first, second (cases, 3) tp, fp, fn of each case, cases in one order; metric, a name in `METRICS`.
    Raises: ValueError for tables of different shapes, KeyError for an unknown metric.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 2 or first.shape[1] != 3:
        raise ValueError(f"Two tables of one shape (cases, 3) are needed, not {first.shape} and {second.shape}.")
    both = np.stack([first, second], axis=1)
    observed = METRICS[metric](both.sum(axis=0))
    samples = METRICS[metric](resample_sums(both, bootstraps, seed))
    return paired_difference(float(observed[0] - observed[1]), samples[:, 0] - samples[:, 1], len(first))


def paired_difference(observed: float, differences: np.ndarray, cases: int) -> PairedTest:
    """As `paired_test`, of any number: its observed difference, and those (n,) on resamples drawn alike for both."""
    differences = differences[~np.isnan(differences)]
    tail = min(np.sum(differences <= 0), np.sum(differences >= 0))
    known = cases > 1 and len(differences) > 0
    p_value = min(1.0, 2 * (tail + 1) / (len(differences) + 1)) if known else float("nan")
    return PairedTest(observed, percentile_interval(differences, cases), float(p_value))
