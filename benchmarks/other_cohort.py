#!/usr/bin/env python3
r"""Does a model know mitotic figures of a cohort that its weights never saw, from small patches alone?

    python benchmarks/other_cohort.py scout --patches MITOS14_PATCHES [--weights runs/scout/model.weights.h5] \
        [--out results.json]

PATCHES is a folder of patches around one cell each, in a folder for each class, such as the 50 px ones of
MITOS-ATYPIA-14. Each cell is verified where it is labelled, so no proposal decides; a patch is continued by another of
its case without a mitotic figure (of any where its case has none), much as in training: other borders, other figures.
Prints recall of mitotic figures and the share of others at the model's threshold, and ROC AUC; others that were taken
at random places are easy, so the recall says more than the AUC.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mitozoo.base.files import write_text
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.data import formats
from mitozoo.data.cells import CANVAS_PX, surround
from mitozoo.data.images import read_image
from mitozoo.evaluation.curves import roc_auc
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--patches", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    entry = zoo.load(options.model)
    loaded = zoo.load(entry.spec.name, options.weights) if options.weights else entry
    predictor = Predictor(loaded, threshold=entry.threshold, decoder_settings=entry.decoder)
    decoder = predictor.decoders[0]
    cells = [(field, cell) for field in formats.read(options.patches).fields for cell in field.cells]
    positive = np.array([cell.label in MITOTIC_CLASSES for _, cell in cells])
    images = [read_image(field.path).pixels for field, _ in cells]
    plain: dict[str, list[np.ndarray]] = {}
    for (field, _), image, mitotic in zip(cells, images, positive, strict=True):
        if not mitotic:
            plain.setdefault(field.case, []).append(image)
    generator = np.random.default_rng(0)
    rim = (CANVAS_PX - decoder.cell_px) // 2
    canvases = []
    for (field, cell), image in zip(cells, images, strict=True):
        others = plain.get(field.case) or [image for images in plain.values() for image in images]
        behind = others[generator.integers(len(others))]
        canvas = surround(image, cell.x_px, cell.y_px, behind, generator)
        canvases.append(canvas[rim : rim + decoder.cell_px, rim : rim + decoder.cell_px])
    scores = predictor.scores(decoder.verify(np.stack(canvases)))
    found = scores >= predictor.threshold
    row = {
        "model": options.model,
        "cases": len({field.case for field, _ in cells}),
        "mitotic_figures": int(positive.sum()),
        "others": int((~positive).sum()),
        "threshold": predictor.threshold,
        "recall": float(found[positive].mean()),
        "others_found": float(found[~positive].mean()),
        "auc": roc_auc(positive, scores),
    }
    print(
        f"{options.model}: {row['mitotic_figures']} mitotic figures, {row['others']} others, {row['cases']} cases: "
        f"recall {row['recall']:.3f}, others found {row['others_found']:.3f}, AUC {row['auc']:.3f}"
    )
    if options.out:
        write_text(options.out, json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    main()
