#!/usr/bin/env python3
"""Write the tables of docs/scout.md from what benchmarks/ablation.py measured; `--check` only compares.

python scripts/ablation_page.py [--rows runs/ablation/rows.json]

With --rows the measured rows are taken over into docs/scout/ablation.json first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mitozoo.base.files import make_folder, write_text

sys.path.insert(0, str(Path(__file__).resolve().parent))
from page_parts import table, with_parts

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, STORED = DOCS / "scout.md", DOCS / "scout" / "ablation.json"
#: Rows that hold a domain out begin with this.
LEFT_OUT = "without "


def rows_of(rows: Sequence[Mapping[str, Any]], first: str) -> str:
    """Markdown of the rows, each at its own best threshold and at the common one."""
    head = [
        first, "patches", "F1", "recall", "FP/mm² fields", "FP/mm² patches", "F1, common threshold", "mitotic AUC",
        "atypical",
    ]  # fmt: skip
    lines = []
    for row in rows:
        best, given = row["best"], row["given"] or row["best"]
        lines.append(
            [row["name"], row["patches"], f"{best['f1']:.3f}", f"{best['recall']:.3f}",
             f"{best['fp_per_mm2_fields']:.1f}", f"{best['fp_per_mm2_patches']:.1f}", f"{given['f1']:.3f}",
             f"{row['auc']:.3f}", f"{row['atypical']:.3f}"]
        )  # fmt: skip
    return table(head, lines)


def with_tables(text: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The page with its tables of now between their markers."""
    groups = {
        "parts": rows_of([row for name, row in rows.items() if not name.startswith(LEFT_OUT)], "trained"),
        "domains": rows_of([row for name, row in rows.items() if name.startswith(LEFT_OUT)], "learnt"),
    }
    return with_parts(text, groups)


def main() -> int:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.rows:
        make_folder(STORED.parent)
        rows = json.loads(options.rows.read_text(encoding="utf-8"))
        write_text(STORED, json.dumps(rows, indent=1) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    made = with_tables(text, json.loads(STORED.read_text(encoding="utf-8")))
    if options.check:
        if made != text:
            print(f"{PAGE} is not of {STORED}. Run: python scripts/ablation_page.py")
        return int(made != text)
    write_text(PAGE, made)
    print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
