"""Rows of the tables by case and by domain, of fields and of patches."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np

from mitozoo.evaluation.bootstrap import Interval, count_intervals, percentile_interval, resample_sums
from mitozoo.evaluation.confusion import balanced_accuracy, positive_counts, tables_by_case
from mitozoo.evaluation.counts import Counts, micro
from mitozoo.evaluation.matching import Gains

#: Name of the row of what has no domain.
NO_DOMAIN = "not given"


@dataclass(frozen=True)
class GroupRow:
    """One row of the table by case or by domain.

    Attributes: name; domain, of a case: its domains; fields, how many; truths and found, how many at the threshold
    (found = tp + fp + duplicates); counts; area_mm2, nan where not known; labels_sha256, of the labelled centres, by
    which other reports can be told to be of the same labels; cases, how many; intervals, of a domain: 95 % bootstrap
    intervals of precision, recall and f1 over its cases.
    """

    name: str
    domain: str
    fields: int
    truths: int
    found: int
    counts: Counts
    area_mm2: float
    labels_sha256: str = ""
    cases: int = 1
    intervals: dict[str, Interval] = field(default_factory=dict)

    @property
    def fp_per_mm2(self) -> float:
        """False positives per mm²; nan where the area is not known."""
        return self.counts.fp / self.area_mm2 if self.area_mm2 > 0 else float("nan")


@dataclass
class FieldSums:
    """Running sums of the fields of a case, or of what a case has in a domain."""

    domains: set[str] = field(default_factory=set)
    fields: int = 0
    truths: int = 0
    found: int = 0
    tp: int = 0
    fp: int = 0
    area_mm2: float = 0.0
    labels: list[bytes] = field(default_factory=list)

    def add(self, domain: str, mitoses: np.ndarray, area_mm2: float, gained: Gains, threshold: float) -> None:
        """Add a field: its domain, labelled centres (n, 2), area, and what its detections gained."""
        at = gained.scores >= threshold
        self.domains.add(domain)
        self.fields += 1
        self.truths += gained.truths
        self.found += int(at.sum())
        self.tp += int(gained.true_positive[at].sum())
        self.fp += int(gained.false_positive[at].sum())
        self.area_mm2 += area_mm2
        self.labels.append(_labels_digest(mitoses))

    def row(self, name: str) -> GroupRow:
        """The row of a case."""
        domain = ", ".join(sorted(self.domains - {""}))
        labels = hashlib.sha256(b"".join(sorted(self.labels))).hexdigest()
        return GroupRow(name, domain, self.fields, self.truths, self.found, self.counts, self.area_mm2, labels)

    @property
    def counts(self) -> Counts:
        """True and false positives, and what was missed."""
        return Counts(self.tp, self.fp, self.truths - self.tp)


def _labels_digest(mitoses: np.ndarray) -> bytes:
    """SHA-256 of the labelled centres, in whatever order they came, to a hundredth of a pixel."""
    centres = np.round(np.asarray(mitoses, dtype=np.float64).reshape(-1, 2) * 100).astype("<i8")
    return hashlib.sha256(centres[np.lexsort(centres.T)].tobytes()).digest()


def domain_row(name: str, by_case: Iterable[FieldSums], bootstraps: int, seed: int) -> GroupRow:
    """The row of a domain, from what each of its cases has in it."""
    cases = list(by_case)
    table = np.array([[item.counts.tp, item.counts.fp, item.counts.fn] for item in cases])
    labels = hashlib.sha256(b"".join(sorted(digest for item in cases for digest in item.labels))).hexdigest()
    return GroupRow(
        name=name or NO_DOMAIN,
        domain="",
        fields=sum(item.fields for item in cases),
        truths=sum(item.truths for item in cases),
        found=sum(item.found for item in cases),
        counts=micro(item.counts for item in cases),
        area_mm2=float(sum(item.area_mm2 for item in cases)),
        labels_sha256=labels,
        cases=len(cases),
        intervals=count_intervals(table, bootstraps, seed),
    )


@dataclass(frozen=True)
class PatchDomain:
    """One domain of classified patches.

    Attributes: name; cases and patches, how many; counts of mitotic against the rest; balanced_accuracy, mean recall of
    the classes that occur; intervals, 95 % bootstrap intervals over its cases of precision, recall, f1 and
    balanced_accuracy.
    """

    name: str
    cases: int
    patches: int
    counts: Counts
    balanced_accuracy: float
    intervals: dict[str, Interval] = field(default_factory=dict)


def patch_domains(
    truth: np.ndarray,
    predicted: np.ndarray,
    positive: np.ndarray,
    called: np.ndarray,
    cases: np.ndarray,
    domains: Sequence[str] | np.ndarray,
    classes: int,
    bootstraps: int = 1000,
    seed: int = 0,
) -> tuple[PatchDomain, ...]:
    """The table by domain of classified patches, sorted by name; empty where no patch has a domain.

    Args: truth and predicted (n,) class indices; positive and called (n,) bool, mitotic in truth and by the score;
    cases and domains (n,) names; classes, how many; bootstraps and seed of the intervals.
    """
    names = np.asarray(domains).astype(str)
    if not (names != "").any():
        return ()
    rows = []
    for name in np.unique(names):
        at = names == name
        own, case = np.unique(np.asarray(cases)[at], return_inverse=True)
        tables = tables_by_case(truth[at], predicted[at], case, classes)
        mitotic = tables_by_case(positive[at], called[at], case, 2)
        counts = np.stack([mitotic[:, 1, 1], mitotic[:, 0, 1], mitotic[:, 1, 0]], axis=1)
        samples = balanced_accuracy(resample_sums(tables, bootstraps, seed))
        rows.append(
            PatchDomain(
                name=str(name) or NO_DOMAIN,
                cases=len(own),
                patches=int(at.sum()),
                counts=positive_counts(mitotic.sum(axis=0)),
                balanced_accuracy=float(balanced_accuracy(tables.sum(axis=0))),
                intervals=count_intervals(counts, bootstraps, seed)
                | {"balanced_accuracy": percentile_interval(samples, len(own))},
            )
        )
    return tuple(rows)


class _Counted(Protocol):
    """A row with counts."""

    @property
    def counts(self) -> Counts:
        """Its counts."""


_Row = TypeVar("_Row", bound=_Counted)


def worst(rows: Sequence[_Row]) -> _Row | None:
    """The row with the lowest F1, of equal ones the first; None where fewer than two rows have one."""
    known = [row for row in rows if not math.isnan(row.counts.f1)]
    return min(known, key=lambda row: row.counts.f1) if len(known) > 1 else None
