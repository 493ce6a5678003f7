"""Confusion matrices, of all patches or case by case, and what is computed from them."""

from __future__ import annotations

import numpy as np

from mitozoo.evaluation.counts import Counts, precision_recall_f1, ratio


def mean_known(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not nan; nan if nothing is left."""
    return ratio(np.nansum(values, axis=-1), np.sum(~np.isnan(values), axis=-1))


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrix (classes, classes), rows truth, columns prediction, of two arrays (n,) of class indices."""
    labels, predicted = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def tables_by_case(truth: np.ndarray, predicted: np.ndarray, case: np.ndarray, classes: int) -> np.ndarray:
    """Confusion matrix of every case: (cases, c, c) from class indices (n,), class indices (n,), case indices (n,)."""
    truth, predicted = np.asarray(truth, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    cases = int(case.max()) + 1 if len(case) else 0
    flat = np.bincount((case * classes + truth) * classes + predicted, minlength=cases * classes * classes)
    return flat.reshape(cases, classes, classes)


def class_scores(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 (…, c) of every class of confusion matrices (…, c, c); nan where undefined."""
    hits = np.diagonal(matrix, axis1=-2, axis2=-1)
    return precision_recall_f1(hits, matrix.sum(axis=-2) - hits, matrix.sum(axis=-1) - hits)


def accuracy(matrix: np.ndarray) -> np.ndarray:
    """Share on the diagonal of confusion matrices (…, c, c); nan if empty."""
    return ratio(np.trace(matrix, axis1=-2, axis2=-1), matrix.sum(axis=(-2, -1)))


def balanced_accuracy(matrix: np.ndarray) -> np.ndarray:
    """Mean recall of the classes that occur, of confusion matrices (…, c, c); nan if none does."""
    return mean_known(class_scores(matrix)[1])


def positive_counts(table: np.ndarray) -> Counts:
    """Counts of a confusion matrix (2, 2) whose class 1 is positive."""
    return Counts(tp=int(table[1, 1]), fp=int(table[0, 1]), fn=int(table[1, 0]))
