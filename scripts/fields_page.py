#!/usr/bin/env python3
"""Write the tables and the picture of docs/fields.md from what the benchmarks measured; `--check` only compares.

    python scripts/fields_page.py [--rows runs/rows/rows.json]

With --rows what benchmarks/field_rows.py measured is taken over into docs/fields/rows/rows.json first. Of every entry
docs/fields/NAME.json is from benchmarks/field_models.py, and docs/speed/full_width.json from benchmarks/full_width.py.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mitozoo.base.files import make_folder, write_text
from mitozoo.evaluation.plots import COLOURS, new_figure, save_figure
from mitozoo.export.record import plain_command

sys.path.insert(0, str(Path(__file__).resolve().parent))
from page_parts import table, with_parts

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, MEASURED = DOCS / "fields.md", DOCS / "fields"
ROWS, WIDTHS = MEASURED / "rows" / "rows.json", DOCS / "speed" / "full_width.json"
#: Seconds of all entries, of one run.
SPEED = DOCS / "speed" / "fields.json"
PICTURE = DOCS / "pictures" / "fusion.png"
#: Entry of the two branches, and what Sohail et al. 2020 (arXiv:2003.08803, section 4.1) have for the two rivals.
FUSED, RIVALS = "partmitosis-slim", {"maskrcnn-slim": 0.86, "two-stage-slim": 0.701}


def read(path: Path) -> Any:
    """What a benchmark left; None where it has left nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def compared(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Rows of one group beside what the paper has; of two branches also how they were fused."""
    found, fused = [], any("fusion" in row["decoder"] for row in rows.values())
    for row in rows.values():
        own, false = row["composed"], row["painted"]["fp_per_mm2"]
        found.append(
            [row["name"], f"{row['paper']:.3f}", f"{row['validation_f1']:.3f}", f"{own['precision']:.3f}",
             f"{own['recall']:.3f}", f"{own['f1']:.3f}", f"{false:.1f}", f"{60 * row['hours']:.0f}"]
        )  # fmt: skip
        if fused:
            found[-1] += [f"{row['decoder']['fusion']:g}", f"{row['strong_alone_f1']:.3f}"]
    head = ["trained", "F1 in the paper", "F1, VAL", "precision", "recall", "F1, TEST", "FP per mm²", "minutes"]
    return table(head + (["w", "F1, VAL, strong branch alone"] if fused else []), found)


def best_by_fusion(grid: Sequence[Mapping[str, Any]]) -> dict[float, float]:
    """The highest F1 on VAL at every fusion weight, over all other settings of the decoder."""
    best: dict[float, float] = {}
    for point in grid:
        best[point["fusion"]] = max(best.get(point["fusion"], 0.0), point["f1"])
    return dict(sorted(best.items()))


def draw_fusion(best: Mapping[float, float], path: Path) -> None:
    """The curve of Fig. 8."""
    figure, axes = new_figure(6.4, 4.0)
    axes.plot(list(best), list(best.values()), "o-", color=COLOURS[0])
    axes.set_xlabel("fusion weight w of the concentric branch", fontsize=12)
    axes.set_ylabel("F1 on validation fields", fontsize=12)
    axes.set_xlim(-0.03, 1.03)
    save_figure(figure, path)


def rivals() -> str:
    """Mask R-CNN beside its two-stage rival; seconds of all models in one run."""
    found = []
    speed = read(SPEED) or {}
    for name, paper in RIVALS.items():
        if measured := read(MEASURED / f"{name}.json"):
            own = measured["composed"]
            found.append(
                [name, f"{paper:.3f}", f"{own['precision']:.3f}", f"{own['recall']:.3f}", f"{own['f1']:.3f}",
                 f"{measured['painted']['fp_per_mm2']:.1f}", f"{speed[name]['median_s']:.1f}" if name in speed else "–"]
            )  # fmt: skip
    head = ["model", "F1 in the paper", "precision", "recall", "F1", "FP per mm², painted", "seconds a field"]
    return table(head, found)


def overlaps() -> str:
    """F1 and time of every overlap of tiles."""
    found = []
    for path in sorted(MEASURED.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")).get("overlaps", []):
            found.append([path.stem, f"{row['overlap']:g}", f"{row['f1']:.3f}", f"{row['seconds_a_field']:.1f}"])
    return table(["model", "overlap", "F1, VAL", "seconds a field"], found)


def widths() -> str:
    """Models at the width of their papers."""
    head = ["model", "parameters", "field, px", "seconds", "GB, weights and TensorFlow", "GB at most"]
    rows = [
        [row["model"], f"{row['params']:,}", str(row["size_px"]), f"{row['seconds']:.0f}",
         f"{row['gb_with_weights']:.1f}", f"{row['gb_at_most']:.1f}"]
        for row in read(WIDTHS) or []
    ]  # fmt: skip
    return table(head, rows)


def tables() -> dict[str, str]:
    """Every table by the name of its place."""
    rows, fused = read(ROWS) or {}, read(MEASURED / f"{FUSED}.json")
    made = {name: compared(rows.get(name, {})) for name in ("augmentation", "training", "transfer")}
    best = best_by_fusion(fused["grid"]) if fused else {}
    made["fusion"] = table(["w", *(f"{w:g}" for w in best)], [["F1", *(f"{f1:.3f}" for f1 in best.values())]])
    return made | {"rivals": rivals(), "overlaps": overlaps(), "widths": widths()}


def main() -> int:
    """Return the exit code: 1 where `--check` finds other tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.rows:
        make_folder(ROWS.parent)
        rows = json.loads(options.rows.read_text(encoding="utf-8"))
        for row in (row for group in rows.values() for row in group.values()):
            row["command"] = plain_command(row["command"])
        write_text(ROWS, json.dumps(rows, indent=1) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    wanted = with_parts(text, tables())
    if options.check:
        return int(wanted != text)
    write_text(PAGE, wanted)
    if fused := read(MEASURED / f"{FUSED}.json"):
        draw_fusion(best_by_fusion(fused["grid"]), PICTURE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
