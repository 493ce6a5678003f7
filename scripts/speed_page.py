#!/usr/bin/env python3
"""Write the tables of docs/speed.md from what the benchmarks left in docs/speed/.

    python scripts/speed_page.py [--check]

Each table stands between `<!-- NAME -->` and `<!-- /NAME -->`. A benchmark that has left nothing has no table, and the
page says so. --check changes nothing and exits 1 if the page has other tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.files import write_text

sys.path.insert(0, str(Path(__file__).resolve().parent))
from page_parts import NOTHING, table, with_parts

ROOT = Path(__file__).parents[1]
PAGE, STORED = ROOT / "docs" / "speed.md", ROOT / "docs" / "speed"


def _fields(rows: dict[str, dict[str, float]]) -> str:
    head = ["model", "first field, s", "further fields, s", "mm² a minute", "peak memory, GB"]
    return table(
        head,
        [
            [name, f"{row['first_s']:.2f}", f"{row['median_s']:.2f}", f"{60 * row['mm2'] / row['median_s']:.0f}",
             f"{row['peak_gb']:.2f}"]
            for name, row in rows.items()
        ],
    )  # fmt: skip


def _slides(rows: list[dict[str, Any]]) -> str:
    """The rows, and a line through seconds over tissue of the smallest slides, which have hardly any glass."""
    head = ["model", "gigapixels", "tissue, mm²", "seconds", "mm² a minute", "network alone / end to end", "peak, GB"]
    made = table(
        head,
        [
            [row["model"], f"{row['gigapixels']:g}", f"{row['tissue_mm2']:.2f}", f"{row['seconds']:.1f}",
             f"{60 * row['tissue_mm2'] / row['seconds']:.1f}", f"{row['bare_over_whole']:.2f}", f"{row['peak_gb']:.2f}"]
            for row in rows
        ],
    )  # fmt: skip
    least = min(row["gigapixels"] for row in rows)
    same = [row for row in rows if row["gigapixels"] == least]
    tissue = [row["tissue_mm2"] for row in same]
    if max(tissue) < 2 * min(tissue):
        return made
    slope, start = np.polyfit(tissue, [row["seconds"] for row in same], 1)
    line = f"{start:.1f} s and {slope:.1f} s for each mm² of tissue"
    return f"{made}\n\nLeast squares over the rows of {least:g} gigapixels: {line}."


def _seams(rows: list[dict[str, Any]]) -> str:
    head = ["slide, px", "grid moved by, px", "mitotic figures", "found", "lost", "doubled"]
    return table(
        head,
        [
            [f"{row['size_px']:,}", row["shift_px"], row["mitoses"], row["found"], row["lost"], row["doubled"]]
            for row in rows
        ],
    )


def _kills(row: dict[str, Any]) -> str:
    head = ["kills", "runs that they broke", "equal to the unbroken run", "seconds of that"]
    return table(head, [[row["kills"], row["runs"], row["equal"], f"{row['seconds']:.0f}"]])


def _precision(rows: list[dict[str, Any]]) -> str:
    head = ["model", "way", "seconds", "times float32", "first search, s", "same calls"]
    return table(
        head,
        [
            [row["model"], row["way"], f"{row['seconds']:.3f}", f"{row['ratio']:.2f}", f"{row['first_s']:.1f}",
             f"{row['same_calls']:.0%}"]
            for row in rows
        ],
    )  # fmt: skip


def _tiatoolbox(row: dict[str, Any]) -> str:
    head = ["what", "seconds", "all runs, s", "megapixels through the network", "times as fast as TIAToolbox"]
    theirs = row["seconds"]["TIAToolbox"]
    named = {"TIAToolbox": f"TIAToolbox {row['tiatoolbox']}, torch {row['torch']}, {row['workers']} workers"}
    seconds_of = {name: ", ".join(f"{value:.1f}" for value in found) for name, found in row["all"].items()}
    made = table(
        head,
        [
            [named.get(name, name), f"{seconds:.1f}", seconds_of[name], f"{row['megapixels'][name]:.0f}",
             f"{theirs / seconds:.2f}"]
            for name, seconds in row["seconds"].items()
        ],
    )  # fmt: skip
    apart = f"their heat maps differ by at most {row['heat_apart']:.0e}."
    return f"{made}\n\n{row['mflops_per_px']:.4f} MFLOP a pixel in both; {apart}"


def _exports(rows: list[dict[str, Any]]) -> str:
    head = ["model", "MB", "seconds to export", "`predict`, s", "graph, s", "points", "px apart", "score apart"]
    return table(
        head,
        [
            [row["model"], f"{row['megabytes']:.0f}", f"{row['export_s']:.0f}", f"{row['predict_s']:.2f}",
             f"{row['graph_s']:.2f}", row["points"], f"{row['px_apart']:.3f}", f"{row['score_apart']:.0e}"]
            for row in rows
        ],
    )  # fmt: skip


def _folding(rows: list[dict[str, Any]]) -> str:
    head = ["model", "as learnt, s", "folded, s", "times as fast", "folding itself, s", "points", "score apart"]
    return table(
        head,
        [
            [row["model"], f"{row['before_s']:.2f}", f"{row['after_s']:.2f}", f"{row['ratio']:.2f}",
             f"{row['fold_s']:.1f}", row["points"], f"{row['apart']:.0e}"]
            for row in rows
        ],
    )  # fmt: skip


def _pipeline(rows: list[dict[str, Any]]) -> str:
    head = ["model", "augmented, a second", "learnt from, a second", "times as fast as the step", "lowest, highest"]
    return table(
        head,
        [
            [row["model"], f"{row['pipeline']:.0f}", f"{row['step']:.1f}", f"{row['ratio']:.1f}",
             f"{row['lowest']:.1f}, {row['highest']:.1f}"]
            for row in rows
        ],
    )  # fmt: skip


def _reading(rows: list[dict[str, Any]]) -> str:
    head = ["way", "megapixels", "processor, s", "seconds"]
    return table(
        head,
        [
            [row["way"], f"{row['megapixels']:.0f}", f"{row['processor_s']:.2f}", f"{row['seconds']:.2f}"]
            for row in rows
        ],
    )


#: Table: file that the benchmark wrote, and what makes the lines.
TABLES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "fields": ("fields.json", _fields),
    "slides": ("slides.json", _slides),
    "reading": ("reading.json", _reading),
    "seams": ("seams.json", _seams),
    "kills": ("kill_resume.json", _kills),
    "precision": ("precision.json", _precision),
    "pipeline": ("input_pipeline.json", _pipeline),
    "folding": ("folding.json", _folding),
    "tiatoolbox": ("tiatoolbox.json", _tiatoolbox),
    "exports": ("exports.json", _exports),
}


def page(text: str) -> str:
    """The page with the tables of now."""
    parts = {}
    for name, (file, made) in TABLES.items():
        stored = STORED / file
        parts[name] = made(json.loads(stored.read_text(encoding="utf-8"))) if stored.exists() else NOTHING
    return with_parts(text, parts)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = page(before)
    if options.check:
        return int(before != after)
    write_text(PAGE, after)
    return 0


if __name__ == "__main__":
    sys.exit(main())
