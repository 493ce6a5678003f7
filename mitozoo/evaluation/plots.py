"""The plots of a report, as PNG files.

Matplotlib is imported when a plot is drawn, and drawn on without pyplot, so that no window or backend is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mitozoo.base.files import whole_file
from mitozoo.evaluation.agreement import Agreement
from mitozoo.evaluation.curves import Calibration, Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Kinds of `plot_curves`.
PRECISION_RECALL, FROC, ROC = "precision-recall", "froc", "roc"
#: Names of the axes.
_AXES = {
    PRECISION_RECALL: ("Recall: share of mitotic figures found", "Precision: share of detections that are right"),
    FROC: ("False positives per mm² (log scale)", "Recall: share of mitotic figures found"),
    ROC: ("False positive rate (1 − specificity)", "True positive rate (sensitivity)"),
}
#: Colours that stay apart for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
_DPI = 130


def new_figure(width: float = 6.4, height: float = 5.0) -> tuple[Figure, Axes]:
    """A figure of this size in inches, and its axes in the style of the reports."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    axes = figure.add_subplot()
    axes.tick_params(labelsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with whole_file(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, bbox_inches="tight", pad_inches=0.12)


def readable(name: str) -> str:
    """A class name as people write it."""
    return name.replace("_", " ").replace("non mitotic", "non-mitotic")


def plot_curves(
    curves: Mapping[str, Curve],
    path: Path,
    kind: str = PRECISION_RECALL,
    threshold: float | Mapping[str, float] | None = None,
) -> None:
    """Draw curves, one a model, into a PNG.

    Args: curves by name (an empty name has no legend); path; kind, "precision-recall", "froc" (false positives per mm²,
    which needs the area) or "roc"; threshold to mark on each curve, or one for each name.
    Raises: ValueError for an unknown kind; OutputError if `path` cannot be written.
    """
    if kind not in _AXES:
        raise ValueError(f"No curve of the kind {kind!r}. Known: {', '.join(_AXES)}.")
    figure, axes = new_figure()
    axes.set_xlabel(_AXES[kind][0], fontsize=13)
    axes.set_ylabel(_AXES[kind][1], fontsize=13)
    axes.set_ylim(0, 1.02)
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    if kind == FROC:
        _log_axis(axes)
    else:
        axes.set_xlim(0, 1.02)
        axes.set_aspect("equal")
    if kind == PRECISION_RECALL:
        _f1_lines(axes)
    if kind == ROC:
        axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    for index, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        x, y = _points(curve.thinned(), kind)
        style = "default" if kind == ROC else "steps-pre" if kind == PRECISION_RECALL else "steps-post"
        own = threshold.get(name) if isinstance(threshold, Mapping) else threshold
        each = isinstance(threshold, Mapping) and own is not None
        axes.plot(
            x, y, color=colour, linewidth=2, drawstyle=style, label=f"{name}, threshold {own:.3g}" if each else name
        )
        if own is not None:
            _mark(axes, curve, kind, own, colour, label="_" if index or each else f"threshold {own:.3g}")
    if isinstance(threshold, Mapping):
        # Several names are too long for a corner of the plot.
        axes.legend(fontsize=11, loc="upper left", bbox_to_anchor=(-0.02, -0.14), frameon=False)
    elif axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=11, loc="lower left" if kind == PRECISION_RECALL else "lower right", framealpha=0.95)
    save_figure(figure, path)


def _log_axis(axes: Axes) -> None:
    """A logarithmic x axis with plain numbers, some of them in any range that is a factor of three wide."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _points(curve: Curve, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn of a curve; on the log axis, no false positive is drawn as half a one."""
    if kind == PRECISION_RECALL:
        # Starts at the left edge with the precision of the first point, as the average precision counts it.
        first = curve.precision[:1]
        return np.r_[np.zeros(len(first)), curve.recall], np.r_[first, curve.precision]
    if kind == FROC:
        return np.maximum(curve.fp, 0.5) / curve.area_mm2, curve.recall
    return np.r_[0.0, curve.fp_rate], np.r_[0.0, curve.recall]


def _mark(axes: Axes, curve: Curve, kind: str, threshold: float, colour: str, label: str) -> None:
    """A dot where the curve stands at the threshold."""
    counts = curve.counts_at(threshold)
    here = Curve(
        np.array([threshold]),
        np.array([counts.tp]),
        np.array([counts.fp]),
        curve.positives,
        curve.area_mm2,
        curve.negatives,
    )
    x, y = _points(here, kind)
    if np.isfinite(x[-1]) and np.isfinite(y[-1]):
        axes.plot(x[-1], y[-1], "o", color=colour, markeredgecolor="black", markersize=10, label=label, zorder=3)


def _f1_lines(axes: Axes) -> None:
    """Faint lines of equal F1, named where they leave the plot on the right."""
    recall = np.linspace(0.01, 1.0, 400)
    for f1 in (0.2, 0.4, 0.6, 0.8):
        valid = recall > f1 / (2 - f1)
        x = recall[valid]
        axes.plot(x, f1 * x / (2 * x - f1), color="0.8", linewidth=1, zorder=1)
        axes.text(1.03, f1 / (2 - f1), f"F1 {f1:g}", color="0.45", fontsize=10, va="center")


def plot_confusion(matrix: np.ndarray, classes: Sequence[str], path: Path) -> None:
    """Draw a confusion matrix (c, c), rows truth, columns prediction, into a PNG: counts, and the share of each row."""
    matrix = np.asarray(matrix)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    size = max(5.0, 1.5 * len(classes) + 2.2)
    figure, axes = new_figure(size, size)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    names = [readable(name).replace(" ", "\n") for name in classes]
    axes.set_xticks(range(len(classes)), names, fontsize=12)
    axes.set_yticks(range(len(classes)), names, fontsize=12)
    axes.set_xlabel("Predicted class", fontsize=13)
    axes.set_ylabel("True class", fontsize=13)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for row, column in np.ndindex(matrix.shape):
        text = f"{matrix[row, column]:,}\n{share[row, column]:.0%}"
        colour = "white" if share[row, column] > 0.5 else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=14, color=colour)
    save_figure(figure, path)


def plot_agreement(first: np.ndarray, second: np.ndarray, agreement: Agreement, path: Path) -> None:
    """Draw a Bland–Altman plot into a PNG.

    Args: first (n,) counts of the reference, second (n,) counts of the model, agreement of the two; path.
    """
    figure, axes = new_figure(7.6, 5.0)
    pairs = np.stack([(np.asarray(first) + second) / 2, np.asarray(second) - first], axis=1)
    places, number = np.unique(pairs, axis=0, return_counts=True)
    sizes = 40 * np.minimum(number, 25)
    axes.scatter(places[:, 0], places[:, 1], s=sizes, color=COLOURS[0], alpha=0.6, edgecolor="white")
    lines = [(agreement.low, "--", "lower limit"), (agreement.bias, "-", "bias"), (agreement.high, "--", "upper limit")]
    drawn = [(value, style, name) for value, style, name in lines if np.isfinite(value)]
    shown = np.r_[places[:, 1], [value for value, _, _ in drawn]]
    # At least one mitotic figure up and down, so that perfect agreement does not magnify rounding.
    middle, half = (shown.max() + shown.min()) / 2, max(1.0, float(np.ptp(shown)) * 0.58)
    axes.set_ylim(middle - half, middle + half)
    for value, style, _ in drawn:
        axes.axhline(value, color="0.35", linestyle=style, linewidth=1.3)
    _right_labels(axes, [(value, f"{name} {value:+.1f}".replace("-", "−")) for value, _, name in drawn])
    axes.axhline(0, color="0.8", linewidth=1, zorder=0)
    axes.set_xlabel("Mean of the two counts (mitotic figures per case)", fontsize=13)
    axes.set_ylabel("Model − labels (mitotic figures per case)", fontsize=13)
    save_figure(figure, path)


def _right_labels(axes: Axes, labels: list[tuple[float, str]]) -> None:
    """Name horizontal lines, from the lowest up, right of the plot; moved apart where they would overlap."""
    low, high = axes.get_ylim()
    least, last = 0.06 * (high - low), -np.inf
    for value, text in labels:
        last = max(value, last + least)
        axes.annotate(text, (1.01, last), xycoords=("axes fraction", "data"), fontsize=11, va="center", color="0.2")


def plot_calibration(calibration: Calibration, path: Path, what: str = "patches") -> None:
    """Draw a reliability diagram into a PNG: the share of `what` in each bin that is mitotic, and how many it has."""
    figure, axes = new_figure()
    filled = calibration.number > 0
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.plot(
        calibration.predicted[filled],
        calibration.observed[filled],
        "o-",
        color=COLOURS[0],
        linewidth=2,
        label=f"model (expected calibration error {calibration.ece:.3f})",
    )
    number = calibration.number / max(int(calibration.number.sum()), 1)
    axes.bar(
        calibration.edges[:-1],
        number,
        width=np.diff(calibration.edges),
        align="edge",
        color="0.88",
        edgecolor="white",
        label=f"share of the {what} in the bin",
        zorder=0,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.set_xlabel("Mitotic score (mean of the bin)", fontsize=13)
    axes.set_ylabel(f"Share of the {what} that is mitotic", fontsize=13)
    axes.legend(fontsize=11, loc="lower left", bbox_to_anchor=(0.0, 1.01), frameon=False)
    save_figure(figure, path)
