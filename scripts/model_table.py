#!/usr/bin/env python3
"""Write the tables of models into README.md; `--check` only compares.

    python scripts/model_table.py

Cells: from the manifests of the zoo. Fields: from docs/fields/NAME.json, which
`benchmarks/field_models.py --entry NAME` wrote for every entry on the same fields. Seconds: from
docs/speed/fields.json, which `benchmarks/predict_speed.py` wrote, for all entries in one run.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mitozoo.base.files import write_text
from mitozoo.models import zoo

sys.path.insert(0, str(Path(__file__).resolve().parent))
from page_parts import with_parts

README = Path(__file__).resolve().parent.parent / "README.md"
MEASURED, SPEED = README.parent / "docs" / "fields", README.parent / "docs" / "speed" / "fields.json"
COLUMNS = (
    ("mean F1, 3 classes", "patch_mean_f1_balanced", "{:.3f}"),
    ("mitotic F1", "patch_mitotic_f1", "{:.3f}"),
    ("atypical, balanced accuracy", "balanced_accuracy_atypical", "{:.3f}"),
    ("place, median / 95 % px", ("location_median_px", "location_p95_px"), "{:.1f}"),
    ("detector recall", "recall", "{:.2f}"),
    ("FP per mm², fields / around mitoses", ("fp_per_mm2_fields", "fp_per_mm2_patches"), "{:.1f}"),
    ("detector F1", "f1", "{:.2f}"),
)


FIELD_COLUMNS = (
    ("precision, recall", ("composed", ("precision", "recall")), "{:.2f}"),
    ("F1", ("composed", ("f1",)), "{:.2f}"),
    ("FP per mm², painted fields", ("painted", ("fp_per_mm2",)), "{:.1f}"),
    ("clean frames: found, false, missed", ("frames", ("tp", "fp", "fn")), "{}"),
)


def _cell(results: Mapping[str, Any], keys: str | tuple[str, ...], form: str) -> str:
    names = (keys,) if isinstance(keys, str) else keys
    values = [results.get(name) for name in names]
    return "–" if None in values else " / ".join(form.format(value) for value in values)


def table() -> str:
    """Both tables in Markdown; a line that says so where the zoo is empty."""
    names = zoo.entries()
    if not names:
        return "No weights yet."
    return f"{cell_table(names)}\n\n{field_table(names)}"


def _head(columns: Iterable[str]) -> list[str]:
    titles = ["model", "parameters", *columns]
    return ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]


def _row(name: str, cells: Iterable[str]) -> str:
    return f"| [{name}](zoo/{name}/CARD.md) | {zoo.params(name):,} | " + " | ".join(cells) + " |"


def cell_table(names: Sequence[str]) -> str:
    """What the manifests say of the models that tell cells apart."""
    lines = _head(title for title, _, _ in COLUMNS)
    for name in names:
        results = zoo.manifest(name).results
        if "patch_mitotic_f1" in results:
            lines.append(_row(name, (_cell(results, found, form) for _, found, form in COLUMNS)))
    return "\n".join(lines)


def field_table(names: Sequence[str]) -> str:
    """What every model finds in the same fields."""
    lines = _head([*(title for title, _, _ in FIELD_COLUMNS), "seconds a field"])
    speed = json.loads(SPEED.read_text(encoding="utf-8")) if SPEED.is_file() else {}
    for name in names:
        path = MEASURED / f"{name}.json"
        measured = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        cells = [
            ", ".join(form.format(measured[part][key]) for key in keys) if part in measured else "–"
            for _, (part, keys), form in FIELD_COLUMNS
        ]
        lines.append(_row(name, [*cells, f"{speed[name]['median_s']:.1f}" if name in speed else "–"]))
    return "\n".join(lines)


def main() -> int:
    """Return the exit code: 1 where `--check` finds another table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = README.read_text(encoding="utf-8")
    wanted = with_parts(text, {"models": table()})
    if parser.parse_args().check:
        return int(wanted != text)
    write_text(README, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
