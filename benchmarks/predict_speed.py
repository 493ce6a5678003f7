#!/usr/bin/env python3
"""Seconds a 2084x2084 field and peak memory of `mitozoo predict`, for every model of the zoo.

    python benchmarks/predict_speed.py [--fields 6 | --images FOLDER] [--model stn …] [--out results.json]

Every model runs in a fresh process on drawn fields, which are richer in look-alikes than tissue, or on the images of a
folder. Seconds are from decoded pixels to points, the median over the
fields after the first (which compiles); memory is the process's peak, all of Python and TensorFlow included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mitozoo.base.files import write_text

CHILD = """
import csv, json, resource, statistics, sys, time
from pathlib import Path
from mitozoo.commands import main
start = time.perf_counter()
model, fields = sys.argv[1], sys.argv[2:]
out = Path(fields[0] + ".out-" + model)
try:
    main(["predict", *fields, "--model", model, "--out", str(out), "--quiet"])
except SystemExit as end:
    if end.code:
        raise
wall = time.perf_counter() - start
rows = list(csv.DictReader((out / "summary.csv").open(encoding="utf-8")))
seconds = [float(row["seconds"]) for row in rows]
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"first_s": seconds[0], "median_s": statistics.median(seconds[1:]), "slowest_s": max(seconds[1:]),
                  "wall_s": wall, "peak_gb": peak / 1e9, "mm2": float(rows[0]["tissue_mm2"])}))
"""


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=6)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--size-px", type=int, default=2084)
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--add", action="store_true", help="Keep the rows that --out has of other models.")
    options = parser.parse_args()
    from mitozoo.data.synthetic import write_sample
    from mitozoo.models import zoo

    rows = json.loads(options.out.read_text(encoding="utf-8")) if options.add and options.out else {}
    print(f"{os.cpu_count()} cores, {platform.machine()}")
    print(f"{'model':16} {'first s':>8} {'median s':>9} {'slowest s':>10} {'peak GB':>8}")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_sample(Path(folder), count=options.fields, size_px=options.size_px, seed=0)
        fields = [str(path) for path in paths if path.name.startswith("field_")]
        if options.images:
            # Away from what else the folder holds: results are written beside the fields.
            found = sorted(path for path in options.images.rglob("*") if path.suffix in (".jpg", ".png"))
            fields = [shutil.copy(path, folder) for path in found[: options.fields]]
        for model in options.model or zoo.entries():
            done = subprocess.run(
                [sys.executable, "-c", CHILD, model, *fields], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(done.stderr)
            row = rows[model] = json.loads(done.stdout.splitlines()[-1])
            print(
                f"{model:16} {row['first_s']:8.2f} {row['median_s']:9.2f} {row['slowest_s']:10.2f} "
                f"{row['peak_gb']:8.2f}",
                flush=True,
            )
            if options.out:
                write_text(options.out, json.dumps(dict(sorted(rows.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
