#!/usr/bin/env python3
r"""Does a model tell mitotic figures from what pathologists labelled as look-alikes, of one origin?

    python benchmarks/look_alikes.py scout --patches AMI_BR --labels MIDOG.json --frames MITOS14_FRAMES \
        [--run runs/scout]

Cells at labelled places are verified one by one, so that no proposal decides: mitotic figures and look-alikes of the
MIDOG21 slides (those look-alikes of MIDOG.json that lie in a patch of AMi-Br), and of the frames of MITOS-ATYPIA-14.
With --run, which names the slides that the weights have not seen, those are measured alone too. Prints ROC AUC and
counts.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data import formats
from mitozoo.data.cells import cut_canvas
from mitozoo.data.images import read_image
from mitozoo.evaluation.curves import roc_auc
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.resampling import at_spacing
from mitozoo.models import zoo

PATCH_PX, RIM_PX = 128, 12
#: Category of MIDOG's hard negatives.
LOOK_ALIKE = 2


def of_patches(folder: Path, labels: Path) -> list[tuple[Path, float, float, bool, str]]:
    """Path, x, y, whether it is a mitotic figure, and slide: of every labelled cell in a MIDOG21 patch."""
    midog = json.loads(labels.read_text(encoding="utf-8"))
    number = {image["file_name"]: image["id"] for image in midog["images"]}
    look_alikes: dict[int, list[tuple[float, float]]] = {}
    for item in midog["annotations"]:
        if item["category_id"] == LOOK_ALIKE:
            left, top, right, bottom = item["bbox"]
            look_alikes.setdefault(item["image_id"], []).append(((left + right) / 2, (top + bottom) / 2))
    cells = []
    with (folder / "index.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            if row["dataset"] != "MIDOG21":
                continue
            path, slide, centre = folder / "patches" / row["file"], f"MIDOG21/{row['slide']}", (PATCH_PX - 1) / 2
            cells.append((path, centre, centre, True, slide))
            for x, y in look_alikes.get(number[row["slide"]], []):
                at = centre + x - float(row["x"]), centre + y - float(row["y"])
                if all(RIM_PX <= value < PATCH_PX - RIM_PX for value in at):
                    cells.append((path, *at, False, slide))
    return cells


def score(predictor: Predictor, path: Path, x: float, y: float, um_per_px: float) -> float:
    """Score of the cell at a place of an image."""
    pixels, ratio = at_spacing(read_image(path).pixels, um_per_px, predictor.spec.um_per_px)
    decoder = predictor.decoders[0]
    place = (np.array([x, y]) + 0.5) * ratio - 0.5
    return float(predictor.scores(decoder.verify(cut_canvas(pixels, *place, decoder.cell_px)[None]))[0])


def say(name: str, positive: np.ndarray, scores: np.ndarray) -> None:
    """Print one line."""
    value = roc_auc(positive, scores) if 0 < positive.sum() < len(positive) else float("nan")
    false = np.sort(scores[~positive])[::-1]
    print(f"{name}: AUC {value:.3f}, {positive.sum()} mitotic figures, {len(false)} look-alikes: {np.round(false, 2)}")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--run", type=Path)
    options = parser.parse_args()
    predictor = Predictor(zoo.load(options.model))
    cells = of_patches(options.patches, options.labels)
    scores = np.array([score(predictor, path, x, y, UM_PER_PX_40X) for path, x, y, _, _ in cells])
    positive = np.array([item[3] for item in cells])
    say("MIDOG21, all slides", positive, scores)
    if options.run:
        fold_of = json.loads((options.run / "run.json").read_text(encoding="utf-8"))["fold_of"]
        unseen = np.array([fold_of.get(item[4]) == 0 for item in cells])
        say("MIDOG21, unseen slides", positive[unseen], scores[unseen])
    frames = [
        (score(predictor, field.path, cell.x_px, cell.y_px, field.um_per_px), cell.label in MITOTIC_CLASSES)
        for field in formats.read(options.frames).fields
        for cell in field.cells
    ]
    say("MITOS-ATYPIA-14 frames", np.array([item[1] for item in frames]), np.array([item[0] for item in frames]))


if __name__ == "__main__":
    main()
