#!/usr/bin/env python3
"""How many mitotic figures the proposals that are verified reach, by the rule that chooses them.

    python benchmarks/proposals_reached.py scout --fields held/validation [--rule 3,0.5 …]

Instead of an entry of the zoo, a folder of `mitozoo train`, also one that is not done.

A rule "N,HEAT": of the proposals in the square around a place the N highest are verified, and all from HEAT on. Fields
have complete labels (`mitozoo data compose`). Reached: a verified place lies within 30 px of the labelled one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from mitozoo.base.progress import progress_bar
from mitozoo.data import formats
from mitozoo.data.images import read_image
from mitozoo.inference.decoders import decoder
from mitozoo.models import zoo
from mitozoo.models.folding import folded

RULES = ["3,0.5", "2,0.5", "2,0.35", "2,0.3", "2,0.25", "1,0.3", "1,0.25"]
NEAR_PX = 30.0


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("entry", metavar="ENTRY|RUN")
    parser.add_argument("--fields", type=Path, required=True)
    parser.add_argument("--rule", action="append", help="N,HEAT")
    options = parser.parse_args()
    rules = [(int(n), float(heat)) for n, heat in (rule.split(",") for rule in options.rule or RULES)]
    run = Path(options.entry)
    if (run / "run.json").exists():
        model = json.loads((run / "run.json").read_text(encoding="utf-8"))["model"]
        loaded = zoo.load(model, run / "model.weights.h5")
    else:
        loaded = zoo.load(options.entry)
    search = decoder(loaded.spec.task, folded(loaded.model), loaded.decoder)
    fields = formats.read(options.fields).fields
    cells = np.zeros((len(fields), len(rules)), int)
    reached = np.zeros(len(rules), int)
    with progress_bar("Fields", len(fields)) as tell:
        for number, field in enumerate(fields):
            places = search.places(read_image(field.path).pixels)
            for i, (most, heat) in enumerate(rules):
                kept = search.chosen(places, most, heat)
                cells[number, i] = len(kept)
                for x, y in field.mitoses:
                    reached[i] += len(kept) and np.hypot(kept[:, 0] - x, kept[:, 1] - y).min() <= NEAR_PX
            tell(number + 1)
    figures = sum(len(field.mitoses) for field in fields)
    print(f"{len(fields)} fields, {figures} mitotic figures")
    print(f"{'rule':>8} {'places a field':>15} {'most':>5} {'reached':>8}")
    for i, (most, heat) in enumerate(rules):
        print(f"{f'{most},{heat:g}':>8} {cells[:, i].mean():15.0f} {cells[:, i].max():5} {reached[i]:8}")


if __name__ == "__main__":
    main()
