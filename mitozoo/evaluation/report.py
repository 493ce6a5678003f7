"""Writing a report into a folder: numbers for programs, tables for spreadsheets, plots and a page for people."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.files import make_folder, write_text
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.counts import Counts
from mitozoo.evaluation.curves import Curve
from mitozoo.evaluation.field_page import field_page
from mitozoo.evaluation.fields import FieldReport, GroupRow
from mitozoo.evaluation.page import RESEARCH_ONLY
from mitozoo.evaluation.patch_page import patch_page
from mitozoo.evaluation.plots import (
    FROC,
    PRECISION_RECALL,
    ROC,
    plot_agreement,
    plot_calibration,
    plot_confusion,
    plot_curves,
)
from mitozoo.evaluation.saved import SCORES_FILE, score_table

__all__ = ["plot_confusion", "plot_curves", "report_json", "write_report"]

#: Names of the curves' columns in report.json.
_COLUMNS = {
    PRECISION_RECALL: ("recall", "precision", "f1"),
    FROC: ("fp_per_mm2", "recall"),
    ROC: ("fp_rate", "recall"),
}


def write_report(
    report: FieldReport | PatchReport, folder: Path, title: str = "", about: Mapping[str, str] | None = None
) -> list[Path]:
    """Write report.json, cases.csv (fields) or classes.csv (patches), scores.csv, plots and report.html.

    A plot without data is left out: FROC where the area is not known, curves where there is no mitotic figure.

    Args: report; folder, made if needed, files of the same names are replaced; title of the page, e.g. the model's
    name; about, further facts for the page and report.json (model, weights, data set …).
    Returns: the files written, report.html last. Raises: OutputError if the folder cannot be written.
    """
    folder, about = make_folder(Path(folder)), dict(about or {})
    files = [folder / "report.json"]
    content = report_json(report) | {"title": title, "about": about}
    write_text(files[0], json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    if isinstance(report, FieldReport):
        files.append(folder / "cases.csv")
        write_text(files[-1], csv_text(_CASE_HEADER, [_case_row(row) for row in report.cases]))
        plots = _field_plots(report, folder)
        words = field_page(report, plots, title or "Detection of mitotic figures", about)
    else:
        files.append(folder / "classes.csv")
        write_text(files[-1], csv_text(_CLASS_HEADER, _class_rows(report)))
        plots = _patch_plots(report, folder)
        words = patch_page(report, plots, title or "Classification of patches", about)
    files.append(folder / SCORES_FILE)
    write_text(files[-1], csv_text(*score_table(report)))
    write_text(folder / "report.html", words)
    return [*files, *plots, folder / "report.html"]


def _field_plots(report: FieldReport, folder: Path) -> list[Path]:
    plots, curve = [], {"": report.curve}
    if report.curve.positives and len(report.curve.thresholds):
        plots.append(folder / "precision_recall.png")
        plot_curves(curve, plots[-1], PRECISION_RECALL, report.threshold)
        if report.area_mm2 > 0:
            plots.append(folder / "froc.png")
            plot_curves(curve, plots[-1], FROC, report.threshold)
    if len(report.cases) > 1:
        plots.append(folder / "bland_altman.png")
        truths, found = ([getattr(row, name) for row in report.cases] for name in ("truths", "found"))
        plot_agreement(np.array(truths), np.array(found), report.agreement, plots[-1])
    return plots


def _patch_plots(report: PatchReport, folder: Path) -> list[Path]:
    plots = [folder / "confusion.png"]
    plot_confusion(report.matrix, report.classes, plots[0])
    if report.curve.positives and report.curve.negatives:
        plots.append(folder / "roc.png")
        plot_curves({"": report.curve}, plots[-1], ROC, report.threshold)
    if report.curve.positives:
        plots.append(folder / "precision_recall.png")
        plot_curves({"": report.curve}, plots[-1], PRECISION_RECALL, report.threshold)
    plots.append(folder / "calibration.png")
    plot_calibration(report.calibration, plots[-1])
    return plots


def report_json(report: FieldReport | PatchReport) -> dict[str, Any]:
    """The report as what JSON can hold; null stands for a number that is not defined, curves are thinned."""
    content = _field_json(report) if isinstance(report, FieldReport) else _patch_json(report)
    return plain({"notice": RESEARCH_ONLY, **content})


def _field_json(report: FieldReport) -> dict[str, Any]:
    return {
        "kind": "fields",
        "protocol": asdict(report.protocol),
        "threshold": report.threshold,
        **_counts_json(report.counts),
        "average_precision": report.average_precision,
        "fp_per_mm2": report.fp_per_mm2,
        "fp_per_mm2_at_recall": {f"{recall:g}": price for recall, price in report.fp_at_recall.items()},
        "area_mm2": report.area_mm2,
        "intervals_95": {name: asdict(value) for name, value in report.intervals.items()},
        "bootstrap": {"over": "cases", "draws": report.bootstraps, "seed": report.seed},
        "agreement_of_counts": asdict(report.agreement),
        "fields": report.fields,
        "skipped_unlabelled": report.skipped,
        "detections_in_excluded_circles": report.ignored,
        "labels_in_excluded_circles": report.excluded_truths,
        "domains": [_group_json(row) for row in report.domains],
        "cases": [_group_json(row) for row in report.cases],
        "curves": {kind: _curve_json(report.curve, kind) for kind in (PRECISION_RECALL, FROC)},
    }


def _patch_json(report: PatchReport) -> dict[str, Any]:
    precision, recall, f1 = report.macro
    return {
        "kind": "patches",
        "patches": report.patches,
        "cases": report.cases,
        "classes": report.classes,
        "confusion_rows_truth": report.matrix,
        "per_class": [
            {"name": item.name, "support": item.support, **_counts_json(item.counts)} for item in report.scores
        ],
        "accuracy": report.accuracy,
        "balanced_accuracy": report.balanced_accuracy,
        "macro": {"precision": precision, "recall": recall, "f1": f1},
        "threshold": report.threshold,
        "mitotic": {
            **_counts_json(report.mitotic),
            "roc_auc": report.mitotic_auc,
            "average_precision": report.mitotic_ap,
        },
        "atypical_among_mitotic": None
        if report.atypical is None
        else {
            **_counts_json(report.atypical.counts),
            "normal": report.atypical.normal,
            "balanced_accuracy": report.atypical.balanced_accuracy,
            "roc_auc": report.atypical.roc_auc,
        },
        "intervals_95": {name: asdict(value) for name, value in report.intervals.items()},
        "bootstrap": {"over": "cases", "draws": report.bootstraps, "seed": report.seed},
        "calibration": vars(report.calibration),
        "curves": {kind: _curve_json(report.curve, kind) for kind in (PRECISION_RECALL, ROC)},
    }


def _counts_json(counts: Counts) -> dict[str, float]:
    return {**asdict(counts), "precision": counts.precision, "recall": counts.recall, "f1": counts.f1}


def _group_json(row: GroupRow) -> dict[str, Any]:
    own = {name: value for name, value in asdict(row).items() if name != "counts"}
    return {**own, **_counts_json(row.counts), "fp_per_mm2": row.fp_per_mm2}


def _curve_json(curve: Curve, kind: str) -> dict[str, Any]:
    thin = curve.thinned()
    return {name: getattr(thin, name) for name in ("thresholds", *_COLUMNS[kind])}


def plain(value: Any) -> Any:
    """Numbers, lists and names only; nan and infinity become None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


_CASE_HEADER = (
    "case,domain,images,truths,found,true_positives,false_positives,false_negatives,"
    "precision,recall,f1,area_mm2,false_positives_per_mm2"
).split(",")
_CLASS_HEADER = "class,patches,predicted,true_positives,false_positives,false_negatives,precision,recall,f1".split(",")


def _case_row(row: GroupRow) -> list[Any]:
    counts = row.counts
    own: list[Any] = [row.name, row.domain, row.fields, row.truths, row.found, counts.tp, counts.fp, counts.fn]
    return own + [_cell(value) for value in (*_rates(counts), row.area_mm2, row.fp_per_mm2)]


def _class_rows(report: PatchReport) -> list[list[Any]]:
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
