#!/usr/bin/env python3
"""Speed and memory of searching whole slides, for models of the zoo.

    python benchmarks/slide_speed.py [--model scout …] [--gigapixels 0.1 1] [--tissue-mm2 4] [--out FILE.json [--add]]

Draws slides with the same area of tissue on ever more glass. Every slide is searched by every model in a fresh process:
seconds from opening to points, mm² a minute, peak memory of the process. "bare" is the same tiles, read before, through
the same networks and decoder: bare over end to end, both measured in turns, is the share of the time that is search.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, resource, sys, time
from pathlib import Path
from mitozoo.data.slides import Slide
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.slide_search import halo_for, local_tiles, plan_slide, read_tiles, search_slide, search_tile
from mitozoo.models import zoo

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9

name, path, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
predictor = Predictor(zoo.load(name))
plan = plan_slide(Slide(path), predictor.spec.um_per_px, halo_px=halo_for(predictor))
first = next(iter(read_tiles(plan, plan.tiles[:1])))
search_tile(predictor, *first)  # compiles
start = time.perf_counter()
result, _ = search_slide(predictor, path.name, path)
seconds, memory = time.perf_counter() - start, peak()
some = plan.tiles[:: max(1, len(plan.tiles) // 16)][:16]
held = list(read_tiles(plan, some))
whole = bare = 0.0
for _ in range(rounds):
    start = time.perf_counter()
    for tile, pixels in held:
        search_tile(predictor, tile, pixels)
    middle = time.perf_counter()
    for _ in local_tiles(predictor)(plan, some):
        pass
    bare, whole = bare + middle - start, whole + time.perf_counter() - middle
print(json.dumps({"seconds": seconds, "tissue_mm2": result.tissue_mm2, "tiles": len(plan.tiles), "peak_gb": memory,
                  "bare_over_whole": bare / whole, "found": len(result.detections)}))
"""


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=[])
    parser.add_argument("--gigapixels", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--tissue-mm2", type=float, nargs="+", default=[4.0])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--add", action="store_true", help="Keep the rows that --out has already.")
    options = parser.parse_args()
    from mitozoo.data.synthetic.slide import write_slide
    from mitozoo.models import zoo

    print(f"{os.cpu_count()} cores, {platform.machine()}")
    print(
        f"{'model':12} {'gigapixels':>10} {'mm²':>6} {'tiles':>5} {'seconds':>8} {'mm²/min':>8} "
        f"{'bare/whole':>10} {'GB':>5}"
    )
    rows = json.loads(options.out.read_text(encoding="utf-8")) if options.add else []
    for gigapixels, tissue_mm2 in itertools.product(options.gigapixels, options.tissue_mm2):
        with tempfile.TemporaryDirectory() as folder:
            side = round(math.sqrt(gigapixels * 1e9))
            path = write_slide(Path(folder), width_px=side, height_px=side, tissue_mm2=tissue_mm2, seed=0, marks=True)
            for model in options.model or zoo.entries():
                done = subprocess.run(
                    [sys.executable, "-c", CHILD, model, str(path), str(options.rounds)],
                    capture_output=True, text=True, check=False,
                )  # fmt: skip
                if done.returncode:
                    sys.exit(done.stderr)
                row = {"model": model, "gigapixels": gigapixels, **json.loads(done.stdout.splitlines()[-1])}
                rows.append(row)
                print(
                    f"{model:12} {gigapixels:10.1f} {row['tissue_mm2']:6.2f} {row['tiles']:5} {row['seconds']:8.1f} "
                    f"{60 * row['tissue_mm2'] / row['seconds']:8.2f} {row['bare_over_whole']:10.2f} "
                    f"{row['peak_gb']:5.2f}",
                    flush=True,
                )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
