#!/usr/bin/env python3
"""Reading a slide's tiles straight from its JPEGs against OpenSlide, in turns: processor and wall-clock seconds.

    python benchmarks/slide_reading.py [--slide FILE | --gigapixels 0.1 --tissue-mm2 2] [--rounds 3] [--out FILE.json]

Reads, in one thread, the regions that a search by scout reads. Both give the same pixels, or it stops. Each round opens
the slide anew; the least of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mitozoo.base.files import write_text
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.slides import Slide
from mitozoo.data.synthetic.slide import write_slide
from mitozoo.inference.slide_search import SlidePlan, plan_slide


def timed(path: Path, plan: SlidePlan, *, straight: bool) -> tuple[float, float, list[int]]:
    """Processor seconds and seconds of reading all tiles, and a sum of the pixels of each."""
    sums, spent, lasted = [], 0.0, 0.0
    with Slide(path) as slide:
        if not straight:
            slide._tiles = None
        for tile in plan.tiles:
            processor, clock = time.process_time(), time.perf_counter()
            pixels = slide.read(tile.region, plan.downsample)
            spent, lasted = spent + time.process_time() - processor, lasted + time.perf_counter() - clock
            # With weights, so that the same pixels elsewhere make another sum.
            lines = pixels.sum(axis=(1, 2), dtype=np.int64)
            sums.append(int((lines * np.arange(1, len(lines) + 1)).sum()))
    return spent, lasted, sums


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slide", type=Path)
    parser.add_argument("--gigapixels", type=float, default=0.1)
    parser.add_argument("--tissue-mm2", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        side = round(math.sqrt(options.gigapixels * 1e9))
        path = options.slide or write_slide(
            Path(folder), width_px=side, height_px=side, tissue_mm2=options.tissue_mm2, seed=0
        )
        with Slide(path) as slide:
            if slide._tiles is None:
                sys.exit(f"{path} has no tiles of JPEG that are read straight.")
            plan = plan_slide(slide, UM_PER_PX_40X)
        runs: dict[bool, list[tuple[float, float, list[int]]]] = {True: [], False: []}
        for _ in range(options.rounds):
            for straight, found in runs.items():
                found.append(timed(path, plan, straight=straight))
    if any(found[2] != runs[True][0][2] for every in runs.values() for found in every):
        sys.exit("The pixels differ: this is no comparison.")
    megapixels = sum(tile.region.width * tile.region.height for tile in plan.tiles) / 1e6
    names = {True: "straight", False: "OpenSlide"}
    rows = [
        {"way": names[straight], "megapixels": round(megapixels, 1),
         "processor_s": min(found[0] for found in every), "seconds": min(found[1] for found in every)}
        for straight, every in runs.items()
    ]  # fmt: skip
    for row in rows:
        print(f"{row['way']:10} {row['processor_s']:6.2f} s of processor, {row['seconds']:6.2f} s")
    print(f"{rows[1]['processor_s'] / rows[0]['processor_s']:.2f} times the processor time of the first")
    if options.out:
        write_text(options.out, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
