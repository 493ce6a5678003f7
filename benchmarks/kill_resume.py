#!/usr/bin/env python3
"""Kill `mitozoo predict` at random moments and resume it: do the results equal those of an unbroken run?

    python benchmarks/kill_resume.py --kills 100 [--size-px 9000] [--seed 0] [--model scout] [--out results.json]

Draws a slide, searches it once unbroken, then again and again with SIGKILL after a random time, resuming until it
ends, until there were so many kills. The time is a random share of a span, at first that of the unbroken run; it
becomes shorter with every run that ends before it is killed, and longer with every kill, so that other programs on the
machine change nothing. All results are compared to the last byte, but for run.json and the seconds that
it took.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mitozoo.base.files import write_text
from mitozoo.base.progress import progress_bar
from mitozoo.data.synthetic.slide import write_slide

ROOT = Path(__file__).parents[1]


def command(slide: Path, out: Path, model: str, *more: str) -> list[str]:
    """A search of the slide."""
    predict = [sys.executable, str(ROOT / "cli.py"), "predict", str(slide), "--out", str(out), "--model", model]
    return [*predict, "--quiet", *more]


def comparable(folder: Path) -> dict[str, bytes]:
    """The files of a run, without what tells the time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        # The journal is the run's own, and like run.json it says how long everything took.
        if not path.is_file() or path.name == "run.json" or path.parent.name.startswith(".mitozoo"):
            continue
        content = path.read_bytes()
        if path.name == "summary.csv":
            content = re.sub(rb",[0-9.]+,(ok|incomplete)", rb",,\1", content)
        if path.name == "report.html":
            content = content.split(b"<h2>Settings</h2>")[0]
        found[path.relative_to(folder).as_posix()] = content
    return found


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--size-px", type=int, default=9000)
    parser.add_argument("--tissue-mm2", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="scout")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    generator = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slide = write_slide(
            folder, width_px=options.size_px, height_px=options.size_px, tissue_mm2=options.tissue_mm2, mitoses=60,
            seed=options.seed,
        )  # fmt: skip
        start = time.perf_counter()
        subprocess.run(command(slide, folder / "whole", options.model), check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        wanted = comparable(folder / "whole")
        kills = runs = equal = 0
        span = seconds
        with progress_bar("Kills", options.kills) as tell:
            while kills < options.kills:
                out, resumed = folder / f"run{runs}", False
                while True:
                    more = ["--resume"] if resumed else []
                    process = subprocess.Popen(
                        command(slide, out, options.model, *more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
                    )
                    try:
                        _, said = process.communicate(timeout=generator.uniform(0.2, 1.0) * span)
                    except subprocess.TimeoutExpired:
                        process.send_signal(signal.SIGKILL)
                        process.communicate()
                        kills, resumed, span = kills + 1, True, 1.03 * span
                        tell(kills, f"{equal} of {runs} runs equal")
                        continue
                    if process.returncode:
                        sys.exit(said.decode())
                    span *= 0.93
                    break
                runs += 1
                equal += comparable(out) == wanted
                if options.out:  # after every run, so that a benchmark that is stopped has not measured for nothing
                    row = {"model": options.model, "size_px": options.size_px, "tissue_mm2": options.tissue_mm2,
                           "kills": kills, "runs": runs, "equal": equal, "seconds": seconds}  # fmt: skip
                    write_text(options.out, json.dumps(row, indent=1) + "\n")
    print(f"{kills} kills in {runs} runs of {seconds:.1f} s: {equal} of {runs} equal to the unbroken run")
    sys.exit(0 if equal == runs else 1)


if __name__ == "__main__":
    main()
