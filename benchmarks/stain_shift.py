#!/usr/bin/env python3
r"""How a detector holds when held-out slides come in the stain of other laboratories.

    python benchmarks/stain_shift.py scout --data AMI_BR --data ATNORM_MD --negatives ICPR12_PAINTED \
        --split split.json --part test --stains MITOS14_FRAMES --stains TISSUE [--weights RUN/model.weights.h5] \
        [--every 2] --out docs/stain_shift.json

A patch, and each field for counting false positives, is searched as it is, then with the mean and spread of optical
density of random places in the images of each --stains (all of the way; Reinhard et al. 2001, in optical density).
Such pictures have the other laboratory's colours, not its scanner or its cells: what is lost here, a new laboratory
costs at least. Prints the composite F1 of each stain at its best threshold and at others, and writes all of it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import tensorflow as tf
from held_out_fields import Change, Gathered

from mitozoo.base.files import write_text
from mitozoo.base.progress import progress_bar
from mitozoo.data import formats
from mitozoo.data.augment import StainTransfer, stain_statistics
from mitozoo.data.images import read_image
from mitozoo.data.listing import list_images
from mitozoo.data.split import read_split
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo

THRESHOLDS = np.round(np.arange(0.05, 1.0, 0.05), 2)
#: Places that stains are taken from: this many in each folder, of so many pixels.
PLACES, PLACE_PX = 120, 128
OWN = "their own"


def stains_of(folder: Path, generator: np.random.Generator) -> np.ndarray:
    """Stains (n, 6) of random places in a folder's images."""
    paths = [path for _, path in list_images([folder])]
    places = []
    for number in range(PLACES):
        pixels = read_image(paths[number % len(paths)]).pixels
        top, left = (int(generator.integers(0, max(1, side - PLACE_PX))) for side in pixels.shape[:2])
        places.append(pixels[top : top + PLACE_PX, left : left + PLACE_PX])
    smallest = min(min(place.shape[:2]) for place in places)
    return stain_statistics(np.stack([place[:smallest, :smallest] for place in places]))


def in_stains(stains: np.ndarray, generator: np.random.Generator) -> Change:
    """What gives a picture one of the stains, drawn at random."""
    transfer = StainTransfer()

    def change(pixels: np.ndarray) -> np.ndarray:
        own = stain_statistics(pixels[None])
        other = stains[generator.integers(len(stains))][None]
        found = transfer(tf.constant(pixels[None]), tf.constant(own), tf.constant(other), tf.ones(1))
        return np.rint(found.numpy()[0]).astype(np.uint8)

    return change


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--weights", type=Path, help="Instead of the zoo's.")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--part", default="test")
    parser.add_argument("--stains", type=Path, action="append", required=True)
    parser.add_argument("--every", type=int, default=1, help="Only every so-manieth patch.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    cases = set(read_split(options.split)[options.part])
    patches = [f for path in options.data for f in formats.read(path).fields if f.case in cases][:: options.every]
    fields = [f for f in formats.read(options.negatives).fields if f.case in cases]
    predictor = Predictor(zoo.load(options.model, options.weights), decoder_settings={"cut": 0.02})
    generator = np.random.default_rng(options.seed)
    changes: dict[str, Change] = {OWN: None}
    changes |= {path.name: in_stains(stains_of(path, generator), generator) for path in options.stains}
    found: dict[str, list[dict]] = {}
    for name, change in changes.items():
        gathered = Gathered(change)
        for field in fields:
            gathered.field(predictor, field)
        with progress_bar(name, len(patches)) as tell:
            for done, patch in enumerate(patches, start=1):
                gathered.patch(predictor, patch)
                tell(done)
        measured = gathered.measure()
        found[name] = [measured.at(threshold) for threshold in THRESHOLDS] + [measured.best()]
        best = found[name][-1]
        print(f"{name}: best F1 {best['f1']:.3f} at {best['threshold']:.2f}, recall {best['recall']:.3f}", flush=True)
    shown = [i for i, threshold in enumerate(THRESHOLDS) if threshold >= 0.2]
    print(f"{'F1 at':>16} " + " ".join(f"{THRESHOLDS[i]:5.2f}" for i in shown))
    for name, rows in found.items():
        print(f"{name:>16} " + " ".join(f"{rows[i]['f1']:5.3f}" for i in shown))
    result = {"model": options.model, "patches": len(patches), "seed": options.seed, "stains": found}
    write_text(options.out, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
