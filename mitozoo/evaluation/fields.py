"""Measuring detections in fields and slides against complete labels."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.evaluation import matching
from mitozoo.evaluation.agreement import Agreement, count_agreement
from mitozoo.evaluation.bootstrap import Interval, count_intervals
from mitozoo.evaluation.counts import Counts, micro
from mitozoo.evaluation.curves import Curve, average_precision, detection_curve, false_positives_at_recall
from mitozoo.evaluation.matching import Gains, Protocol


@dataclass(frozen=True, eq=False)
class FieldTruth:
    """What is known of one image.

    Attributes: name, unique; case, patient or slide; mitoses (n, 2) centres x, y in pixels; um_per_px, or None where
    not known; area_mm2 searched, nan where not known; excluded, circles (x_px, y_px, radius_px) in which nothing is
    counted; labelled, False where nobody has looked; domain, scanner or tumour type.
    """

    name: str
    case: str
    mitoses: np.ndarray
    um_per_px: float | None
    area_mm2: float = float("nan")
    excluded: Sequence[tuple[float, float, float]] = ()
    labelled: bool = True
    domain: str = ""


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


@dataclass(frozen=True)
class GroupRow:
    """One row of the table by case or by domain.

    Attributes: name; domain, of a case: its domains; fields, how many; truths and found, how many at the threshold
    (found = tp + fp + duplicates); counts; area_mm2, nan where not known; labels_sha256, of the labelled centres, by
    which other reports can be told to be of the same labels.
    """

    name: str
    domain: str
    fields: int
    truths: int
    found: int
    counts: Counts
    area_mm2: float
    labels_sha256: str = ""

    @property
    def fp_per_mm2(self) -> float:
        """False positives per mm²; nan where the area is not known."""
        return self.counts.fp / self.area_mm2 if self.area_mm2 > 0 else float("nan")


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


@dataclass
class _Sums:
    """Running sums of a group."""

    domains: set[str] = field(default_factory=set)
    fields: int = 0
    truths: int = 0
    found: int = 0
    tp: int = 0
    fp: int = 0
    area_mm2: float = 0.0
    labels: list[bytes] = field(default_factory=list)

    def add(self, truth: FieldTruth, gained: Gains, threshold: float) -> None:
        at = gained.scores >= threshold
        self.domains.add(truth.domain)
        self.fields += 1
        self.truths += gained.truths
        self.found += int(at.sum())
        self.tp += int(gained.true_positive[at].sum())
        self.fp += int(gained.false_positive[at].sum())
        self.area_mm2 += truth.area_mm2
        self.labels.append(_labels_digest(truth))

    def row(self, name: str) -> GroupRow:
        domain = ", ".join(sorted(self.domains - {""}))
        counts = Counts(self.tp, self.fp, self.truths - self.tp)
        labels = hashlib.sha256(b"".join(sorted(self.labels))).hexdigest()
        return GroupRow(name, domain, self.fields, self.truths, self.found, counts, self.area_mm2, labels)


def _labels_digest(truth: FieldTruth) -> bytes:
    """SHA-256 of the labelled centres, in whatever order they came, to a hundredth of a pixel."""
    centres = np.round(np.asarray(truth.mitoses, dtype=np.float64).reshape(-1, 2) * 100).astype("<i8")
    return hashlib.sha256(centres[np.lexsort(centres.T)].tobytes()).digest()


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
    and labels inside an excluded circle (its edge too) are left out before matching. Unlabelled images are skipped.

    Args: truths; found, with every detection that is worth a point on the curves, also below `threshold`; protocol or
    its name; threshold; seed and number of the bootstrap.
    Raises: DataError for detections of an image that is not among the truths, a name given twice, no labelled image, a
    spacing that the protocol needs and does not get, or numbers that are not finite; UnknownNameError for a protocol.
    """
    rule = matching.protocol(protocol) if isinstance(protocol, str) else protocol
    by_name, by_image = _indexed(truths, "truth"), _indexed(found, "set of detections")
    _check_names(by_name, by_image)
    cases: dict[str, _Sums] = {}
    domains: dict[str, _Sums] = {}
    images: list[MeasuredImage] = []
    ignored = excluded_truths = 0
    for name, truth in by_name.items():
        if not truth.labelled:
            continue
        gained, left_out, unseen = _measure(truth, by_image.get(name), rule, threshold)
        images.append(MeasuredImage(name, truth.case, gained))
        ignored += left_out
        excluded_truths += unseen
        cases.setdefault(truth.case, _Sums()).add(truth, gained, threshold)
        domains.setdefault(truth.domain, _Sums()).add(truth, gained, threshold)
    rows = tuple(cases[name].row(name) for name in sorted(cases))
    area_mm2 = float(sum(row.area_mm2 for row in rows))
    curve = detection_curve((image.gains for image in images), area_mm2)
    counts = micro(row.counts for row in rows)
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
        domains=tuple(domains[name].row(name or "not given") for name in sorted(domains)),
        agreement=count_agreement(np.array([row.truths for row in rows]), np.array([row.found for row in rows])),
        fields=len(images),
        skipped=tuple(name for name, truth in by_name.items() if not truth.labelled),
        ignored=ignored,
        excluded_truths=excluded_truths,
        seed=seed,
        bootstraps=bootstraps,
        images=tuple(images),
    )


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
