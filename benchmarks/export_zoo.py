#!/usr/bin/env python3
"""Export every model of the zoo and compare the graph with `predict` on one drawn field.

    python benchmarks/export_zoo.py [--model scout …] [--size-px 900] [--out docs/speed/exports.json]

Each model has a process of its own. `mitozoo export` publishes nothing whose points differ by more than 0.5 px or
0.0001 in score on its own small images; here the field is larger than most models' tiles. Seconds are the least of
three searches after the first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from mitozoo.base.files import write_text

CHILD = """
import json, sys, tempfile, time
from pathlib import Path
import numpy as np, tensorflow as tf
import mitozoo
from mitozoo.data.synthetic import draw_field
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo

name, side = sys.argv[1], int(sys.argv[2])
field = draw_field(side, seed=3).image
predictor = Predictor(zoo.load(name))

def timed(run):
    run()
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - start)
    return min(seconds), found

with tempfile.TemporaryDirectory() as folder:
    start = time.perf_counter()
    mitozoo.export(name, out=Path(folder))
    export_s = time.perf_counter() - start
    megabytes = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 1e6
    graph = tf.saved_model.load(str(next(Path(folder).glob("*/1")))).signatures["image_tensor"]
    pixels = tf.constant(field[None])
    graph_s, answer = timed(lambda: graph(image_tensor=pixels))
    predict_s, found = timed(lambda: predictor.detections(field, predictor.spec.um_per_px))
points = answer["points"].numpy()[0][: int(answer["valid"][0])]
wanted = np.array([(item.x_px, item.y_px, item.score) for item in found if item.score >= predictor.threshold])
wanted = wanted.reshape(-1, 3)
same = len(points) == len(wanted)
apart = np.abs(points[:, :3] - wanted) if same else np.full((1, 3), np.inf)
print(json.dumps({
    "points": len(wanted), "points_of_graph": len(points), "export_s": export_s, "megabytes": megabytes,
    "predict_s": predict_s, "graph_s": graph_s, "px_apart": float(apart[:, :2].max(initial=0)),
    "score_apart": float(apart[:, 2].max(initial=0)),
}))
"""


def main() -> int:
    """Return the exit code: 1 where a graph finds something else."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=[])
    parser.add_argument("--size-px", type=int, default=900)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    from mitozoo.models import zoo

    rows = []
    for name in options.model or zoo.entries():
        command = [sys.executable, "-c", CHILD, name, str(options.size_px)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(done.stderr)
        rows.append({"model": name, "size_px": options.size_px, **json.loads(done.stdout.splitlines()[-1])})
        print(rows[-1], flush=True)
    if options.out:
        write_text(options.out, json.dumps(rows, indent=1) + "\n")
    return int(any(row["px_apart"] > 0.5 or row["score_apart"] > 1e-4 for row in rows))


if __name__ == "__main__":
    sys.exit(main())
