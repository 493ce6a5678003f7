"""Counts add, then divide once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


def ratio(part: np.ndarray | float, whole: np.ndarray | float) -> np.ndarray:
    """Divide, with nan where `whole` is 0 (nothing to divide by is not a zero, and not a one)."""
    part, whole = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def precision_recall_f1(
    tp: np.ndarray | float, fp: np.ndarray | float, fn: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of arrays of counts of one shape.

    Precision is nan where nothing was found, recall where nothing was there, F1 = 2 tp / (2 tp + fp + fn) where
    neither.
    """
    tp, fp, fn = np.asarray(tp), np.asarray(fp), np.asarray(fn)
    return ratio(tp, tp + fp), ratio(tp, tp + fn), ratio(2 * tp, 2 * tp + fp + fn)


@dataclass(frozen=True)
class Counts:
    """True positives, false positives and false negatives of any number of images; add them, then divide."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn)

    @property
    def precision(self) -> float:
        """Share of the detections that are mitotic figures; nan where nothing was found."""
        return self.tp / (self.tp + self.fp) if self.tp + self.fp else float("nan")

    @property
    def recall(self) -> float:
        """Share of the mitotic figures that were found (sensitivity); nan where there are none."""
        return self.tp / (self.tp + self.fn) if self.tp + self.fn else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; nan where nothing is there and nothing was found, never 1."""
        whole = 2 * self.tp + self.fp + self.fn
        return 2 * self.tp / whole if whole else float("nan")


def micro(counts: Iterable[Counts]) -> Counts:
    """Sum counts over images or cases, for micro-averaged precision, recall and F1."""
    total = Counts()
    for item in counts:
        total = total + item
    return total
