"""Several models on the same labelled cases, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.evaluation.bootstrap import (
    METRICS,
    Interval,
    PairedTest,
    ap_samples,
    auc_samples,
    paired_difference,
    percentile_interval,
    resample_sums,
)
from mitozoo.evaluation.classes import atypical_by_case
from mitozoo.evaluation.confusion import balanced_accuracy, tables_by_case
from mitozoo.evaluation.curves import average_precision, roc_auc
from mitozoo.evaluation.saved import PATCHES, SavedRun, rates, read_run

#: Name of a number: how people call it. The order is that of tables.
TITLES = {
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "average_precision": "Average precision",
    "roc_auc": "ROC AUC",
    "balanced_accuracy": "Balanced accuracy",
    "atypical_balanced_accuracy": "Balanced accuracy, atypical",
}
#: A difference with a smaller p value is called clear.
ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Row:
    """One model of a comparison.

    Attributes: name, unique; run, on the shared cases alone; values and 95 % intervals by the names in `TITLES`; tests,
    this model minus the first by the same names, empty for the first.
    """

    name: str
    run: SavedRun
    values: dict[str, float]
    intervals: dict[str, Interval]
    tests: dict[str, PairedTest]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Models on the cases that all of them were measured on.

    Attributes: rows, in the order given; metrics, names in `TITLES` that all rows have; cases, shared; left_out, cases
    of each model that others lack; seed and number of the bootstrap.
    """

    rows: tuple[Row, ...]
    metrics: tuple[str, ...]
    cases: tuple[str, ...]
    left_out: dict[str, tuple[str, ...]]
    seed: int
    bootstraps: int

    @property
    def kind(self) -> str:
        """Whether "fields" or "patches" were measured."""
        return self.rows[0].run.kind

    @property
    def data(self) -> str:
        """Name of the data set; empty where the reports do not say."""
        return self.rows[0].run.about.get("data", "")

    @property
    def truths(self) -> int:
        """Labelled mitotic figures of the shared cases."""
        return int(self.rows[0].run.truths.sum())


def compare(folders: Sequence[Path], bootstraps: int = 1000, seed: int = 0) -> Comparison:
    """Compare reports that `mitozoo evaluate` wrote, on the cases that all of them measured.

    Every number is computed on those cases; cases are drawn alike for all models, so that differences are paired.

    Args: folders, two or more; number and seed of the bootstrap.
    Raises: DataError for fewer than two reports, reports of another kind, data set, protocol or labels than the first,
    or no case that all share.
    """
    if len(folders) < 2:
        raise DataError("A comparison needs two reports or more. Give the folders that 'mitozoo evaluate' wrote.")
    runs = [read_run(folder) for folder in folders]
    for other in runs[1:]:
        _check_pair(runs[0], other)
    shared = sorted(set(runs[0].cases).intersection(*(run.cases for run in runs[1:])))
    if not shared:
        raise DataError(
            f"No case is in all of {', '.join(str(run.folder) for run in runs)}. Measure the models on the same cases."
        )
    names = unique_names(runs)
    on_shared = [run.of_cases(shared) for run in runs]
    same_classes = len({run.classes for run in runs}) == 1
    measured = [_measure(run, same_classes, bootstraps, seed) for run in on_shared]
    metrics = tuple(name for name in TITLES if all(name in values for values, _ in measured))
    rows = [
        _row(name, run, found, measured[0] if index else None, metrics)
        for index, (name, run, found) in enumerate(zip(names, on_shared, measured, strict=True))
    ]
    left_out = {
        name: tuple(case for case in run.cases if case not in set(shared))
        for name, run in zip(names, runs, strict=True)
    }
    return Comparison(
        tuple(rows),
        metrics,
        tuple(shared),
        {name: cases for name, cases in left_out.items() if cases},
        seed,
        bootstraps,
    )


def unique_names(runs: Sequence[SavedRun]) -> list[str]:
    """The models' names (the folders' where a report names none); those that occur again get numbers."""
    given = [run.about.get("model") or run.folder.resolve().name for run in runs]
    often, taken = Counter(given), set(given)
    names, used = [], Counter[str]()
    for name in given:
        if often[name] > 1:
            used[name] += 1
            while f"{name} ({used[name]})" in taken:
                used[name] += 1
        names.append(f"{name} ({used[name]})" if often[name] > 1 else name)
    return names


def _check_pair(first: SavedRun, other: SavedRun) -> None:
    """Raises: DataError if the two cannot be compared."""
    for what, get in (
        ("kinds", lambda run: run.kind),
        ("data", lambda run: run.about.get("data", "")),
        ("protocols", lambda run: run.protocol.get("name", "")),
    ):
        if get(first) != get(other):
            raise DataError(
                f"Reports of different {what} cannot be compared: {first.folder} has {get(first)!r}, {other.folder} "
                f"has {get(other)!r}. Measure both models in the same way."
            )
    if dict(first.protocol) != dict(other.protocol):
        raise DataError(
            f"{first.folder} and {other.folder} used different versions of the protocol {first.protocol['name']!r}. "
            "Run 'mitozoo evaluate' again for both."
        )
    labels = dict(zip(first.cases, first.labels, strict=True))
    for case, label in zip(other.cases, other.labels, strict=True):
        if labels.get(case, label) != label:
            raise DataError(
                f"Case {case!r} has other labels in {first.folder} than in {other.folder}: the data are different, or "
                "were changed in between. Run 'mitozoo evaluate' again for both."
            )


#: Values, and samples (bootstraps,) on resampled cases, by the names in `TITLES`.
_Measured = tuple[dict[str, float], dict[str, np.ndarray]]


def _measure(run: SavedRun, same_classes: bool, bootstraps: int, seed: int) -> _Measured:
    sums = resample_sums(run.counts, bootstraps, seed)
    values = rates(run.counts.sum(axis=0)) | {"average_precision": average_precision(run.curve)}
    samples = {name: metric(sums) for name, metric in METRICS.items()}
    samples["average_precision"] = ap_samples(run.scores, run.right, run.wrong, run.case, run.truths, bootstraps, seed)
    if run.kind == PATCHES:
        values["roc_auc"] = roc_auc(run.right, run.scores)
        samples["roc_auc"] = auc_samples(run.right, run.scores, run.case, len(run.cases), bootstraps, seed)
        for name, tables in _class_tables(run, same_classes).items():
            values[name] = float(balanced_accuracy(tables.sum(axis=0)))
            samples[name] = balanced_accuracy(resample_sums(tables, bootstraps, seed))
    return values, samples


def _class_tables(run: SavedRun, same_classes: bool) -> dict[str, np.ndarray]:
    """Confusion matrices by case; over all classes only where every model has the same."""
    tables = {}
    if same_classes:
        predicted = run.probabilities.argmax(axis=1)
        tables["balanced_accuracy"] = tables_by_case(run.truth, predicted, run.case, len(run.classes))
    _, atypical = atypical_by_case(run.truth, run.probabilities, run.classes, run.case)
    # Without a patch of both kinds there is nothing to tell apart.
    if atypical is not None and atypical.sum(axis=(0, 2)).all():
        tables["atypical_balanced_accuracy"] = atypical
    return tables


def _row(name: str, run: SavedRun, found: _Measured, first: _Measured | None, metrics: Sequence[str]) -> Row:
    values, samples = found
    cases = len(run.cases)
    tests = {}
    if first is not None:
        tests = {
            key: paired_difference(values[key] - first[0][key], samples[key] - first[1][key], cases) for key in metrics
        }
    intervals = {key: percentile_interval(samples[key], cases) for key in metrics}
    return Row(name, run, {key: values[key] for key in metrics}, intervals, tests)


def verdict(test: PairedTest) -> str:
    """A difference in a word: "better", "worse", "no clear difference" or "cannot be told" (fewer than two cases)."""
    if np.isnan(test.p_value):
        return "cannot be told"
    if test.p_value >= ALPHA or test.difference == 0:
        return "no clear difference"
    return "better" if test.difference > 0 else "worse"


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as what JSON can hold, but for numbers that are not defined."""
    return {
        "kind": comparison.kind,
        "data": comparison.data,
        "protocol": dict(comparison.rows[0].run.protocol),
        "cases": comparison.cases,
        "cases_left_out": comparison.left_out,
        "mitotic_figures": comparison.truths,
        "bootstrap": {"over": "cases", "draws": comparison.bootstraps, "seed": comparison.seed},
        "compared_with": comparison.rows[0].name,
        "models": [_row_json(row) for row in comparison.rows],
    }


def _row_json(row: Row) -> dict[str, Any]:
    tp, fp, fn = row.run.counts.sum(axis=0)
    return {
        "name": row.name,
        "report": str(row.run.folder),
        "about": dict(row.run.about),
        "threshold": row.run.threshold,
        "counts": {"tp": tp, "fp": fp, "fn": fn},
        **row.values,
        "intervals_95": {name: vars(value) for name, value in row.intervals.items()},
        "minus_first": {
            name: {"difference": test.difference, **vars(test.interval), "p_value": test.p_value}
            for name, test in row.tests.items()
        },
    }


#: Columns of `comparison_rows`.
HEADER = ("model", "weights", "threshold", "metric", "value", "low_95", "high_95") + (
    "minus_first", "minus_first_low_95", "minus_first_high_95", "p_value",
)  # fmt: skip


def comparison_rows(comparison: Comparison) -> list[list[str]]:
    """Rows of compare.csv, one a model and number; empty cells where a number is not defined."""
    table = []
    for row in comparison.rows:
        for name in comparison.metrics:
            interval, test = row.intervals[name], row.tests.get(name)
            numbers = [row.values[name], interval.low, interval.high]
            if test is not None:
                numbers += [test.difference, test.interval.low, test.interval.high, test.p_value]
            cells = ["" if np.isnan(value) else f"{value:.6g}" for value in numbers]
            own = [row.name, row.run.about.get("weights", ""), f"{row.run.threshold:g}", name]
            table.append(own + cells + [""] * (7 - len(cells)))
    return table
