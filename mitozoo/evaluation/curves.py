"""Precision–recall, FROC and ROC curves, their summaries, the best threshold and calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.evaluation.counts import Counts, precision_recall_f1, ratio
from mitozoo.evaluation.matching import Gains


@dataclass(frozen=True, eq=False)
class Curve:
    """Counts at every threshold that changes them, from the highest down.

    Attributes: thresholds (t,) falling, each a score that occurs (score >= threshold is positive); tp, fp (t,) counts,
    never falling; positives, how many truths (or positive examples) there are; area_mm2 searched, or negatives, how
    many negative examples there are, where one of them applies.
    """

    thresholds: np.ndarray
    tp: np.ndarray
    fp: np.ndarray
    positives: int
    area_mm2: float = float("nan")
    negatives: int = 0

    @property
    def precision(self) -> np.ndarray:
        """(t,) precision; nan where all detections are duplicates."""
        return precision_recall_f1(self.tp, self.fp, self.positives - self.tp)[0]

    @property
    def recall(self) -> np.ndarray:
        """(t,) recall; nan if there is no positive."""
        return ratio(self.tp, np.full(self.tp.shape, self.positives))

    @property
    def f1(self) -> np.ndarray:
        """(t,) F1."""
        return precision_recall_f1(self.tp, self.fp, self.positives - self.tp)[2]

    @property
    def fp_per_mm2(self) -> np.ndarray:
        """(t,) false positives per mm² searched (FROC); nan if the area is not known."""
        return self.fp / self.area_mm2 if self.area_mm2 > 0 else np.full(self.fp.shape, np.nan)

    @property
    def fp_rate(self) -> np.ndarray:
        """(t,) share of the negative examples called positive (ROC); nan if there is none."""
        return ratio(self.fp, np.full(self.fp.shape, self.negatives))

    def counts_at(self, threshold: float) -> Counts:
        """Counts of what scores `threshold` or more."""
        last = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        tp, fp = (int(self.tp[last]), int(self.fp[last])) if last >= 0 else (0, 0)
        return Counts(tp, fp, self.positives - tp)

    def thinned(self, points: int = 300) -> Curve:
        """The same curve with about 2 `points` of its points at most, even in true and in false positives."""
        if len(self.thresholds) <= 2 * points:
            return self
        by_tp = np.searchsorted(self.tp, np.linspace(self.tp[0], self.tp[-1], points))
        by_fp = np.searchsorted(self.fp, np.geomspace(1, self.fp[-1] + 1, points) - 1)
        keep = np.unique(np.r_[0, by_tp, np.minimum(by_fp, len(self.fp) - 1), len(self.fp) - 1])
        return Curve(self.thresholds[keep], self.tp[keep], self.fp[keep], self.positives, self.area_mm2, self.negatives)


def _cumulated(scores: np.ndarray, tp: np.ndarray, fp: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Thresholds and running sums by falling score, one point for each distinct score."""
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    last = np.flatnonzero(np.r_[scores[1:] != scores[:-1], True]) if len(scores) else np.zeros(0, dtype=int)
    return scores[last], np.cumsum(tp[order])[last], np.cumsum(fp[order])[last]


def detection_curve(images: Iterable[Gains], area_mm2: float = float("nan")) -> Curve:
    """Pool the detections of many images, each matched by itself, over all thresholds.

    Exact at every threshold and for every protocol, without matching again (see `matching.gains`).

    Args: images, what `matching.gains` gave for each; area_mm2 of all of them together, for the FROC.
    """
    images = list(images)
    scores = np.concatenate([np.zeros(0), *(item.scores for item in images)])
    tp = np.concatenate([np.zeros(0, dtype=bool), *(item.true_positive for item in images)])
    fp = np.concatenate([np.zeros(0, dtype=bool), *(item.false_positive for item in images)])
    return Curve(*_cumulated(scores, tp, fp), positives=sum(item.truths for item in images), area_mm2=area_mm2)


def binary_curve(positive: np.ndarray, scores: np.ndarray) -> Curve:
    """Curve of classified examples: positive (n,) bool and scores (n,), higher is more positive."""
    positive, scores = _examples(positive, scores)
    return Curve(
        *_cumulated(scores, positive, ~positive), positives=int(positive.sum()), negatives=int((~positive).sum())
    )


def _examples(positive: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positive, scores = np.asarray(positive).astype(bool).reshape(-1), np.asarray(scores, dtype=np.float64).reshape(-1)
    if len(positive) != len(scores):
        raise ValueError(f"{len(positive)} labels need {len(positive)} scores, not {len(scores)}.")
    if not np.isfinite(scores).all():
        raise DataError("A score is not a finite number. Correct or remove its example.")
    return positive, scores


def average_precision(curve: Curve) -> float:
    """Area under the precision–recall steps: the sum of (recall gained) × (precision there), not interpolated.

    nan if there is no positive; 0 if nothing was found. What was never found counts as precision 0.
    """
    if not curve.positives:
        return float("nan")
    gained = np.diff(curve.recall, prepend=0.0)
    return float(np.sum(gained[gained > 0] * curve.precision[gained > 0]))


def false_positives_at_recall(curve: Curve, recalls: Sequence[float] = (0.5, 0.6, 0.7, 0.8)) -> dict[float, float]:
    """Fewest false positives per mm² at which each recall is reached; nan where it never is or the area is unknown."""
    reached, price = curve.recall, curve.fp_per_mm2
    # A share such as 0.6 is not exact in binary, and 3 found of 5 must reach it.
    at = {recall: np.flatnonzero(reached >= recall - 1e-12) for recall in recalls}
    return {recall: float(price[points[0]]) if len(points) else float("nan") for recall, points in at.items()}


def best_f1_threshold(curve: Curve) -> tuple[float, float]:
    """Threshold with the highest F1, and that F1; of equal ones the highest threshold.

    Raises: DataError if nothing was found or nothing is there: then no threshold is better than another.
    """
    if not curve.positives or not len(curve.thresholds):
        raise DataError(
            "No threshold can be chosen: there is no mitotic figure, or nothing was found at any score. "
            "Use a validation set with mitotic figures, or give --threshold."
        )
    f1 = np.nan_to_num(curve.f1, nan=-1.0)
    best = int(np.argmax(f1))
    return float(curve.thresholds[best]), float(f1[best])


def roc_auc(positive: np.ndarray, scores: np.ndarray) -> float:
    """Probability that a positive example scores above a negative one, ties counting one half.

    Args: positive (n,) bool; scores (n,). Returns: nan if one of the two kinds is missing.
    Source: Mann–Whitney U with mid-ranks; Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    positive, scores = _examples(positive, scores)
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    # Its import takes half a second and 35 MB, also of those who only search.
    from scipy.stats import rankdata

    wins = rankdata(scores)[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(wins / (n_positive * n_negative))


@dataclass(frozen=True, eq=False)
class Calibration:
    """Reliability of probabilities, bin by bin.

    Attributes: edges (b + 1,); predicted (b,) mean probability and observed (b,) share of positives of each bin, nan
    if empty; number (b,) of examples; ece, expected calibration error: mean |predicted − observed| over examples.
    """

    edges: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    number: np.ndarray
    ece: float


def calibration_curve(positive: np.ndarray, probabilities: np.ndarray, bins: int = 10) -> Calibration:
    """Compare probabilities (n,) in [0, 1] with positive (n,) bool in `bins` bins of equal width.

    A bin holds its lower edge; the last one holds 1 too. Raises: DataError for a probability outside [0, 1].
    Source: Naeini et al. 2015 (ECE), doi:10.1609/aaai.v29i1.9602.
    """
    positive, probabilities = _examples(positive, probabilities)
    if len(probabilities) and not (probabilities.min() >= 0 and probabilities.max() <= 1):
        raise DataError("A probability is outside 0 to 1. Give the output after the sigmoid or softmax.")
    # Exact decimals, so that a probability of 0.3 is in the bin that begins there.
    edges = np.arange(bins + 1) / bins
    which = np.clip(np.searchsorted(edges, probabilities, side="right") - 1, 0, bins - 1)
    number = np.bincount(which, minlength=bins)
    predicted = ratio(np.bincount(which, probabilities, minlength=bins), number)
    observed = ratio(np.bincount(which, positive.astype(float), minlength=bins), number)
    gap = np.nan_to_num(np.abs(predicted - observed)) * number
    return Calibration(
        edges, predicted, observed, number, float(gap.sum() / len(positive)) if len(positive) else np.nan
    )
