"""What a report leaves for comparisons, and reading it back: report.json and scores.csv.

scores.csv holds every scored detection of fields (case, image, score, outcome) or every patch (case, class, probability
of each class), at full precision, so that any number can be computed again, also on some of the cases.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.counts import precision_recall_f1
from mitozoo.evaluation.curves import Curve, binary_curve, detection_curve
from mitozoo.evaluation.fields import FieldReport
from mitozoo.evaluation.matching import Gains

REPORT_FILE, SCORES_FILE = "report.json", "scores.csv"
#: Kinds of reports.
FIELDS, PATCHES = "fields", "patches"
_TRUE, _FALSE, _DUPLICATE = "true_positive", "false_positive", "duplicate"
_FIELD_HEADER = ("case", "image", "score", "outcome")


def score_table(report: FieldReport | PatchReport) -> tuple[tuple[str, ...], Iterable[Sequence[Any]]]:
    """Header and rows of scores.csv. An outcome is what the detection adds as the threshold falls to its score."""
    if isinstance(report, FieldReport):
        return _FIELD_HEADER, _field_rows(report)
    names = [report.classes[index] for index in report.truth]
    rows = zip(report.case_names.tolist(), names, report.probabilities.tolist(), strict=True)
    return ("case", "class", *report.classes), ([case, name, *map(repr, row)] for case, name, row in rows)


def _field_rows(report: FieldReport) -> Iterable[Sequence[Any]]:
    for image in report.images:
        gained = image.gains
        for index in np.argsort(-gained.scores, kind="stable"):
            right, wrong = gained.true_positive[index], gained.false_positive[index]
            outcome = _TRUE if right else _FALSE if wrong else _DUPLICATE
            yield image.case, image.name, repr(float(gained.scores[index])), outcome


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A report that was read back.

    Attributes:
        folder, kind ("fields" or "patches"), about (model, weights, data …), protocol (of fields, else empty).
        threshold: score at or above which a detection or patch counts.
        cases: names, sorted; truths (cases,) labelled mitotic figures; labels, a text a case that is equal where the
            labels are; area_mm2 (cases,), nan where not known.
        case, scores (n,): index of the case and mitotic score of each detection or patch; right, wrong (n,) bool: it
            adds a true or a false positive.
        classes, truth (n,), probabilities (n, c): of patches, else empty.
    """

    folder: Path
    kind: str
    about: Mapping[str, str]
    protocol: Mapping[str, Any]
    threshold: float
    cases: tuple[str, ...]
    truths: np.ndarray
    labels: tuple[str, ...]
    area_mm2: np.ndarray
    case: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    classes: tuple[str, ...]
    truth: np.ndarray
    probabilities: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """(cases, 3) tp, fp, fn at the threshold."""
        at = self.scores >= self.threshold
        tp, fp = (np.bincount(self.case[at & kind], minlength=len(self.cases)) for kind in (self.right, self.wrong))
        return np.stack([tp, fp, self.truths - tp], axis=1)

    @property
    def curve(self) -> Curve:
        """All thresholds."""
        if self.kind == PATCHES:
            return binary_curve(self.right, self.scores)
        gained = Gains(self.scores, self.right, self.wrong, int(self.truths.sum()))
        return detection_curve([gained], float(self.area_mm2.sum()))

    def of_cases(self, names: Sequence[str]) -> SavedRun:
        """The same run on some of its cases alone, in their order."""
        place = np.array([self.cases.index(name) for name in names], dtype=np.int64)
        new = np.full(len(self.cases), -1)
        new[place] = np.arange(len(place))
        kept = new[self.case] >= 0
        return dataclasses.replace(
            self,
            cases=tuple(names),
            truths=self.truths[place],
            labels=tuple(self.labels[index] for index in place),
            area_mm2=self.area_mm2[place],
            case=new[self.case][kept],
            **{name: getattr(self, name)[kept] for name in ("scores", "right", "wrong", "truth", "probabilities")},
        )


def read_run(folder: Path) -> SavedRun:
    """Read what `mitozoo evaluate` wrote. Raises: DataError for a folder without a report, or a damaged one."""
    folder = Path(folder)
    for name in (REPORT_FILE, SCORES_FILE):
        if not (folder / name).is_file():
            raise DataError(f"{folder} has no {name}. Give a folder that this version of 'mitozoo evaluate' wrote.")
    try:
        report = json.loads((folder / REPORT_FILE).read_text(encoding="utf-8"))
        with (folder / SCORES_FILE).open(encoding="utf-8", newline="") as stream:
            header, *rows = csv.reader(stream, strict=True)
        run = (_fields_run if report["kind"] == FIELDS else _patches_run)(folder, report, header, rows)
    except (ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
        raise _damaged(folder) from error
    if _total(run) != _said(report):
        raise _damaged(folder)
    return run


def _damaged(folder: Path) -> DataError:
    return DataError(
        f"{folder}: {REPORT_FILE} and {SCORES_FILE} are damaged or not of one report. Run 'mitozoo evaluate' again."
    )


def _total(run: SavedRun) -> tuple[int, ...]:
    return tuple(int(value) for value in run.counts.sum(axis=0))


def _said(report: Mapping[str, Any]) -> tuple[int, ...]:
    counts = report if report["kind"] == FIELDS else report["mitotic"]
    return counts["tp"], counts["fp"], counts["fn"]


def _scores(values: Sequence[Any]) -> np.ndarray:
    scores = np.asarray(values, dtype=np.float64)
    if not np.isfinite(scores).all():
        raise ValueError("A score is not finite.")
    return scores


def _fields_run(folder: Path, report: dict[str, Any], header: list[str], rows: list[list[str]]) -> SavedRun:
    if tuple(header) != _FIELD_HEADER or {row[3] for row in rows} - {_TRUE, _FALSE, _DUPLICATE}:
        raise ValueError("Not the scores of fields.")
    cases = sorted(report["cases"], key=lambda row: row["name"])
    place = {row["name"]: index for index, row in enumerate(cases)}
    outcome = np.array([row[3] for row in rows], dtype=str)
    return SavedRun(
        folder=folder,
        kind=FIELDS,
        about=report["about"],
        protocol=report["protocol"],
        threshold=float(report["threshold"]),
        cases=tuple(place),
        truths=np.array([row["truths"] for row in cases], dtype=np.int64),
        labels=tuple(f"{row['fields']} {row['labels_sha256']}" for row in cases),
        area_mm2=np.array([np.nan if row["area_mm2"] is None else row["area_mm2"] for row in cases], dtype=np.float64),
        case=np.array([place[row[0]] for row in rows], dtype=np.int64),
        scores=_scores([row[2] for row in rows]),
        right=outcome == _TRUE,
        wrong=outcome == _FALSE,
        classes=(),
        truth=np.zeros(len(rows), dtype=np.int64),
        probabilities=np.zeros((len(rows), 0)),
    )


def _patches_run(folder: Path, report: dict[str, Any], header: list[str], rows: list[list[str]]) -> SavedRun:
    classes = tuple(report["classes"])
    if report["kind"] != PATCHES or header != ["case", "class", *classes]:
        raise ValueError("Not the scores of patches.")
    names, case = np.unique(np.array([row[0] for row in rows], dtype=str), return_inverse=True)
    truth = np.array([classes.index(row[1]) for row in rows], dtype=np.int64)
    probabilities = _scores([row[2:] for row in rows]).reshape(len(rows), len(classes))
    kinds = [index for index, name in enumerate(classes) if name in MITOTIC_CLASSES]
    right = np.isin(truth, kinds)
    truths, others = (np.bincount(case[kind], minlength=len(names)) for kind in (right, ~right))
    return SavedRun(
        folder=folder,
        kind=PATCHES,
        about=report["about"],
        protocol={},
        threshold=float(report["threshold"]),
        cases=tuple(names.tolist()),
        truths=truths,
        labels=tuple(f"{mitotic} mitotic, {other} other" for mitotic, other in zip(truths, others, strict=True)),
        area_mm2=np.full(len(names), np.nan),
        case=case,
        scores=np.minimum(probabilities[:, kinds].sum(axis=1), 1.0),
        right=right,
        wrong=~right,
        classes=classes,
        truth=truth,
        probabilities=probabilities,
    )


def rates(counts: np.ndarray) -> dict[str, float]:
    """F1, precision and recall of summed counts (3,)."""
    precision, recall, f1 = precision_recall_f1(*counts)
    return {"f1": float(f1), "precision": float(precision), "recall": float(recall)}
