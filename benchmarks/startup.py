#!/usr/bin/env python3
"""Seconds of `mitozoo --help`, as a whole process: minimum, median and maximum of ten runs.

python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time


def main() -> None:
    """Run."""
    seconds = []
    for _ in range(11):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "mitozoo", "--help"], check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    seconds = seconds[1:]
    print(f"mitozoo --help: {min(seconds):.3f} / {statistics.median(seconds):.3f} / {max(seconds):.3f} s")


if __name__ == "__main__":
    main()
