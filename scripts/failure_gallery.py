#!/usr/bin/env python3
r"""Draw the worst false alarms and misses of a model on slides that it never saw.

    python scripts/failure_gallery.py --entry scout --split split.json --data AMI_BR --data ATNORM_MD \
        --negatives ICPR12_PAINTED --out docs/pictures/failures.png [--pixels failures-pixels.png]

Instead of --entry and --split, a folder of `mitozoo train` that held slides out.

The picture shows each cell as the outlines of its chromatin: optical density of haematoxylin at three levels, so that
it tells shapes and copies no image of the data set. --pixels writes the cells themselves, for your own eyes.
"""

from __future__ import annotations

import argparse
import io
import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy import ndimage

from mitozoo.base.files import write_bytes
from mitozoo.base.progress import progress_bar
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data import formats
from mitozoo.data.cells import cut_canvas
from mitozoo.data.dataset import Field
from mitozoo.data.images import read_image
from mitozoo.data.split import read_split
from mitozoo.data.stain import haematoxylin
from mitozoo.evaluation.composite import CLEAR_RADIUS_PX, HIT_RADIUS_PX
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo

SIDE_PX, SHOWN = 64, 12


@dataclass(frozen=True)
class Failure:
    """One cell: its pixels uint8 (SIDE_PX, SIDE_PX, 3), the score that it got, and where it is from."""

    pixels: np.ndarray
    score: float
    domain: str


def of_patch(predictor: Predictor, patch: Field) -> tuple[list[Failure], list[Failure]]:
    """Misses and false alarms of a patch around one mitotic figure."""
    pixels = read_image(patch.path).pixels
    # What lies on another labelled mitotic figure of the patch is no hit of this one, as in the measure.
    items = _not_excluded(patch, predictor.detections(pixels, UM_PER_PX_40X))
    centre = patch.mitoses[0]
    apart = np.array([np.hypot(item.x_px - centre[0], item.y_px - centre[1]) for item in items])
    score = max((item.score for item, d in zip(items, apart, strict=True) if d <= HIT_RADIUS_PX), default=0.0)
    missed = [Failure(cut_canvas(pixels, *centre, SIDE_PX), score, patch.domain)] if score < predictor.threshold else []
    others = [item for item, d in zip(items, apart, strict=True) if d > CLEAR_RADIUS_PX]
    return missed, _false(predictor, patch, pixels, others)


def _not_excluded(field: Field, items: list) -> list:
    return [
        item
        for item in items
        if all(np.hypot(item.x_px - x, item.y_px - y) > radius for x, y, radius in field.excluded)
    ]


def _false(predictor: Predictor, field: Field, pixels: np.ndarray, items: list) -> list[Failure]:
    return [
        Failure(cut_canvas(pixels, item.x_px, item.y_px, SIDE_PX), item.score, field.domain)
        for item in items
        if item.score >= predictor.look_again
    ]


def of_field(predictor: Predictor, field: Field) -> list[Failure]:
    """False alarms of a field whose mitotic figures are painted over."""
    pixels = read_image(field.path).pixels
    return _false(predictor, field, pixels, _not_excluded(field, predictor.detections(pixels, field.um_per_px)))


def draw(misses: list[Failure], alarms: list[Failure], threshold: float, counts: tuple[int, int], real: bool) -> bytes:
    """The gallery as a PNG."""
    columns = 6
    missed, false = counts
    titles = (
        f"Worst misses: {missed} mitotic figures under the threshold of {threshold:.2f}",
        f"Worst false alarms: {false} over the threshold, then those to look at again",
    )
    rows = [max(1, -(-min(len(failures), SHOWN) // columns)) for failures in (misses, alarms)]
    figure: Figure = plt.figure(figsize=(1.5 * columns, 1.75 * sum(rows) + 1.0), dpi=110)
    halves = figure.subfigures(2, 1, height_ratios=[1.75 * count + 0.5 for count in rows])
    for half, title, count, failures in zip(halves, titles, rows, (misses, alarms), strict=True):
        half.suptitle(title, fontsize=10)
        grid = half.subplots(count, columns, squeeze=False)
        half.subplots_adjust(left=0.01, right=0.99, top=1 - 0.4 / (1.75 * count + 0.5), bottom=0.08, wspace=0.1)
        for i, axes in enumerate(grid.ravel()):
            axes.set_xticks([])
            axes.set_yticks([])
            if i >= min(len(failures), SHOWN):
                axes.axis("off")
                continue
            failure = failures[i]
            if real:
                axes.imshow(failure.pixels)
            else:
                _outlines(axes, failure.pixels)
            axes.set_xlabel(f"{failure.score:.2f} {_short(failure.domain)}", fontsize=7)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    plt.close(figure)
    return stream.getvalue()


def _short(domain: str) -> str:
    return {"canine cutaneous mast cell tumour": "canine MCT"}.get(domain, domain)


def _outlines(axes, pixels: np.ndarray) -> None:
    # No stain is as dark as black padding.
    density = ndimage.gaussian_filter(np.minimum(haematoxylin(pixels).astype(float), 2.0), 1.0)
    low, high = np.percentile(density, [40, 99.5])
    levels = low + (high - low) * np.array([0.35, 0.6, 0.8])
    axes.contourf(density, levels=[*levels, np.inf], colors=["#d8d3e8", "#8f80bf", "#3b2a72"])
    axes.contour(density, levels=levels[:1], colors="#3b2a72", linewidths=0.6)
    axes.set_xlim(0, SIDE_PX - 1)
    axes.set_ylim(SIDE_PX - 1, 0)
    axes.set_aspect("equal")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("run", type=Path, nargs="?")
    what.add_argument("--entry", help="Weights of the zoo; with --split, whose part --part they have not seen.")
    parser.add_argument("--split", type=Path)
    parser.add_argument("--part", default="test")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pixels", type=Path)
    options = parser.parse_args()
    if options.entry:
        if not options.split:
            parser.error("--entry needs --split.")
        held, loaded = set(read_split(options.split)[options.part]), zoo.load(options.entry)
    else:
        run = json.loads((options.run / "run.json").read_text(encoding="utf-8"))
        held = {case for case, fold in run["fold_of"].items() if fold == 0}
        loaded = zoo.load(run["model"], options.run / "model.weights.h5")
    predictor = Predictor(loaded)
    patches = [f for path in options.data for f in formats.read(path).fields if f.case in held]
    fields = [f for f in formats.read(options.negatives).fields if f.case in held]
    misses: list[Failure] = []
    alarms: list[Failure] = []
    with progress_bar("Searching", len(patches) + len(fields)) as tell:
        for done, patch in enumerate(patches, start=1):
            missed, false = of_patch(predictor, patch)
            misses, alarms = misses + missed, alarms + false
            tell(done, "")
        for done, field in enumerate(fields, start=len(patches) + 1):
            alarms += of_field(predictor, field)
            tell(done, "")
    misses.sort(key=lambda item: item.score)
    alarms.sort(key=lambda item: -item.score)
    counts = len(misses), sum(item.score >= predictor.threshold for item in alarms)
    for path, real in ((options.out, False), (options.pixels, True)):
        if path is not None:
            write_bytes(path, draw(misses, alarms, predictor.threshold, counts, real))
            print(path)
    print(f"{counts[0]} of {len(patches)} missed, {counts[1]} false alarms, threshold {predictor.threshold:.2f}")


if __name__ == "__main__":
    main()
