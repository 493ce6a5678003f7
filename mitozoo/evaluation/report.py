"""Writing a report into a folder: numbers for programs, tables for spreadsheets, plots and a page for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.files import make_folder, write_text
from mitozoo.evaluation.bootstrap import Interval
from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.counts import Counts
from mitozoo.evaluation.curves import Curve
from mitozoo.evaluation.field_page import field_page
from mitozoo.evaluation.fields import FieldReport
from mitozoo.evaluation.groups import NO_DOMAIN, GroupRow
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
from mitozoo.evaluation.tables import (
    CASE_HEADER,
    CLASS_HEADER,
    FIELD_DOMAIN_HEADER,
    PATCH_DOMAIN_HEADER,
    case_row,
    class_rows,
    csv_text,
    field_domain_row,
    patch_domain_row,
)

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
    """Write report.json, cases.csv (fields) or classes.csv (patches), domains.csv, scores.csv, plots and report.html.

    What has no data is left out: FROC where the area is not known, curves where there is no mitotic figure, domains.csv
    where the data have no domains.

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
        write_text(files[-1], csv_text(CASE_HEADER, [case_row(row) for row in report.cases]))
        domains = csv_text(FIELD_DOMAIN_HEADER, map(field_domain_row, report.domains))
        plots = _field_plots(report, folder)
        words = field_page(report, plots, title or "Detection of mitotic figures", about)
    else:
        files.append(folder / "classes.csv")
        write_text(files[-1], csv_text(CLASS_HEADER, class_rows(report)))
        domains = csv_text(PATCH_DOMAIN_HEADER, map(patch_domain_row, report.domains))
        plots = _patch_plots(report, folder)
        words = patch_page(report, plots, title or "Classification of patches", about)
    if report.domains and [row.name for row in report.domains] != [NO_DOMAIN]:
        files.append(folder / "domains.csv")
        write_text(files[-1], domains)
    else:
        # A report that is replaced may have had one.
        (folder / "domains.csv").unlink(missing_ok=True)
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
    if report.calibration is not None:
        plots.append(folder / "calibration.png")
        plot_calibration(report.calibration, plots[-1], "detections")
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
        "intervals_95": report.intervals,
        "bootstrap": {"over": "cases", "draws": report.bootstraps, "seed": report.seed},
        "agreement_of_counts": asdict(report.agreement),
        "fields": report.fields,
        "skipped_unlabelled": report.skipped,
        "skipped_unsearched": report.unsearched,
        "calibration": None
        if report.calibration is None
        else {**vars(report.calibration), "ece_at_threshold": report.counted_ece},
        "detections_in_excluded_circles": report.ignored,
        "labels_in_excluded_circles": report.excluded_truths,
        "domains": [{**_group_json(row), "intervals_95": row.intervals} for row in report.domains],
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
        "intervals_95": report.intervals,
        "bootstrap": {"over": "cases", "draws": report.bootstraps, "seed": report.seed},
        "calibration": vars(report.calibration),
        "domains": [
            {
                "name": row.name,
                "cases": row.cases,
                "patches": row.patches,
                **_counts_json(row.counts),
                "balanced_accuracy": row.balanced_accuracy,
                "intervals_95": row.intervals,
            }
            for row in report.domains
        ],
        "curves": {kind: _curve_json(report.curve, kind) for kind in (PRECISION_RECALL, ROC)},
    }


def _counts_json(counts: Counts) -> dict[str, float]:
    return {**asdict(counts), "precision": counts.precision, "recall": counts.recall, "f1": counts.f1}


def _group_json(row: GroupRow) -> dict[str, Any]:
    own = {name: value for name, value in asdict(row).items() if name not in ("counts", "intervals")}
    return {**own, **_counts_json(row.counts), "fp_per_mm2": row.fp_per_mm2}


def _curve_json(curve: Curve, kind: str) -> dict[str, Any]:
    thin = curve.thinned()
    return {name: getattr(thin, name) for name in ("thresholds", *_COLUMNS[kind])}


def plain(value: Any) -> Any:
    """Numbers, lists and names only; nan and infinity become None."""
    if isinstance(value, Interval):
        return plain(asdict(value))
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
