"""The plots of comparisons and of tuning, as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mitozoo.evaluation.bootstrap import Interval, PairedTest
from mitozoo.evaluation.curves import Curve
from mitozoo.evaluation.plots import COLOURS, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Longest name that is shown beside a plot.
_NAME_LENGTH = 28
#: Colours of the settings that were tried and not chosen.
_OTHERS = (COLOURS[3], COLOURS[4], COLOURS[5], "0.55")


def plot_forest(
    values: Mapping[str, tuple[float, Interval]], differences: Mapping[str, PairedTest], path: Path, what: str = "F1"
) -> None:
    """Draw a number of several models with its intervals, and its paired difference to the first one, into a PNG.

    Args: values, by model, from the top; differences, by model, those of the first left out; path; what, the number.
    """
    names = list(values)
    figure, left = new_figure(10.5, 1.5 + 0.5 * len(names))
    grid = figure.add_gridspec(1, 2)
    left.set_subplotspec(grid[0])
    right = figure.add_subplot(grid[1])
    _whiskers(left, [values[name] for name in names])
    left.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=12)
    left.set_xlabel(f"{what} with 95 % interval", fontsize=13)
    tests = [differences.get(name) for name in names]
    _whiskers(right, [None if test is None else (test.difference, test.interval) for test in tests])
    right.axvline(0, color="0.55", linestyle="--", linewidth=1.2, zorder=0)
    low, high = right.get_xlim()
    reach = max(abs(low), abs(high), 0.01)
    right.set_xlim(-reach, reach)
    right.set_yticks([])
    right.text(0, 0, "reference", ha="center", va="center", fontsize=11, color="0.35", backgroundcolor="white")
    right.set_xlabel(f"{what} minus that of {_short(names[0])}", fontsize=13)
    right.spines[["top", "right", "left"]].set_visible(False)
    right.tick_params(labelsize=11)
    figure.subplots_adjust(wspace=0.12)
    save_figure(figure, path)


def _short(name: str) -> str:
    return name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…"


def _whiskers(axes: Axes, rows: Sequence[tuple[float, Interval] | None]) -> None:
    """Dots with intervals, the first row on top; nothing where there is no number."""
    for place, row in enumerate(rows):
        if row is None or np.isnan(row[0]):
            continue
        value, interval = row
        colour = COLOURS[place % len(COLOURS)]
        axes.plot([interval.low, interval.high], [place, place], color=colour, linewidth=3, solid_capstyle="butt")
        axes.plot(value, place, "o", color=colour, markeredgecolor="black", markersize=9)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)


def plot_thresholds(curves: Mapping[str, Curve], chosen: str, threshold: float, path: Path) -> None:
    """Draw F1 over the threshold into a PNG, and precision and recall of the chosen settings.

    Args: curves, by the settings they were found with; chosen, one of their names; threshold chosen; path.
    """
    figure, axes = new_figure(7.6, 5.0)
    best, others = curves[chosen], [name for name in curves if name != chosen]
    x, y = _steps(best, best.f1)
    label = f"F1, {chosen}" if others else "F1"
    axes.plot(x, y, drawstyle="steps-pre", color=COLOURS[0], linewidth=2.4, label=label, zorder=3)
    f1 = best.counts_at(threshold).f1
    axes.axvline(threshold, color="0.4", linewidth=1, linestyle=":")
    label = f"chosen: {threshold:.3g}, F1 {f1:.3f}"
    axes.plot(threshold, f1, "o", color=COLOURS[0], markeredgecolor="black", markersize=10, label=label, zorder=4)
    for values, above, colour, title in (
        (best.precision, np.nan, COLOURS[2], "precision"),
        (best.recall, 0.0, COLOURS[1], "recall"),
    ):
        x, y = _steps(best, values, above)
        axes.plot(x, y, drawstyle="steps-pre", color=colour, linewidth=1.2, linestyle="--", label=title)
    few = len(others) <= len(_OTHERS)
    for index, name in enumerate(others):
        x, y = _steps(curves[name], curves[name].f1)
        label = f"F1, {name}" if few else "F1, other settings" if index == 0 else "_"
        axes.plot(x, y, drawstyle="steps-pre", color=_OTHERS[index] if few else "0.6", linewidth=1.2, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    axes.grid(color="0.92")
    axes.set_axisbelow(True)
    axes.set_xlabel("Threshold on the score", fontsize=13)
    axes.set_ylabel("On the validation cases", fontsize=13)
    axes.legend(fontsize=11, loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False)
    save_figure(figure, path)


def _steps(curve: Curve, values: np.ndarray, above: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Rising thresholds and the values that hold up to each; `above` is the value where nothing is found."""
    x, y = curve.thresholds[::-1], values[::-1]
    return (np.r_[x, 1.0], np.r_[y, above]) if x[-1] < 1 else (x, y)
