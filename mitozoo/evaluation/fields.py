"""Measuring detections in fields and slides against complete labels."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.evaluation import matching
from mitozoo.evaluation.agreement import Agreement, count_agreement
from mitozoo.evaluation.bootstrap import Interval, count_intervals
from mitozoo.evaluation.counts import Counts, micro
from mitozoo.evaluation.curves import (
    Calibration,
    Curve,
    average_precision,
    calibration_curve,
    detection_curve,
    false_positives_at_recall,
)
from mitozoo.evaluation.groups import FieldSums, GroupRow, domain_row
from mitozoo.evaluation.matching import Gains, Protocol


@dataclass(frozen=True, eq=False)
class FieldTruth:
    """What is known of one image.

    Attributes: name, unique; case, patient or slide; mitoses (n, 2) centres x, y in pixels; um_per_px, or None where
    not known; area_mm2 searched, nan where not known; excluded, circles (x_px, y_px, radius_px) in which nothing is
    counted; labelled, False where nobody has looked; domain, scanner or tumour type; searched, False where the search
    failed or was never made.
    """

    name: str
    case: str
    mitoses: np.ndarray
    um_per_px: float | None
    area_mm2: float = float("nan")
    excluded: Sequence[tuple[float, float, float]] = ()
    labelled: bool = True
    domain: str = ""
    searched: bool = True


@dataclass(frozen=True, eq=False)
class FieldFound:
    """What was found in one image, at every score: name; xy (m, 2) centres in pixels; scores (m,)."""

    name: str
    xy: np.ndarray
    scores: np.ndarray


_Named = TypeVar("_Named", FieldTruth, FieldFound)


@dataclass(frozen=True, eq=False)
class MeasuredImage:
    """What the detections of one image gained: its name, its case, and the gains outside excluded circles."""

    name: str
    case: str
    gains: Gains


@dataclass(frozen=True, eq=False)
class FieldReport:
    """What a detector found in labelled fields.

    Attributes:
        protocol, threshold: the rule, and the score at or above which a detection counts.
        counts, intervals: pooled over all fields; 95 % bootstrap intervals over cases of precision, recall and f1.
        average_precision, curve: over all thresholds that were given (`curve` has recall, precision, fp_per_mm2).
        fp_per_mm2, fp_at_recall: at the threshold; and the fewest that reach each recall.
        area_mm2: of all fields, nan if one is not known.
        cases, domains: tables.
        agreement: of the counts by case, truth against found.
        fields: how many were measured; skipped: names of those that were not, because nobody has labelled them.
        ignored: detections in excluded circles at the threshold; excluded_truths: labels there.
        images: what each image's detections gained.
        unsearched: names of labelled images that were not searched, so that nothing is counted in them.
        calibration: of the scores of all detections, right against wrong, and counted_ece, the calibration error of
            those at the threshold; None and nan where a score is not a probability.
    """

    protocol: Protocol
    threshold: float
    counts: Counts
    intervals: dict[str, Interval]
    average_precision: float
    curve: Curve
    fp_per_mm2: float
    fp_at_recall: dict[float, float]
    area_mm2: float
    cases: tuple[GroupRow, ...]
    domains: tuple[GroupRow, ...]
    agreement: Agreement
    fields: int
    skipped: tuple[str, ...]
    ignored: int
    excluded_truths: int
    seed: int
    bootstraps: int
    images: tuple[MeasuredImage, ...] = ()
    unsearched: tuple[str, ...] = ()
    calibration: Calibration | None = None
    counted_ece: float = float("nan")


def evaluate_fields(
    truths: Iterable[FieldTruth],
    found: Iterable[FieldFound],
    protocol: Protocol | str = "default",
    threshold: float = 0.5,
    seed: int = 0,
    bootstraps: int = 1000,
) -> FieldReport:
    """Measure detections against complete labels, image by image.

    An image of `truths` without an entry in `found` counts as searched and empty: all its truths are missed. Detections
    and labels inside an excluded circle (its edge too) are left out before matching. Images that are unlabelled or were
    not searched are skipped and named.

    Args: truths; found, with every detection that is worth a point on the curves, also below `threshold`; protocol or
    its name; threshold; seed and number of the bootstrap.
    Raises: DataError for detections of an image that is not among the truths, a name given twice, no labelled image, a
    spacing that the protocol needs and does not get, or numbers that are not finite; UnknownNameError for a protocol.
    """
    rule = matching.protocol(protocol) if isinstance(protocol, str) else protocol
    by_name, by_image = _indexed(truths, "truth"), _indexed(found, "set of detections")
    _check_names(by_name, by_image)
    cases: dict[str, FieldSums] = {}
    domains: dict[str, dict[str, FieldSums]] = {}
    images: list[MeasuredImage] = []
    ignored = excluded_truths = 0
    for name, truth in by_name.items():
        if not (truth.labelled and truth.searched):
            continue
        gained, left_out, unseen = _measure(truth, by_image.get(name), rule, threshold)
        images.append(MeasuredImage(name, truth.case, gained))
        ignored += left_out
        excluded_truths += unseen
        sums = cases.setdefault(truth.case, FieldSums())
        own = domains.setdefault(truth.domain, {}).setdefault(truth.case, FieldSums())
        for group in (sums, own):
            group.add(truth.domain, truth.mitoses, truth.area_mm2, gained, threshold)
    rows = tuple(cases[name].row(name) for name in sorted(cases))
    area_mm2 = float(sum(row.area_mm2 for row in rows))
    curve = detection_curve((image.gains for image in images), area_mm2)
    counts = micro(row.counts for row in rows)
    calibration, counted_ece = _calibration(images, threshold)
    per_case = np.array([[row.counts.tp, row.counts.fp, row.counts.fn] for row in rows])
    return FieldReport(
        protocol=rule,
        threshold=float(threshold),
        counts=counts,
        intervals=count_intervals(per_case, bootstraps, seed),
        average_precision=average_precision(curve),
        curve=curve,
        fp_per_mm2=counts.fp / area_mm2 if area_mm2 > 0 else float("nan"),
        fp_at_recall=false_positives_at_recall(curve),
        area_mm2=area_mm2,
        cases=rows,
        domains=tuple(domain_row(name, domains[name].values(), bootstraps, seed) for name in sorted(domains)),
        agreement=count_agreement(np.array([row.truths for row in rows]), np.array([row.found for row in rows])),
        fields=len(images),
        skipped=tuple(name for name, truth in by_name.items() if not truth.labelled),
        ignored=ignored,
        excluded_truths=excluded_truths,
        seed=seed,
        bootstraps=bootstraps,
        images=tuple(images),
        unsearched=tuple(name for name, truth in by_name.items() if truth.labelled and not truth.searched),
        calibration=calibration,
        counted_ece=counted_ece,
    )


def _calibration(images: Sequence[MeasuredImage], threshold: float) -> tuple[Calibration | None, float]:
    """Of all detections but further hits on one truth, and the calibration error of those at the threshold."""
    scores = np.concatenate([np.zeros(0), *(image.gains.scores for image in images)])
    right, wrong = (
        np.concatenate([np.zeros(0, dtype=bool), *(getattr(image.gains, kind) for image in images)])
        for kind in ("true_positive", "false_positive")
    )
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return None, float("nan")
    told = right | wrong
    counted = told & (scores >= threshold)
    return calibration_curve(right[told], scores[told]), calibration_curve(right[counted], scores[counted]).ece


def _indexed(items: Iterable[_Named], what: str) -> dict[str, _Named]:
    by_name: dict[str, _Named] = {}
    for item in items:
        if item.name in by_name:
            raise DataError(f"Image {item.name!r} has more than one {what}. Give every image once, under its own name.")
        by_name[item.name] = item
    return by_name


def _check_names(truths: dict[str, FieldTruth], found: dict[str, FieldFound]) -> None:
    if not any(truth.labelled for truth in truths.values()):
        raise DataError(
            f"None of the {len(truths)} images is labelled, so nothing can be measured. Give the label file."
        )
    if not any(truth.labelled and truth.searched for truth in truths.values()):
        raise DataError("None of the labelled images was searched, so nothing can be measured. Search them first.")
    for name in found:
        if name not in truths:
            near = difflib.get_close_matches(name, truths, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            raise DataError(
                f"There are detections for {name!r}, but no image of that name in the truth. {hint}"
                "Use the same names in both, or leave that image out."
            )


def _outside(xy: np.ndarray, circles: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """(n,) bool: which of the points (n, 2) lie in none of the circles."""
    keep = np.ones(len(xy), dtype=bool)
    for x_px, y_px, radius_px in circles:
        keep &= (xy[:, 0] - x_px) ** 2 + (xy[:, 1] - y_px) ** 2 > radius_px**2
    return keep


def _measure(truth: FieldTruth, found: FieldFound | None, rule: Protocol, threshold: float) -> tuple[Gains, int, int]:
    """Gains of one image, and how many detections (at the threshold) and labels were in excluded circles."""
    mitoses = np.asarray(truth.mitoses, dtype=np.float64).reshape(-1, 2)
    xy = np.asarray(found.xy if found else [], dtype=np.float64).reshape(-1, 2)
    scores = np.asarray(found.scores if found else [], dtype=np.float64).reshape(-1)
    unseen = left_out = 0
    if truth.excluded and len(scores) == len(xy):
        seen, kept = _outside(mitoses, truth.excluded), _outside(xy, truth.excluded)
        unseen, left_out = int((~seen).sum()), int((~kept & (scores >= threshold)).sum())
        mitoses, xy, scores = mitoses[seen], xy[kept], scores[kept]
    try:
        return matching.gains(mitoses, xy, scores, rule, truth.um_per_px), left_out, unseen
    except (DataError, ValueError) as error:
        raise DataError(f"Image {truth.name!r}: {error}") from error
