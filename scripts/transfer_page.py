#!/usr/bin/env python3
"""Put finished transfer studies into docs/transfer.md: a table and the curve of each, from the studies' own files.

    python scripts/transfer_page.py "breast to canine lymphoma=runs/transfer-lymphoma" …

Draws the curve of each study and copies its transfer.csv into docs/transfer/.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

from mitozoo.base.files import make_folder, write_text
from mitozoo.evaluation.bootstrap import Interval
from mitozoo.evaluation.learning_curve import CurvePoint, answer, plot_curves
from mitozoo.export.record import plain_command

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, FILES = DOCS / "transfer.md", DOCS / "transfer"
START, END = "<!-- curves -->", "<!-- /curves -->"


def point_of(row: dict[str, Any]) -> CurvePoint:
    """A point of a study's JSON."""
    ends = {key: Interval(**row[key]) for key in ("f1_interval", "auc_interval")}
    return CurvePoint(**{**row, **ends, "shares": tuple(row["shares"]), "repeats": tuple(row["repeats"])})


def section(title: str, study: Path) -> str:
    """Heading, command, table, answer and picture of one study."""
    name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
    shutil.copyfile(study / "transfer.csv", FILES / f"{name}.csv")
    content = json.loads((study / "transfer.json").read_text(encoding="utf-8"))
    points = [point_of(row) for row in content["points"]]
    plot_curves(points, FILES / f"{name}.png", title)
    with (study / "transfer.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    lines = [f"### {title}", "", "```sh", plain_command(content["command"]), "```", ""]
    lines += ["| start | labelled mitotic figures | cases | F1 (95 % interval) | ROC AUC |", "|---|---|---|---|---|"]
    for row in rows:
        f1, low, high, auc = (float(row[key]) for key in ("f1", "f1_low", "f1_high", "auc"))
        counts = f"{float(row['mitotic_figures']):.0f} | {float(row['cases']):.0f}"
        lines.append(f"| {row['start']} | {counts} | {f1:.3f} ({low:.3f} to {high:.3f}) | {auc:.3f} |")
    answers = [f"- {line}" for line in answer(points).splitlines()]
    return "\n".join(
        [*lines, "", *answers, "", f"![F1 against labelled mitotic figures: {title}](transfer/{name}.png)"]
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="+", metavar="TITLE=FOLDER")
    make_folder(FILES)
    parts = []
    for words in parser.parse_args().studies:
        title, sign, folder = words.partition("=")
        if not sign:
            parser.error(f"{words!r} is not TITLE=FOLDER.")
        parts.append(section(title, Path(folder)))
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    write_text(PAGE, before + START + "\n" + "\n\n".join(parts) + "\n" + END + after)


if __name__ == "__main__":
    main()
