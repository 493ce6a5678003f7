#!/usr/bin/env python3
"""Write the table of models into README.md from the manifests of the zoo; `--check` only compares.

python scripts/model_table.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mitozoo.base.files import write_text
from mitozoo.models import zoo

README = Path(__file__).resolve().parent.parent / "README.md"
START, END = "<!-- models -->", "<!-- /models -->"
COLUMNS = (
    ("mean F1, 3 classes", "patch_mean_f1_balanced", "{:.3f}"),
    ("mitotic F1", "patch_mitotic_f1", "{:.3f}"),
    ("atypical, balanced accuracy", "balanced_accuracy_atypical", "{:.3f}"),
    ("place, median / 95 % px", ("location_median_px", "location_p95_px"), "{:.1f}"),
    ("detector recall", "recall", "{:.2f}"),
    ("FP per mm², fields / around mitoses", ("fp_per_mm2_fields", "fp_per_mm2_patches"), "{:.1f}"),
    ("detector F1", "f1", "{:.2f}"),
)


def _cell(results: Mapping[str, Any], keys: str | tuple[str, ...], form: str) -> str:
    names = (keys,) if isinstance(keys, str) else keys
    values = [results.get(name) for name in names]
    return "–" if None in values else " / ".join(form.format(value) for value in values)


def table() -> str:
    """The table in Markdown; a line that says so where the zoo is empty."""
    names = zoo.entries()
    if not names:
        return "No weights yet."
    lines = [
        "| model | parameters | " + " | ".join(title for title, _, _ in COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for name in names:
        found = zoo.manifest(name)
        cells = [_cell(found.results, keys, form) for _, keys, form in COLUMNS]
        lines.append(f"| [{name}](zoo/{name}/CARD.md) | {zoo.params(name):,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def with_table(text: str) -> str:
    """README with the table of now between its markers."""
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{table()}\n{END}{after}"


def main() -> int:
    """Return the exit code: 1 where `--check` finds another table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = README.read_text(encoding="utf-8")
    wanted = with_table(text)
    if parser.parse_args().check:
        return int(wanted != text)
    write_text(README, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
