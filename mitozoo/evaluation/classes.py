"""Confusion matrix and class scores of classified patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.base.points import ATYPICAL, MITOTIC_CLASSES
from mitozoo.evaluation.bootstrap import Interval, auc_interval, count_intervals, percentile_interval, resample_sums
from mitozoo.evaluation.confusion import (
    accuracy,
    balanced_accuracy,
    class_scores,
    mean_known,
    positive_counts,
    tables_by_case,
)
from mitozoo.evaluation.counts import Counts, ratio
from mitozoo.evaluation.curves import (
    Calibration,
    Curve,
    average_precision,
    binary_curve,
    calibration_curve,
    roc_auc,
)
from mitozoo.evaluation.groups import PatchDomain, patch_domains


@dataclass(frozen=True)
class ClassScore:
    """One class against all others; support is how many patches truly are of it."""

    name: str
    counts: Counts
    support: int


@dataclass(frozen=True)
class Atypical:
    """Atypical against normal among the patches that truly show a mitotic figure (whatever they were classified as).

    Attributes: counts with atypical as positive; normal, how many patches are normal mitotic figures;
    balanced_accuracy, mean of the two recalls; roc_auc.
    """

    counts: Counts
    normal: int
    balanced_accuracy: float
    roc_auc: float


@dataclass(frozen=True, eq=False)
class PatchReport:
    """What a classifier got right on labelled patches.

    Attributes:
        classes: names, in the order of matrix and probabilities.
        matrix: (c, c) int, rows truth, columns prediction (highest probability).
        scores: one per class.
        threshold: mitotic score at or above which a patch counts as mitotic in `mitotic`.
        mitotic: counts of mitotic (of any kind) against all else.
        mitotic_auc, mitotic_ap: of the mitotic score, the sum of the mitotic classes' probabilities.
        curve, calibration: of the mitotic score.
        atypical: None where `classes` has no atypical and normal mitotic figures.
        cases: how many; patches: how many.
        truth, probabilities, case_names: (n,) class indices, (n, c) and (n,), patch by patch.
        intervals: 95 % bootstrap intervals over cases, by the name of the number.
        domains: a row a scanner, tumour type or source; empty where the data have none.
    """

    classes: tuple[str, ...]
    matrix: np.ndarray
    scores: tuple[ClassScore, ...]
    threshold: float
    mitotic: Counts
    mitotic_auc: float
    mitotic_ap: float
    curve: Curve
    calibration: Calibration
    atypical: Atypical | None
    cases: int
    patches: int
    seed: int
    bootstraps: int
    truth: np.ndarray
    probabilities: np.ndarray
    case_names: np.ndarray
    intervals: dict[str, Interval] = field(default_factory=dict)
    domains: tuple[PatchDomain, ...] = ()

    @property
    def accuracy(self) -> float:
        """Share of patches in the right class."""
        return float(accuracy(self.matrix))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that occur."""
        return float(balanced_accuracy(self.matrix))

    @property
    def macro(self) -> tuple[float, float, float]:
        """Precision, recall and F1, each the mean over the classes that have one."""
        return tuple(float(mean_known(values)) for values in class_scores(self.matrix))  # type: ignore[return-value]


def class_indices(labels: Sequence[str] | np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Turn class names, or indices, into indices (n,). Raises: UnknownNameError for a class that is not there."""
    values = np.asarray(labels)
    if values.dtype.kind in "iub":
        for value in values[(values < 0) | (values >= len(classes))][:1]:
            raise UnknownNameError("class", str(value), classes)
        return values.astype(np.int64)
    where = {name: index for index, name in enumerate(classes)}
    for value in values.tolist():
        if value not in where:
            raise UnknownNameError("class", str(value), classes)
    return np.asarray([where[value] for value in values.tolist()], dtype=np.int64)


def evaluate_patches(
    labels: Sequence[str] | np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
    cases: Sequence[str] | np.ndarray,
    threshold: float = 0.5,
    seed: int = 0,
    bootstraps: int = 1000,
    domains: Sequence[str] | np.ndarray | None = None,
) -> PatchReport:
    """Score a classifier of patches.

    Args: labels (n,) names in `classes`, or indices; probabilities (n, c); classes, c names; cases (n,) patient or
    slide of each patch; threshold of the mitotic score; seed and number of the bootstrap; domains (n,) scanner, tumour
    type or source of each patch, where known.
    Raises: DataError without patches, for probabilities outside [0, 1] or lists of different lengths; UnknownNameError
    for a label that is not in `classes`.
    """
    classes = tuple(classes)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    truth, case_names = class_indices(labels, classes), np.asarray(cases)
    domain_names = np.full(len(truth), "") if domains is None else np.asarray(domains)
    _check(truth, probabilities, classes, case_names, domain_names)
    names, case = np.unique(case_names, return_inverse=True)
    predicted = probabilities.argmax(axis=1)
    tables = tables_by_case(truth, predicted, case, len(classes))
    matrix = tables.sum(axis=0)
    kinds = [index for index, name in enumerate(classes) if name in MITOTIC_CLASSES]
    positive, score = np.isin(truth, kinds), np.minimum(probabilities[:, kinds].sum(axis=1), 1.0)
    curve = binary_curve(positive, score)
    called = score >= threshold
    mitotic = tables_by_case(positive, called, case, 2)
    atypical, atypical_tables = atypical_by_case(truth, probabilities, classes, case)
    intervals = _table_intervals(tables, mitotic, atypical_tables, bootstraps, seed)
    intervals["mitotic_auc"] = auc_interval(positive, score, case_names, bootstraps, seed)
    return PatchReport(
        classes=classes,
        matrix=matrix,
        scores=tuple(_class_score(name, matrix, index) for index, name in enumerate(classes)),
        threshold=float(threshold),
        mitotic=positive_counts(mitotic.sum(axis=0)),
        mitotic_auc=roc_auc(positive, score),
        mitotic_ap=average_precision(curve),
        curve=curve,
        calibration=calibration_curve(positive, score),
        atypical=atypical,
        cases=len(names),
        patches=len(truth),
        seed=seed,
        bootstraps=bootstraps,
        truth=truth,
        probabilities=probabilities,
        case_names=case_names,
        intervals=intervals,
        domains=patch_domains(
            truth, predicted, positive, called, case_names, domain_names, len(classes), bootstraps, seed
        ),
    )


def _check(
    truth: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], cases: np.ndarray, domains: np.ndarray
) -> None:
    if not len(truth):
        raise DataError("There is no labelled patch to measure on. Check the folder and its labels.")
    if probabilities.shape != (len(truth), len(classes)) or not len(cases) == len(domains) == len(truth):
        raise DataError(
            f"{len(truth)} labels of {len(classes)} classes need probabilities ({len(truth)}, {len(classes)}) and "
            f"{len(truth)} cases, not {probabilities.shape} and {len(cases)}."
        )
    # Rounding of a float32 softmax may leave a probability a little above 1.
    if not ((probabilities >= 0) & (probabilities <= 1 + 1e-5)).all():
        raise DataError("A probability is outside 0 to 1. Give the output after the sigmoid or softmax.")


def _class_score(name: str, matrix: np.ndarray, index: int) -> ClassScore:
    hits, support = int(matrix[index, index]), int(matrix[index].sum())
    return ClassScore(name, Counts(hits, int(matrix[:, index].sum()) - hits, support - hits), support)


def atypical_by_case(
    truth: np.ndarray, probabilities: np.ndarray, classes: tuple[str, ...], case: np.ndarray
) -> tuple[Atypical | None, np.ndarray | None]:
    """Score atypical against normal by the atypical share of the mitotic probability; positive above 1/2.

    Args: truth (n,) class indices; probabilities (n, c); classes, c names; case (n,) indices. Returns: the score, and
    the confusion matrix (cases, 2, 2) of every case; None, None where `classes` does not have both.
    """
    kinds = [index for index, name in enumerate(classes) if name in MITOTIC_CLASSES]
    if ATYPICAL not in classes or len(kinds) < 2:
        return None, None
    chosen = np.isin(truth, kinds)
    positive, share = truth[chosen] == classes.index(ATYPICAL), probabilities[chosen]
    score = np.nan_to_num(ratio(share[:, classes.index(ATYPICAL)], share[:, kinds].sum(axis=1)), nan=0.5)
    tables = np.zeros((int(case.max()) + 1, 2, 2), dtype=np.int64)
    own = tables_by_case(positive, score > 0.5, case[chosen], 2)
    tables[: len(own)] = own
    total = tables.sum(axis=0)
    return Atypical(
        positive_counts(total), int(total[0].sum()), float(balanced_accuracy(total)), roc_auc(positive, score)
    ), tables


def _table_intervals(
    tables: np.ndarray, mitotic: np.ndarray, atypical: np.ndarray | None, bootstraps: int, seed: int
) -> dict[str, Interval]:
    """Intervals of all that is computed from confusion matrices (cases, c, c)."""
    sums = resample_sums(tables, bootstraps, seed)
    samples = {
        "accuracy": accuracy(sums),
        "balanced_accuracy": balanced_accuracy(sums),
        "macro_f1": mean_known(class_scores(sums)[2]),
    }
    if atypical is not None:
        samples["atypical_balanced_accuracy"] = balanced_accuracy(resample_sums(atypical, bootstraps, seed))
    found = {name: percentile_interval(values, len(tables)) for name, values in samples.items()}
    counts = np.stack([mitotic[:, 1, 1], mitotic[:, 0, 1], mitotic[:, 1, 0]], axis=1)
    return found | {f"mitotic_{name}": value for name, value in count_intervals(counts, bootstraps, seed).items()}
