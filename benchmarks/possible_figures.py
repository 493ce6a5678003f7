#!/usr/bin/env python3
r"""How many of the places that look like mitotic figures in unlabelled fields does a model find?

    python benchmarks/possible_figures.py scout --fields TISSUE --places docs/scout/possible_mitotic_figures.csv \
        [--weights runs/scout/model.weights.h5] [--out results.json]

Nobody has labelled these fields; PLACES (image,x_px,y_px) were chosen by eye among what two models found, so the share
compares weights with each other and is no recall. Prints it for every threshold, beside what else is found per mm² of
tissue.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mitozoo.base.files import write_text
from mitozoo.base.progress import progress_bar
from mitozoo.data import formats
from mitozoo.data.images import read_image
from mitozoo.data.leave_out import RADIUS_PX, leave_out
from mitozoo.data.tissue import tissue_mm2
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo

THRESHOLDS = (0.05, 0.2, 0.5)


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--fields", type=Path, required=True)
    parser.add_argument("--places", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    entry = zoo.load(options.model)
    loaded = zoo.load(entry.spec.name, options.weights) if options.weights else entry
    predictor = Predictor(loaded, threshold=entry.threshold, decoder_settings=entry.decoder)
    spacing = entry.spec.um_per_px
    best, others, area = [], [], 0.0
    fields = leave_out([formats.read(options.fields)], [options.places])[0].fields
    with progress_bar("Searching", len(fields)) as tell:
        for done, field in enumerate(fields, start=1):
            pixels = read_image(field.path).pixels
            area += tissue_mm2(pixels, spacing)
            found = predictor.detections(pixels, spacing)
            xy = np.array([(item.x_px, item.y_px) for item in found]).reshape(-1, 2)
            score = np.array([item.score for item in found])
            known = np.array([circle[:2] for circle in field.excluded]).reshape(-1, 2)
            near = np.hypot(*(xy[:, None] - known[None]).transpose(2, 0, 1)) <= RADIUS_PX
            best += [score[column].max(initial=0.0) for column in near.T]
            others += list(score[~near.any(axis=1)])
            tell(done, field.path.name)
    rows = [
        {
            "threshold": threshold,
            "found": float(np.mean(np.array(best) >= threshold)),
            "others_per_mm2": float(np.sum(np.array(others) >= threshold) / area),
        }
        for threshold in sorted({*THRESHOLDS, predictor.threshold})
    ]
    print(f"{options.model}: {len(best)} places, {area:.2f} mm² of tissue")
    for row in rows:
        print(f"at {row['threshold']:.2f}: {row['found']:.3f} found, {row['others_per_mm2']:.1f} others per mm²")
    if options.out:
        result = {"model": options.model, "places": len(best), "mm2": area, "rows": rows}
        write_text(options.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
