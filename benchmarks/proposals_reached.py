#!/usr/bin/env python3
"""How many mitotic figures the proposals that are verified reach, by the rule that chooses them.

    python benchmarks/proposals_reached.py scout --fields held/validation [--rule 3,0.5 …] [--seconds]

Instead of an entry of the zoo, or beside it, folders of `mitozoo train`, also ones that are not done.

A rule "N,HEAT": of the proposals in the square around a place the N highest are verified, and all from HEAT on. Fields
have complete labels (`mitozoo data compose`). Reached: a verified place lies within 30 px of the labelled one.
--seconds: the median of the whole search of a field, all rules and weights in turns.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from mitozoo.base.progress import progress_bar
from mitozoo.data import formats
from mitozoo.data.images import read_image
from mitozoo.inference.decoders import decoder
from mitozoo.inference.decoders.propose_verify import ProposeVerify
from mitozoo.models import zoo
from mitozoo.models.folding import folded
from mitozoo.models.zoo_source import ZOO, load_source

RULES = ["3,0.5", "2,0.5", "2,0.35", "2,0.3", "2,0.25", "1,0.3", "1,0.25"]
NEAR_PX = 30.0


def decoder_of(name: str) -> ProposeVerify:
    """The search with weights of the zoo, or of a run."""
    loaded = load_source(f"{ZOO}{name}" if name in zoo.entries() else name)
    found = decoder(loaded.spec.task, folded(loaded.model), loaded.decoder)
    assert isinstance(found, ProposeVerify)
    return found


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", metavar="ENTRY|RUN", nargs="+")
    parser.add_argument("--fields", type=Path, required=True)
    parser.add_argument("--rule", action="append", help="N,HEAT")
    parser.add_argument("--seconds", action="store_true")
    options = parser.parse_args()
    rules = [(int(n), float(heat)) for n, heat in (rule.split(",") for rule in options.rule or RULES)]
    searches = [decoder_of(name) for name in options.weights]
    fields = formats.read(options.fields).fields
    cells = np.zeros((len(searches), len(fields), len(rules)), int)
    seconds = np.zeros(cells.shape)
    reached = np.zeros((len(searches), len(rules)), int)
    with progress_bar("Fields", len(fields)) as tell:
        for number, field in enumerate(fields):
            pixels = read_image(field.path).pixels
            for k, search in enumerate(searches):
                places = search.places(pixels)
                for i, (most, heat) in enumerate(rules):
                    kept = search.chosen(places, most, heat)
                    cells[k, number, i] = len(kept)
                    for x, y in field.mitoses:
                        reached[k, i] += len(kept) and np.hypot(kept[:, 0] - x, kept[:, 1] - y).min() <= NEAR_PX
            if options.seconds:
                for i, (most, heat) in enumerate(rules):
                    for k, search in enumerate(searches):
                        search.near_most, search.sure_heat = most, heat
                        start = time.perf_counter()
                        search(pixels)
                        seconds[k, number, i] = time.perf_counter() - start
            tell(number + 1)
    figures = sum(len(field.mitoses) for field in fields)
    print(f"{len(fields)} fields, {figures} mitotic figures")
    for k, name in enumerate(options.weights):
        print(name)
        print(f"{'rule':>8} {'places a field':>15} {'most':>5} {'reached':>8}" + " seconds" * options.seconds)
        for i, (most, heat) in enumerate(rules):
            row = f"{f'{most},{heat:g}':>8} {cells[k, :, i].mean():15.0f} {cells[k, :, i].max():5} {reached[k, i]:8}"
            print(row + f" {np.median(seconds[k, 1:, i]):7.2f}" * options.seconds)


if __name__ == "__main__":
    main()
