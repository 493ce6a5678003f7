#!/usr/bin/env python3
"""What 16 bits, XLA and threads are worth in searching, side by side, for models of the zoo.

    python benchmarks/precision_speed.py [--model scout stn cnn12] [--rounds 5] [--size-px 1024] [--out FILE.json]

Each way runs in a fresh process on the same drawn field, after two searches that compile; seconds are the least of the
rounds, ratios to float32 without XLA and with TensorFlow's own number of threads. The speed of a machine that is shared
moves: compare rows of one run alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from pathlib import Path

from mitozoo.base.errors import RecipeError
from mitozoo.base.units import um_to_px
from mitozoo.data.synthetic import write_sample
from mitozoo.inference.speed import Speed
from mitozoo.inference.tune_speed import SAME_UM, named, same_calls, try_way
from mitozoo.models import zoo


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["scout", "stn", "cnn12"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size-px", type=int, default=1024)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    tried = [
        Speed(),
        Speed("bfloat16"),
        Speed("float16"),
        Speed(xla=True),
        Speed("bfloat16", xla=True),
        Speed(threads=1),
    ]
    print(f"{os.cpu_count()} cores, {platform.machine()}, a field of {options.size_px} x {options.size_px} px")
    print(f"{'model':12} {'way':24} {'seconds':>8} {'times float32':>14} {'first s':>8} {'same calls':>10}")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        drawn = write_sample(Path(folder), count=1, size_px=options.size_px, seed=0)
        field = next(path for path in drawn if path.name.startswith("field_"))
        for model in options.model:
            plain: dict = {}
            for way in tried:
                try:
                    said = try_way([(model, str(zoo.weights_path(model)))], field, way, options.rounds)
                except RecipeError as error:
                    print(f"{model:12} {error}")
                    continue
                plain = plain or said
                same = same_calls(plain["calls"], said["calls"], um_to_px(SAME_UM, zoo.manifest(model).um_per_px))
                row = {"model": model, "way": named(way), "seconds": said["seconds"], "first_s": said["first_s"],
                       "ratio": said["seconds"] / plain["seconds"], "same_calls": same}  # fmt: skip
                rows.append(row)
                print(
                    f"{model:12} {row['way']:24} {row['seconds']:8.3f} {row['ratio']:14.2f} {row['first_s']:8.2f} "
                    f"{same:10.0%}",
                    flush=True,
                )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
