"""Learning curves of a transfer study: F1 against the number of labelled mitotic figures."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.files import make_folder, write_text
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.evaluation.bootstrap import Interval, auc_interval, count_intervals
from mitozoo.evaluation.counts import Counts
from mitozoo.evaluation.curves import roc_auc
from mitozoo.evaluation.held_out import one_to_one
from mitozoo.evaluation.plots import COLOURS, new_figure, save_figure
from mitozoo.evaluation.report import plain
from mitozoo.training.transfer import SOURCE, Finished

#: Score from which a cell counts as mitotic.
THRESHOLD = 0.5
#: F1 that counts as no loss.
_NO_LOSS = 0.02
_TITLES = {SOURCE: "from the source", "scratch": "from scratch"}


@dataclass(frozen=True)
class CurvePoint:
    """One share of the target from one start, all repeats pooled; every case is tested once.

    Attributes: start; shares that are this point; cases and figures (labelled mitotic figures) learnt from, means over
    the repeats; precision, recall, F1 of mitotic against as many other cells, with the 95 % interval of F1 by bootstrap
    over cases; auc with its interval; repeats, F1 of each.
    """

    start: str
    shares: tuple[float, ...]
    cases: float
    figures: float
    precision: float
    recall: float
    f1: float
    f1_interval: Interval
    auc: float
    auc_interval: Interval
    repeats: tuple[float, ...]


def learning_curve(finished: Sequence[Finished], classes: Sequence[str], *, seed: int = 0) -> list[CurvePoint]:
    """Measure the trials of a study.

    Args: finished trials of all repeats; classes, names by class number; seed of the bootstrap and of the choice of as
    many other cells as mitotic figures, the same in every trial.
    Returns: points by start, then by share; shares that gave the same trials are one point.
    """
    points = []
    for start in sorted({item.trial.start for item in finished}, key=lambda name: name != SOURCE):
        mine = [item for item in finished if item.trial.start == start]
        groups: dict[tuple[int, ...], list[float]] = {}
        for share in sorted({share for item in mine for share in item.trial.fractions}):
            members = tuple(i for i, item in enumerate(mine) if share in item.trial.fractions)
            groups.setdefault(members, []).append(share)
        points += [
            _point(start, tuple(shares), [mine[i] for i in members], classes, seed)
            for members, shares in groups.items()
        ]
    return points


def _point(
    start: str, shares: tuple[float, ...], group: Sequence[Finished], classes: Sequence[str], seed: int
) -> CurvePoint:
    mitotic = [i for i, name in enumerate(classes) if name in MITOTIC_CLASSES]
    truth, score, cases, repeats = [], [], [], []
    for item in group:
        kept = one_to_one(item.outcome.labels, classes, seed=seed)
        truth.append(np.isin(item.outcome.labels[kept], mitotic))
        score.append(item.outcome.probabilities[kept][:, mitotic].sum(axis=1))
        cases.append(item.outcome.cases[kept])
        repeats.append(_counts(truth[-1], score[-1] >= THRESHOLD).f1)
    positive, scores, names = np.concatenate(truth), np.concatenate(score), np.concatenate(cases)
    found = scores >= THRESHOLD
    counts = _counts(positive, found)
    per_case = np.array(
        [
            [(positive & found & own).sum(), (~positive & found & own).sum(), (positive & ~found & own).sum()]
            for own in (names == name for name in np.unique(names))
        ]
    )
    return CurvePoint(
        start=start,
        shares=shares,
        cases=float(np.mean([len(item.trial.cases) for item in group])),
        figures=float(np.mean([item.figures for item in group])),
        precision=counts.precision,
        recall=counts.recall,
        f1=counts.f1,
        f1_interval=count_intervals(per_case, seed=seed)["f1"],
        auc=roc_auc(positive, scores),
        auc_interval=auc_interval(positive, scores, names, seed=seed),
        repeats=tuple(repeats),
    )


def _counts(positive: np.ndarray, found: np.ndarray) -> Counts:
    return Counts(int((positive & found).sum()), int((~positive & found).sum()), int((positive & ~found).sum()))


def enough(points: Sequence[CurvePoint], start: str) -> CurvePoint | None:
    """The smallest training from `start` whose F1 is within 0.02 of the best that any training reached, if there is."""
    best = max((point.f1 for point in points), default=np.nan)
    good = [point for point in points if point.start == start and point.f1 >= best - _NO_LOSS]
    return min(good, key=lambda point: point.figures, default=None)


def answer(points: Sequence[CurvePoint]) -> str:
    """How many labels are enough, in a sentence for each start."""
    said = []
    for start in dict.fromkeys(point.start for point in points):
        point = enough(points, start)
        title = _TITLES.get(start, start)
        if point is None:
            said.append(f"{title}: no training came within {_NO_LOSS:g} of the best F1.")
        elif not point.figures:
            said.append(f"{title}: within {_NO_LOSS:g} of the best F1 without any label (F1 {point.f1:.3f}).")
        else:
            said.append(
                f"{title}: within {_NO_LOSS:g} of the best F1 from {point.figures:.0f} mitotic figures of "
                f"{point.cases:.0f} {'case' if round(point.cases) == 1 else 'cases'} on (F1 {point.f1:.3f})."
            )
    return "\n".join(line[0].upper() + line[1:] for line in said)


def write_curves(points: Sequence[CurvePoint], out: Path, *, title: str, about: dict[str, Any]) -> list[Path]:
    """Write transfer.json, transfer.csv and transfer.png into `out`. Returns: their paths."""
    make_folder(out)
    rows = [asdict(point) for point in points]
    paths = [out / f"transfer.{suffix}" for suffix in ("json", "csv", "png")]
    content = {**about, "threshold": THRESHOLD, "points": rows, "answer": answer(points)}
    write_text(paths[0], json.dumps(plain(content), indent=1, ensure_ascii=False) + "\n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        "start,shares,cases,mitotic_figures,precision,recall,f1,f1_low,f1_high,auc,auc_low,auc_high,f1_repeats".split(
            ","
        )
    )
    for point in points:
        numbers = [point.precision, point.recall, point.f1, point.f1_interval.low, point.f1_interval.high]
        numbers += [point.auc, point.auc_interval.low, point.auc_interval.high]
        shares = " ".join(f"{share:g}" for share in point.shares)
        writer.writerow(
            [point.start, shares, f"{point.cases:.1f}", f"{point.figures:.1f}", *(f"{value:.4f}" for value in numbers)]
            + [" ".join(f"{value:.4f}" for value in point.repeats)]
        )
    write_text(paths[1], text.getvalue())
    plot_curves(points, paths[2], title)
    return paths


def plot_curves(points: Sequence[CurvePoint], path: Path, title: str) -> None:
    """Draw F1 against the number of labelled mitotic figures, a line a start, with intervals and repeats, as PNG."""
    figure, axes = new_figure(7.5, 5.2)
    colours = dict(zip(dict.fromkeys(point.start for point in points), COLOURS, strict=False))
    for start, colour in colours.items():
        name = _TITLES.get(start, start)
        line = [point for point in points if point.start == start and point.figures]
        for point in (point for point in points if point.start == start and not point.figures):
            axes.axhline(point.f1, color=colour, linestyle="--", linewidth=1.4, label=f"{name}, no label of the target")
        if not line:
            continue
        x, y = [point.figures for point in line], [point.f1 for point in line]
        low, high = ([getattr(point.f1_interval, end) for point in line] for end in ("low", "high"))
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, y, marker="o", color=colour, linewidth=2, label=name)
        for point in line:
            axes.plot([point.figures] * len(point.repeats), point.repeats, ".", color=colour, alpha=0.5, markersize=5)
    axes.set_xscale("log")
    figures = sorted({round(point.figures) for point in points if point.figures})
    axes.set_xticks(figures, [str(value) for value in figures])
    axes.minorticks_off()
    axes.set_xlabel("labelled mitotic figures of the target", fontsize=13)
    axes.set_ylabel("F1, one other cell a mitotic figure", fontsize=13)
    axes.set_title(title, fontsize=13)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=11, frameon=False)
    save_figure(figure, path)
