#!/usr/bin/env python3
"""Seconds and peak memory of measuring 10,000 fields with 100 detections each, with the bootstrap over 500 cases.

python benchmarks/evaluation_speed.py [--fields N] [--detections N] [--cases N] [--protocol NAME] [--seed N]

The fields are drawn from a seed, and a fresh process measures them, so that nothing else is counted. The peak is that
of the whole process, imports and the drawn fields included; `before` is the peak when the measuring began.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def measure(arguments: argparse.Namespace) -> None:
    """Draw, measure and print."""
    import numpy as np

    from mitozoo.evaluation.fields import FieldFound, FieldTruth, evaluate_fields

    rng = np.random.default_rng(arguments.seed)
    truths, found = [], []
    for index in range(arguments.fields):
        mitoses = rng.uniform(0, 2000, (rng.poisson(5), 2))
        case, domain = f"case {index % arguments.cases}", f"scanner {index % arguments.cases % 6}"
        truths.append(FieldTruth(str(index), case, mitoses, 0.25, 0.25, domain=domain))
        hits = (mitoses + rng.normal(0, 4, mitoses.shape))[: arguments.detections]
        others = rng.uniform(0, 2000, (arguments.detections - len(hits), 2))
        found.append(FieldFound(str(index), np.concatenate([hits, others]), rng.uniform(size=arguments.detections)))
    before, start = peak_mb(), time.perf_counter()
    report = evaluate_fields(truths, found, arguments.protocol, 0.5, seed=arguments.seed)
    seconds = time.perf_counter() - start
    shown = sum(len(item.scores) for item in found)
    print(
        f"{report.fields:,} fields, {shown:,} detections, protocol {arguments.protocol}, F1 {report.counts.f1:.4f}: "
        f"{seconds:.1f} s, peak {peak_mb():.0f} MB (before {before:.0f} MB)"
    )


def main() -> None:
    """Run in a fresh process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=10_000)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--protocol", default="default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        measure(arguments)
    else:
        subprocess.run([sys.executable, __file__, "--here", *sys.argv[1:]], check=True)


if __name__ == "__main__":
    main()
