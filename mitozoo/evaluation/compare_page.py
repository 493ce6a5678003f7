"""Writing a comparison into a folder: compare.json, compare.csv, two plots and one self-contained page."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from mitozoo.base.files import make_folder, write_text
from mitozoo.evaluation.bootstrap import Interval, PairedTest
from mitozoo.evaluation.compare import (
    HEADER,
    TITLES,
    Comparison,
    Row,
    comparison_json,
    comparison_rows,
    verdict,
)
from mitozoo.evaluation.compare_plots import plot_forest
from mitozoo.evaluation.page import RESEARCH_ONLY, facts, figures, number, page, table
from mitozoo.evaluation.plots import plot_curves
from mitozoo.evaluation.report import csv_text, plain
from mitozoo.evaluation.saved import FIELDS

JSON_FILE = "compare.json"
CURVES_FILE, FOREST_FILE = "precision_recall.png", "f1.png"
#: Cases below which a bootstrap over cases is rough.
FEW_CASES = 10
#: Numbers side by side in one table.
COLUMNS = 4
CAPTIONS = {
    FOREST_FILE: "Left: F1 of each model. Right: its difference to the first model on the same cases; an interval that "
    "leaves out the dashed line is a clear difference, even where the intervals on the left overlap.",
    CURVES_FILE: "Precision against recall as the threshold changes; the dots are the thresholds that the models use. "
    "Grey lines join points of equal F1.",
}
_WORDS = (
    ("F1", "Harmonic mean of precision and recall: 1 is perfect, 0 is useless."),
    ("Precision", "Share of what was called a mitotic figure that is one."),
    ("Recall", "Share of the labelled mitotic figures that were found (sensitivity)."),
    ("Average precision", "Area under the precision–recall curve, over all thresholds."),
    ("95 % interval", "Where the number would likely fall for other cases of the same kind (bootstrap over cases)."),
    (
        "p",
        "How often a difference as large would come about by the choice of cases alone if the models were equally "
        "good. Under 0.05 it is called clear here.",
    ),
    ("–", "Not defined, for example the precision of a model that found nothing."),
)


def write_comparison(comparison: Comparison, folder: Path) -> list[Path]:
    """Write compare.json, compare.csv, the plots that apply, and compare.html.

    Args: comparison; folder, made if needed, files of the same names are replaced.
    Returns: the files written, compare.html last. Raises: OutputError if the folder cannot be written.
    """
    folder = make_folder(Path(folder))
    files = [folder / JSON_FILE, folder / "compare.csv"]
    content = plain({"notice": RESEARCH_ONLY, **comparison_json(comparison)})
    write_text(files[0], json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    write_text(files[1], csv_text(HEADER, comparison_rows(comparison)))
    plots = _plots(comparison, folder)
    write_text(folder / "compare.html", comparison_page(comparison, plots))
    return [*files, *plots, folder / "compare.html"]


def _plots(comparison: Comparison, folder: Path) -> list[Path]:
    rows = comparison.rows
    plots = [folder / FOREST_FILE]
    plot_forest(
        {row.name: (row.values["f1"], row.intervals["f1"]) for row in rows},
        {row.name: row.tests["f1"] for row in rows[1:]},
        plots[0],
    )
    curves = {row.name: row.run.curve for row in rows}
    if comparison.truths and any(len(curve.thresholds) for curve in curves.values()):
        plots.append(folder / CURVES_FILE)
        plot_curves(curves, plots[-1], threshold={row.name: row.run.threshold for row in rows})
    return plots


def comparison_page(comparison: Comparison, plots: Sequence[Path]) -> str:
    """HTML of a comparison, with the plots inside. Args: comparison; plots, PNG files."""
    rows = comparison.rows
    sections = [
        ("Side by side", _side_by_side(comparison)),
        (f"Compared with {rows[0].name}", _tests(comparison)),
        (
            "Plots",
            "".join(figures([(path, CAPTIONS[path.name])], wide=path.name == FOREST_FILE) for path in plots),
        ),
        ("How it was compared", _method(comparison)),
        ("Models", _models(rows)),
        ("Words", facts(_WORDS)),
    ]
    what = "Detection of mitotic figures" if comparison.kind == FIELDS else "Classification of patches"
    on = f" on {comparison.data}" if comparison.data else ""
    subtitle = f"{what}: {len(rows)} models, {len(comparison.cases):,} cases, {comparison.truths:,} mitotic figures"
    return page(f"Comparison of models{on}", subtitle, " ".join(summary(comparison)), sections)


def summary(comparison: Comparison) -> list[str]:
    """What the comparison says, one sentence for the highest F1 and one for each model but the first."""
    first, *others = comparison.rows
    known = [row for row in comparison.rows if not math.isnan(row.values["f1"])]
    if not known:
        return ["No model has an F1 on these cases: nothing is there, and nothing was found."]
    best = max(known, key=lambda row: row.values["f1"])
    said = [f"Highest F1: {best.name}, {best.values['f1']:.3f}."]
    for row in others:
        test, words = row.tests["f1"], verdict(row.tests["f1"])
        if words in ("better", "worse"):
            words = f"clearly {words}"
        said.append(
            f"{row.name} against {first.name}: {words} "
            f"(F1 {_signed(test.difference)}{_ends(test.interval, signed=True)}, {_p(test)})."
        )
    return said


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.3f}".replace("-", "−")


def _ends(interval: Interval, signed: bool = False) -> str:
    """The ends of an interval, after its number; empty where they are not known."""
    if math.isnan(interval.low):
        return ""
    low, high = (_signed(value) if signed else number(value) for value in (interval.low, interval.high))
    return f" [{low} to {high}]"


def _p(test: PairedTest) -> str:
    return "p not known" if math.isnan(test.p_value) else f"p {test.p_value:.2g}"


def _side_by_side(comparison: Comparison) -> str:
    def cell(row: Row, name: str) -> str:
        return _lines(number(row.values[name]), _ends(row.intervals[name]))

    return _tables(comparison.rows, comparison.metrics, cell)


def _tests(comparison: Comparison) -> str:
    def cell(row: Row, name: str) -> str:
        test = row.tests[name]
        return _lines(_signed(test.difference), _ends(test.interval, signed=True), _p(test))

    return _tables(comparison.rows[1:], comparison.metrics, cell)


def _tables(rows: Sequence[Row], metrics: Sequence[str], cell: Callable[[Row, str], str]) -> str:
    """Tables of models by numbers, of so many columns as fit the page."""
    parts = [metrics[start : start + COLUMNS] for start in range(0, len(metrics), COLUMNS)]
    return "<br>".join(
        table(
            ["Model", *(TITLES[name] for name in part)],
            [[row.name, *(cell(row, name) for name in part)] for row in rows],
        )
        for part in parts
    )


def _lines(*parts: str) -> str:
    """A cell's parts, one a line, which are not broken further."""
    return "\n".join(part.strip().replace(" ", "\N{NO-BREAK SPACE}") for part in parts if part)


def _method(comparison: Comparison) -> str:
    rule = comparison.rows[0].run.protocol
    protocol = f"{rule['name']}: {rule['title']}." if rule else "One label and one prediction a patch; no distances."
    rows = [
        ("Data", comparison.data or "not named"),
        ("Protocol", protocol),
        ("Cases", f"{len(comparison.cases):,}, those that every model was measured on. All numbers are of these."),
        ("Average", "Counts of all images are added, then divided once (micro average)."),
        ("Intervals", f"Bootstrap over cases, {comparison.bootstraps:,} draws, seed {comparison.seed}."),
        (
            "Test",
            "Paired bootstrap: every draw takes the same cases for both models; two-sided."
            + (" The p values are not corrected for several comparisons." if len(comparison.rows) > 2 else ""),
        ),
    ]
    if len(comparison.cases) < FEW_CASES:
        rows.append(("Caution", f"With fewer than {FEW_CASES} cases, intervals and p values are rough."))
    for name, cases in comparison.left_out.items():
        listed = ", ".join(cases[:5]) + (" …" if len(cases) > 5 else "")
        rows.append(("Left out", f"{name}: {len(cases):,} cases that not every model was measured on ({listed})"))
    return facts(rows)


def _models(rows: Sequence[Row]) -> str:
    cells = [
        (
            row.name,
            row.run.about.get("weights", "–"),
            f"{row.run.threshold:.4g}",
            *(f"{value:,}" for value in row.run.counts.sum(axis=0)),
            row.run.folder.resolve().name,
        )
        for row in rows
    ]
    return table(("Model", "Weights (SHA-256)", "Threshold", "Right", "Wrong", "Missed", "Report"), cells)
