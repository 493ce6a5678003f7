"""The tables of a report as CSV; a number that is not defined is an empty cell."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mitozoo.evaluation.bootstrap import Interval
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.counts import Counts
from mitozoo.evaluation.groups import GroupRow, PatchDomain

CASE_HEADER = (
    "case,domain,images,truths,found,true_positives,false_positives,false_negatives,"
    "precision,recall,f1,area_mm2,false_positives_per_mm2"
).split(",")
_RATES_AND_ENDS = "precision,precision_low,precision_high,recall,recall_low,recall_high,f1,f1_low,f1_high".split(",")
FIELD_DOMAIN_HEADER = [
    *"domain,cases,images,mm2,mitotic_figures,true_positives,false_positives,false_negatives".split(","),
    *_RATES_AND_ENDS,
    "false_positives_per_mm2",
]
PATCH_DOMAIN_HEADER = [
    *"domain,cases,patches,mitotic_figures,true_positives,false_positives,false_negatives".split(","),
    *_RATES_AND_ENDS,
    *"balanced_accuracy,balanced_accuracy_low,balanced_accuracy_high".split(","),
]
CLASS_HEADER = "class,patches,predicted,true_positives,false_positives,false_negatives,precision,recall,f1".split(",")


def case_row(row: GroupRow) -> list[Any]:
    """A row of cases.csv."""
    counts = row.counts
    own: list[Any] = [row.name, row.domain, row.fields, row.truths, row.found, counts.tp, counts.fp, counts.fn]
    return own + [_cell(value) for value in (*_rates(counts), row.area_mm2, row.fp_per_mm2)]


def field_domain_row(row: GroupRow) -> list[Any]:
    """A row of domains.csv, of fields."""
    counts = row.counts
    own: list[Any] = [row.name, row.cases, row.fields, _cell(row.area_mm2), row.truths, counts.tp, counts.fp, counts.fn]
    return [*own, *_rates_and_ends(counts, row.intervals), _cell(row.fp_per_mm2)]


def patch_domain_row(row: PatchDomain) -> list[Any]:
    """A row of domains.csv, of patches."""
    counts = row.counts
    own: list[Any] = [row.name, row.cases, row.patches, counts.tp + counts.fn, counts.tp, counts.fp, counts.fn]
    balanced = _with_ends(row.balanced_accuracy, row.intervals["balanced_accuracy"])
    return [*own, *_rates_and_ends(counts, row.intervals), *balanced]


def _rates_and_ends(counts: Counts, intervals: Mapping[str, Interval]) -> list[str]:
    rates = zip(("precision", "recall", "f1"), _rates(counts), strict=True)
    return [cell for name, value in rates for cell in _with_ends(value, intervals[name])]


def _with_ends(value: float, ends: Interval) -> list[str]:
    return [_cell(value), _cell(ends.low), _cell(ends.high)]


def class_rows(report: PatchReport) -> list[list[Any]]:
    """The rows of classes.csv."""
    rows = []
    for item in report.scores:
        counts = item.counts
        own: list[Any] = [item.name, item.support, counts.tp + counts.fp, counts.tp, counts.fp, counts.fn]
        rows.append(own + [_cell(value) for value in _rates(counts)])
    return rows


def _rates(counts: Counts) -> tuple[float, float, float]:
    return counts.precision, counts.recall, counts.f1


def _cell(value: float) -> str:
    """A number of a CSV file; empty where it is not defined."""
    return "" if math.isnan(value) else f"{value:.6g}"


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A header and rows as the text of a CSV file."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
