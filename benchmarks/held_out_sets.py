#!/usr/bin/env python3
r"""Make what benchmarks/field_models.py measures on, of slides that no training of the split's other part has seen.

    python benchmarks/held_out_sets.py --patches AMI_BR --painted ICPR12_PAINTED --split SPLIT --part test --out FOLDER

Of the slides of the part, in the order of their names, every third gives its mitotic figures to FOLDER/validation, the
others to FOLDER/test; the painted fields go one by one to the first and the second. FOLDER/painted has those of the
second as they are, and FOLDER/split.json names the slides that the mitotic figures are of.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import json
import shlex
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from mitozoo import __version__
from mitozoo.base.files import make_folder, whole_folder, write_text
from mitozoo.data import formats
from mitozoo.data.composing.folder import ComposeSettings, compose_folder, of_part
from mitozoo.data.dataset import Field
from mitozoo.data.split import read_split

EVERY, ROUNDS = 3, 2


def copy_painted(fields: Sequence[Field], out: Path) -> None:
    """Copy painted fields and their rows of the table to a folder of the same layout."""
    table = fields[0].path.parent / "mitoses.csv"
    names = {field.path.name for field in fields}
    with whole_folder(out) as folder, table.open(newline="", encoding="utf-8") as source:
        for field in fields:
            shutil.copyfile(field.path, folder / field.path.name)
        rows = csv.DictReader(source)
        with (folder / table.name).open("w", newline="", encoding="utf-8") as target:
            writer = csv.DictWriter(target, rows.fieldnames or ())
            writer.writeheader()
            writer.writerows(row for row in rows if row["file"] in names)


def main(arguments: list[str] | None = None) -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("patches", "painted", "split", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--part", default="test")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    cases = read_split(options.split)[options.part]
    (patches,) = of_part([formats.read(options.patches)], cases)
    (painted,) = of_part([formats.read(options.painted)], cases)
    slides = sorted({field.case for field in patches.fields})
    halves = {
        "validation": (slides[::EVERY], painted.fields[0::2]),
        "test": ([slide for place, slide in enumerate(slides) if place % EVERY], painted.fields[1::2]),
    }
    make_folder(options.out)
    record = {"parts": {name: half for name, (half, _) in halves.items()}}
    write_text(options.out / "split.json", json.dumps(record, indent=1) + "\n")
    for name, (half, grounds) in halves.items():
        fields = dataclasses.replace(painted, fields=grounds)
        counts = compose_folder(
            of_part([patches], half),
            [fields],
            options.out / name,
            ComposeSettings(rounds=ROUNDS, seed=options.seed),
            mitozoo=__version__,
            command=shlex.join(Path(sys.argv[0]).parts[-1:] + tuple(sys.argv[1:])),
            split=str(options.split),
            part=options.part,
            patch_sets=[patches.name],
            field_sets=[painted.name],
        )
        print(f"{name}: {len(half)} slides, {counts['mitotic_figures']} mitotic figures, {counts['fields']} fields")
    copy_painted(halves["test"][1], options.out / "painted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
