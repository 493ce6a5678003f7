#!/usr/bin/env python3
r"""The papers' comparisons in small: U-Net with and without augmentation, PartMitosis trained and built in every way.

    python benchmarks/field_rows.py --data COMPOSED --imagenet mobilenet.npz --validation VAL --test TEST \
        --painted PAINTED --out runs/rows [--group transfer …] [--row "1-layer" …]

Each row is one `mitozoo train` by a quick recipe cut short, the same for the rows of a group, its decoder and threshold
chosen on VAL and measured on TEST by benchmarks/field_models.py. Rows that are finished are not trained again. Writes
rows.json, from which scripts/fields_page.py makes the tables of docs/fields.md.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitozoo.base.files import make_folder, write_text

ROOT = Path(__file__).parents[1]
#: What the quick recipes of tiles vary, turned off.
PLAIN = ("rotate=none", "mirror=no", "zoom=0", "stain=0", "hue=0", "brightness=0", "transfer=0", "scanner=0")


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes: name; changes, for --set; paper, the F1 that the paper has for it; stages that learn, each for the
    epochs of the group.
    """

    name: str
    changes: Sequence[str] = ()
    paper: float | None = None
    stages: int = 1


@dataclass(frozen=True)
class Group:
    """Rows that are compared. Attributes: model; epochs; changes of all rows; whether ImageNet's weights help."""

    model: str
    epochs: int
    rows: Sequence[Row]
    changes: Sequence[str] = ()
    imagenet: bool = False


_PARTMITOSIS = ("model.width=48", "tiles.strong_share=0.5", "tiles.tile_px=192", "stages.draws=240")
#: The two stages of stage-wise training have as many epochs each as the whole has.
_STAGES = ("whole.epochs=0", "concentric.epochs=5", "strong.epochs=5")
GROUPS = {
    # Qara, table of section VI: mean of five folds.
    "augmentation": Group(
        "unet",
        6,
        [Row("augmented", (), 0.317), Row("as they are", [f"tiles.{change}" for change in PLAIN], 0.018)],
        # Of the same work, four times as many mitotic figures are seen in tiles of a quarter of the area, and three
        # times as many at half the width.
        ("tiles.tile_px=128", "stages.draws=640", "model.widths=16,32,64"),
    ),
    # Sebai et al. 2020, Tables 1 and 2: ICPR 2014, validation.
    "training": Group(
        "partmitosis",
        5,
        [
            Row("stage-wise", _STAGES, 0.614, stages=2),
            Row("end-to-end", ["model.stop_gradient=no"], 0.612),
            Row("end-to-end, gradient stopped", (), 0.622),
        ],
        _PARTMITOSIS,
        imagenet=True,
    ),
    "transfer": Group(
        "partmitosis",
        5,
        [
            Row("1-layer", ["model.gamma=1-layer"], 0.619),
            Row("2-layer, ReLU", ["model.gamma=2-layer-relu"], 0.621),
            Row("2-layer, LeakyReLU", (), 0.622),
            Row("3-layer, ReLU", ["model.gamma=3-layer-relu"], 0.614),
            Row("3-layer, LeakyReLU", ["model.gamma=3-layer-leaky-relu"], 0.611),
        ],
        _PARTMITOSIS,
        imagenet=True,
    ),
}


def folder_of(group: Group, row: Row) -> str:
    """A name for files, the same for the same training in two groups."""
    changes = "-".join(change.split(".")[1].replace("=", "-") for change in row.changes)
    return f"{group.model}-{changes or 'plain'}"[:60]


def train(group: Group, row: Row, options: argparse.Namespace) -> Path:
    """Train a row, going on where it stopped; its folder."""
    out: Path = options.out / folder_of(group, row)
    if not (out / "model.weights.h5").exists():
        command = [sys.executable, str(ROOT / "cli.py"), "train", group.model, "--preset", "quick", "--quiet"]
        command += ["--data", str(options.data), "--validation", "0", "--seed", str(options.seed), "--out", str(out)]
        command += ["--epochs", str(group.epochs * row.stages)]
        command += [part for change in (*group.changes, *row.changes) for part in ("--set", change)]
        command += ["--imagenet", options.imagenet] if group.imagenet else []
        command += ["--resume"] if (out / "run.json").exists() else []
        print(shlex.join(command), flush=True)
        subprocess.run(command, check=True)
    return out


def measure(row: Row, out: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What the fields say of a row."""
    found = out / "fields.json"
    if not found.exists():
        command = [
            sys.executable,
            str(ROOT / "benchmarks" / "field_models.py"),
            "--run",
            str(out),
            "--out",
            str(found),
            "--short",
        ]
        for name in ("validation", "test", "painted"):
            command += [f"--{name}", str(getattr(options, name))]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    measured = json.loads(found.read_text(encoding="utf-8"))
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    best = max((point["f1"] for point in measured["grid"]), default=None)
    strong = [point["f1"] for point in measured["grid"] if point.get("fusion") == 0]
    return {
        "name": row.name,
        "paper": row.paper,
        "command": run["command"],
        "hours": run["hours"],
        "validation_f1": best,
        "strong_alone_f1": max(strong, default=None),
        "decoder": measured["decoder"],
        "composed": measured["composed"],
        "painted": measured["painted"],
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--imagenet", required=True)
    for name in ("validation", "test", "painted"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--group", action="append", choices=GROUPS, help="Only these groups.")
    parser.add_argument("--row", action="append", help="Only these rows.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    names = [row.name for group in GROUPS.values() for row in group.rows]
    if unknown := set(options.row or []) - set(names):
        parser.error(f"no row named {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    make_folder(options.out)
    stored = options.out / "rows.json"
    found: dict[str, dict[str, Any]] = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    for title, group in GROUPS.items():
        for row in group.rows:
            if (options.group and title not in options.group) or (options.row and row.name not in options.row):
                continue
            measured = measure(row, train(group, row, options), options)
            found.setdefault(title, {})[row.name] = measured
            write_text(stored, json.dumps(found, indent=1) + "\n")
            print(f"{title}, {row.name}: F1 {measured['composed']['f1']:.3f}", flush=True)


if __name__ == "__main__":
    main()
