"""The page of a FieldReport, for a reader who counts mitoses and not bootstraps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from mitozoo.evaluation.fields import FieldReport
from mitozoo.evaluation.groups import GroupRow, worst
from mitozoo.evaluation.page import cards, facts, figures, interval, number, page, table, text, with_interval

#: Captions of the plots, by file name.
CAPTIONS = {
    "precision_recall.png": "Precision against recall as the threshold changes; the dot is the threshold of this "
    "report. Grey lines join points of equal F1.",
    "froc.png": "Share of the mitotic figures found against false positives per mm² of tissue, their price (FROC).",
    "calibration.png": "Are 8 of 10 detections with a score of 0.8 mitotic figures? On the dashed line they are. All "
    "detections that were kept for the curves.",
    "bland_altman.png": "Counts per case, model minus labels, against their mean (Bland–Altman). Dashed lines hold "
    "95 % of the differences; larger dots are several cases.",
}


def field_page(report: FieldReport, plots: Sequence[Path], title: str, about: Mapping[str, str]) -> str:
    """HTML of the report, with the plots inside. Args: report; plots, PNG files; title; about, facts to list."""
    counts = report.counts
    lead = (
        f"Labelled mitotic figures: {counts.tp + counts.fn:,} in {len(report.cases):,} cases. Found: {counts.tp:,}; "
        f"missed: {counts.fn:,}. Other places wrongly marked as a mitotic figure: {counts.fp:,}."
    )
    shown = [(path, CAPTIONS.get(path.name, path.stem)) for path in plots]
    sections = [
        ("Result", _numbers(report)),
        ("How it was measured", _method(report, about)),
        ("Curves and counts", figures(shown)),
        ("False positives to be accepted for a recall", _prices(report)),
        ("By domain", _domains(report)),
        ("By case", _groups(report.cases, "Case", all_rows_in="cases.csv")),
        ("Words", facts(_WORDS)),
    ]
    subtitle = f"Detection of mitotic figures: {report.fields:,} images of {len(report.cases):,} cases"
    return page(title, subtitle, lead, sections)


_WORDS = (
    ("Precision", "Share of the counted detections that are mitotic figures."),
    ("Recall", "Share of the labelled mitotic figures that were found (sensitivity)."),
    ("F1", "Harmonic mean of precision and recall: 1 is perfect, 0 is useless."),
    ("Average precision", "Area under the precision–recall curve, over all thresholds."),
    ("95 % interval", "Where the number would likely fall for other cases of the same kind (bootstrap over cases)."),
    ("Domain", "What images have in common: scanner, tumour type or source."),
    ("Expected calibration error", "How far a score is, on average, from the share of detections that are right."),
    ("ICC(2,1)", "Agreement of two counts: 1 is perfect; values above 0.9 are usually called excellent."),
    ("–", "Not defined, for example the precision of a case in which nothing was found."),
)


def _numbers(report: FieldReport) -> str:
    area = "area not known" if math.isnan(report.area_mm2) else f"in {report.area_mm2:,.2f} mm² searched"
    return cards(
        [
            ("F1", number(report.counts.f1), interval(report.intervals.get("f1"))),
            ("Precision", number(report.counts.precision), interval(report.intervals.get("precision"))),
            ("Recall", number(report.counts.recall), interval(report.intervals.get("recall"))),
            ("Average precision", number(report.average_precision), "over all thresholds"),
            ("False positives per mm²", number(report.fp_per_mm2, 2), area),
        ]
    )


def _method(report: FieldReport, about: Mapping[str, str]) -> str:
    rule, agreement = report.protocol, report.agreement
    rows = [
        *about.items(),
        ("Protocol", f"{rule.name}: {rule.title}. Source: {rule.source}."),
        ("Threshold", f"A detection counts with a score of {report.threshold:g} or more."),
        ("Average", "Counts of all images are added, then divided once (micro average)."),
        ("Intervals", f"Bootstrap over cases, {report.bootstraps:,} draws, seed {report.seed}."),
        (
            "Counts per case",
            f"Model minus labels: {number(agreement.bias, 2)} on average, 95 % of the differences between "
            f"{number(agreement.low, 2)} and {number(agreement.high, 2)}; ICC(2,1) {number(agreement.icc)}.",
        ),
    ]
    if report.calibration is not None:
        rows.append(
            (
                "Calibration",
                f"Expected calibration error of the detections that count: {number(report.counted_ece)}; of all that "
                f"were found, at any score: {number(report.calibration.ece)}.",
            )
        )
    for name, what, images in (
        ("Skipped", "Images without labels, which are not counted as empty", report.skipped),
        ("Not searched", "Labelled images whose search failed, which are not counted", report.unsearched),
    ):
        if images:
            names = ", ".join(images[:5]) + (" …" if len(images) > 5 else "")
            rows.append((name, f"{what}: {len(images):,} ({names})"))
    if report.ignored or report.excluded_truths:
        rows.append(
            (
                "Damaged places",
                f"Left out in excluded circles: detections {report.ignored:,}, labels {report.excluded_truths:,}.",
            )
        )
    return facts(rows)


def _prices(report: FieldReport) -> str:
    if math.isnan(report.area_mm2):
        return ""
    rows = [
        (f"{recall:.0%}", "not reached" if math.isnan(price) else number(price, 2))
        for recall, price in report.fp_at_recall.items()
    ]
    return table(("Recall", "False positives per mm²"), rows)


def _domains(report: FieldReport) -> str:
    if len(report.domains) < 2:
        return ""
    lowest = worst(report.domains)
    words = "" if lowest is None else f"<p>Lowest F1: <b>{text(lowest.name)}</b>, {number(lowest.counts.f1)}.</p>"
    header = ("Domain", "Cases", "Images", "mm²", "Labelled", "Right", "Wrong", "Missed")
    cells = [
        (
            row.name,
            f"{row.cases:,}",
            f"{row.fields:,}",
            number(row.area_mm2, 2),
            f"{row.truths:,}",
            f"{row.counts.tp:,}",
            f"{row.counts.fp:,}",
            f"{row.counts.fn:,}",
            with_interval(row.counts.precision, row.intervals.get("precision")),
            with_interval(row.counts.recall, row.intervals.get("recall")),
            with_interval(row.counts.f1, row.intervals.get("f1")),
            number(row.fp_per_mm2, 2),
        )
        for row in report.domains
    ]
    return words + table((*header, "Precision", "Recall", "F1", "Wrong/mm²"), cells, "domains.csv", tight=True)


def _groups(rows: Sequence[GroupRow], kind: str, all_rows_in: str = "") -> str:
    header = (
        kind,
        "Images",
        "Labelled",
        "Counted",
        "Right",
        "Wrong",
        "Missed",
        "Precision",
        "Recall",
        "F1",
        "Wrong/mm²",
    )
    cells = [
        (
            row.name,
            f"{row.fields:,}",
            f"{row.truths:,}",
            f"{row.found:,}",
            f"{row.counts.tp:,}",
            f"{row.counts.fp:,}",
            f"{row.counts.fn:,}",
            number(row.counts.precision, 2),
            number(row.counts.recall, 2),
            number(row.counts.f1, 2),
            number(row.fp_per_mm2, 2),
        )
        for row in rows
    ]
    return table(header, cells, all_rows_in)
