#!/usr/bin/env python3
"""What batch normalisation inside the convolutions saves, side by side, for the models of the zoo that have any.

    python benchmarks/folding_speed.py [--model scout …] [--size-px 768] [--rounds 4] [--out FILE.json]

One drawn field, searched in turns by both networks after a search that compiles; the least of the rounds counts.
Points are the candidates of both, and the most that a probability of one differs from the other's.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from mitozoo.base.files import write_text
from mitozoo.data.synthetic import draw_field
from mitozoo.inference.decoders import decoder
from mitozoo.models import zoo
from mitozoo.models.folding import folded


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=[])
    parser.add_argument("--size-px", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    field = draw_field(options.size_px, seed=0).image
    rows = []
    for name in options.model or zoo.entries():
        loaded = zoo.load(name)
        start = time.perf_counter()
        model = folded(loaded.model)
        took = time.perf_counter() - start
        if model is loaded.model:
            continue
        ways = [decoder(loaded.spec.task, item, loaded.decoder) for item in (loaded.model, model)]
        found = [way(field) for way in ways]
        if len(found[0].xy) != len(found[1].xy):
            raise SystemExit(f"{name} finds {len(found[0].xy)} candidates, folded {len(found[1].xy)}.")
        apart = np.abs(found[0].probabilities - found[1].probabilities).max(initial=0.0)
        seconds: list[list[float]] = [[], []]
        for _ in range(options.rounds):
            for way, times in zip(ways, seconds, strict=True):
                start = time.perf_counter()
                way(field)
                times.append(time.perf_counter() - start)
        before, after = (min(times) for times in seconds)
        rows.append(
            {"model": name, "before_s": before, "after_s": after, "ratio": before / after, "fold_s": took,
             "points": len(found[0].xy), "apart": float(apart)}
        )  # fmt: skip
        print(f"{name:16} {before:7.3f} s, folded {after:7.3f} s: {before / after:.2f} times as fast", flush=True)
        if options.out:
            write_text(options.out, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
