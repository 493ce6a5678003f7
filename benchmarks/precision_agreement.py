#!/usr/bin/env python3
"""Does a model call the same cells in 16 bits?

    python benchmarks/precision_agreement.py scout --images FOLDER [--weights FILE] [--precision bfloat16]

Searches the images once in float32 and once with the same weights computed in 16 bits, at the same threshold. A call of
one is the same as one of the other within 7.5 µm. Prints the share of calls that both make, and the largest change of a
score.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from mitozoo.base.progress import progress_bar
from mitozoo.data.images import read_image
from mitozoo.data.listing import list_images
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo
from mitozoo.models.precision import in_precision

RADIUS_UM = 7.5


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--images", type=Path, nargs="+", required=True)
    parser.add_argument("--precision", choices=["bfloat16", "float16"], default="bfloat16")
    options = parser.parse_args()
    loaded = zoo.load(options.model, options.weights)
    predictors = [Predictor(loaded), Predictor(in_precision(loaded, options.precision))]
    seconds, both, calls, largest = [0.0, 0.0], 0, 0, 0.0
    images = list_images(options.images)
    with progress_bar("Searching", len(images)) as tell:
        for done, (name, path) in enumerate(images, start=1):
            image = read_image(path)
            found = []
            for i, predictor in enumerate(predictors):
                start = time.perf_counter()
                result = predictor.field(name, path, image, None)
                seconds[i] += time.perf_counter() - start
                found.append(result)
            first, second = (
                np.array([(item.x_px, item.y_px, item.score) for item in result.detections]).reshape(-1, 3)
                for result in found
            )
            radius_px = RADIUS_UM / found[0].um_per_px
            near = cKDTree(second[:, :2]).query(first[:, :2])[1] if len(first) and len(second) else np.zeros(0, int)
            kept = np.zeros(len(first), bool)
            if len(near):
                kept = np.hypot(*(first[:, :2] - second[near, :2]).T) <= radius_px
                largest = max(largest, float(np.abs(first[kept, 2] - second[near[kept], 2]).max(initial=0)))
            same = min(int(kept.sum()), len(set(near[kept])) if len(near) else 0)
            both += same
            calls += len(first) + len(second) - same
            tell(done, name)
    share = both / calls if calls else float("nan")
    print(f"{both} of {calls} calls the same ({share:.1%}); largest change of a score {largest:.3f}")
    print(f"float32 {seconds[0] / len(images):.3f} s an image, {options.precision} {seconds[1] / len(images):.3f} s")


if __name__ == "__main__":
    main()
