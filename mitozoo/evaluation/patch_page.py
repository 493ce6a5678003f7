"""The page of a PatchReport."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mitozoo.evaluation.classes import PatchReport
from mitozoo.evaluation.groups import worst
from mitozoo.evaluation.page import cards, facts, figures, interval, number, page, table, text, with_interval
from mitozoo.evaluation.plots import readable

#: Captions of the plots, by file name.
CAPTIONS = {
    "confusion.png": "True class against predicted class: numbers of patches, and their share of the true class.",
    "roc.png": "Mitotic (of any kind) against the rest as the threshold changes; the dot is this report's threshold.",
    "precision_recall.png": "Precision against recall for mitotic against the rest. Grey lines join points of one F1.",
    "calibration.png": "Are 8 of 10 patches with a mitotic score of 0.8 mitotic? On the dashed line they are.",
}
_WORDS = (
    ("Mitotic score", "Sum of the probabilities of all mitotic classes, normal and atypical."),
    ("Precision", "Share of the patches called so that are so."),
    ("Recall", "Share of the patches that are so and were called so (sensitivity)."),
    ("F1", "Harmonic mean of precision and recall: 1 is perfect, 0 is useless."),
    ("ROC AUC", "Chance that a mitotic patch scores above one that is not: 1 is perfect, 0.5 is guessing."),
    ("Balanced accuracy", "Mean of the recalls of the classes, so that rare classes weigh as much as common ones."),
    ("Domain", "What images have in common: scanner, tumour type or source."),
    ("Macro F1", "Mean of the F1 of the classes."),
    ("95 % interval", "Where the number would likely fall for other cases of the same kind (bootstrap over cases)."),
    ("–", "Not defined, for example the recall of a class without a patch."),
)


def patch_page(report: PatchReport, plots: Sequence[Path], title: str, about: Mapping[str, str]) -> str:
    """HTML of the report, with the plots inside. Args: report; plots, PNG files; title; about, facts to list."""
    mitotic = report.mitotic
    lead = (
        f"Patches with a mitotic figure: {mitotic.tp + mitotic.fn:,}; recognised: {mitotic.tp:,}; missed: "
        f"{mitotic.fn:,}. Patches without one: {report.curve.negatives:,}; wrongly called mitotic: {mitotic.fp:,}."
    )
    sections = [
        ("Mitotic or not", _mitotic(report)),
        ("Atypical or normal, among the mitotic figures", _atypical(report)),
        ("All classes", _overall(report) + _classes(report)),
        ("By domain", _domains(report)),
        ("How it was measured", _method(report, about)),
        ("Plots", figures((path, CAPTIONS.get(path.name, path.stem)) for path in plots)),
        ("Words", facts(_WORDS)),
    ]
    subtitle = f"Classification of {report.patches:,} patches of {report.cases:,} cases"
    return page(title, subtitle, lead, sections)


def _mitotic(report: PatchReport) -> str:
    known, counts = report.intervals, report.mitotic
    return cards(
        [
            ("F1", number(counts.f1), interval(known.get("mitotic_f1"))),
            ("Precision", number(counts.precision), interval(known.get("mitotic_precision"))),
            ("Recall", number(counts.recall), interval(known.get("mitotic_recall"))),
            ("ROC AUC", number(report.mitotic_auc), interval(known.get("mitotic_auc"))),
            ("Average precision", number(report.mitotic_ap), "over all thresholds"),
        ]
    )


def _atypical(report: PatchReport) -> str:
    if report.atypical is None:
        return ""
    got = report.atypical
    atypical = got.counts.tp + got.counts.fn
    return cards(
        [
            (
                "Balanced accuracy",
                number(got.balanced_accuracy),
                interval(report.intervals.get("atypical_balanced_accuracy")),
            ),
            ("ROC AUC", number(got.roc_auc), "atypical above normal"),
            ("Atypical recognised", f"{got.counts.tp:,} of {atypical:,}", "of the truly atypical"),
            ("Normal recognised", f"{got.normal - got.counts.fp:,} of {got.normal:,}", "of the truly normal"),
        ]
    )


def _overall(report: PatchReport) -> str:
    known = report.intervals
    return cards(
        [
            ("Accuracy", number(report.accuracy), interval(known.get("accuracy"))),
            ("Balanced accuracy", number(report.balanced_accuracy), interval(known.get("balanced_accuracy"))),
            ("Macro F1", number(report.macro[2]), interval(known.get("macro_f1"))),
        ]
    )


def _classes(report: PatchReport) -> str:
    rows = [
        (
            readable(item.name),
            f"{item.support:,}",
            number(item.counts.precision),
            number(item.counts.recall),
            number(item.counts.f1),
        )
        for item in report.scores
    ]
    mean = [number(value) for value in report.macro]
    return table(
        ("Class", "Patches", "Precision", "Recall", "F1"),
        [*rows, ("mean of the classes", f"{report.patches:,}", *mean)],
    )


def _domains(report: PatchReport) -> str:
    if len(report.domains) < 2:
        return ""
    lowest = worst(report.domains)
    words = (
        ""
        if lowest is None
        else f"<p>Mitotic or not, lowest F1: <b>{text(lowest.name)}</b>, {number(lowest.counts.f1)}.</p>"
    )
    rows = [
        (
            row.name,
            f"{row.cases:,}",
            f"{row.patches:,}",
            f"{row.counts.tp + row.counts.fn:,}",
            with_interval(row.counts.precision, row.intervals.get("precision")),
            with_interval(row.counts.recall, row.intervals.get("recall")),
            with_interval(row.counts.f1, row.intervals.get("f1")),
            with_interval(row.balanced_accuracy, row.intervals.get("balanced_accuracy")),
        )
        for row in report.domains
    ]
    header = ("Domain", "Cases", "Patches", "Mitotic", "Precision", "Recall", "F1", "Balanced accuracy, all classes")
    return words + table(header, rows, "domains.csv")


def _method(report: PatchReport, about: Mapping[str, str]) -> str:
    return facts(
        [
            *about.items(),
            ("Protocol", "One label and one prediction a patch; no distances."),
            ("Threshold", f"A patch counts as mitotic with a mitotic score of {report.threshold:g} or more."),
            ("Class", "The class with the highest probability."),
            ("Intervals", f"Bootstrap over cases, {report.bootstraps:,} draws, seed {report.seed}."),
            ("Calibration", f"Expected calibration error of the mitotic score: {number(report.calibration.ece)}."),
        ]
    )
