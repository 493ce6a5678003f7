#!/usr/bin/env python3
r"""What each part of the default detector's training is worth, and how it does on a domain that it never saw.

    python benchmarks/ablation.py --data AMI_BR --data ATNORM_MD --negatives ICPR12_PAINTED --negatives TISSUE \
        --imagenet mobilenet.npz --split split.json --out runs/ablation [--row "with EMA" …] [--epochs 10] \
        [--composed COMPOSED] [--leave-out PLACES.csv]

Each row is one `mitozoo train scout` with one thing left out, or with one domain held out of training, measured on its
held-out slides by benchmarks/held_out_fields.py. Rows that are finished are not trained again. Writes rows.json, from
which scripts/ablation_page.py makes tables. Every row has the same seed and the same few short
epochs, far fewer than those of the bundled weights, but for those that say longer. COMPOSED are fields of the same
part of the split, by `mitozoo data compose`; PLACES are what a model takes for mitotic figures in unlabelled fields.
The rows that need them are left out without them.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mitozoo.base.files import write_text
from mitozoo.data import formats
from mitozoo.data.split import read_split
from mitozoo.evaluation.held_out import held_out_reports
from mitozoo.models import registry
from mitozoo.training.outcome import PREDICTIONS, load_outcome

ROOT = Path(__file__).parents[1]


def _slide(case: str) -> int:
    """Number of a MIDOG21 slide; 0 for another case."""
    return int(case.split("/")[1].removesuffix(".tiff")) if case.startswith("MIDOG21/") else 0


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes: name; options of `train`; more_epochs than the other rows have; left_out, whether a case of a domain is
    held out, or None; composed, whether it learns from composed fields too; negatives, how many of --negatives it
    learns from, the first ones, or None for all; left_out_places, whether it learns nothing from the places of
    --leave-out.
    """

    name: str
    options: Sequence[str] = ()
    more_epochs: int = 0
    left_out: Callable[[str, str], bool] | None = None
    composed: bool = False
    negatives: int | None = None
    left_out_places: bool = False

    @property
    def folder(self) -> str:
        """A name for files."""
        return self.name.replace(" ", "-").replace(":", "")


def _set(*changes: str) -> list[str]:
    return [part for change in changes for part in ("--set", change)]


#: Cells as if at 0.18 to 0.35 µm per pixel instead of 0.2 to 0.31, and in the surroundings of others.
ZOOMED, TRANSPLANTED = _set("augment.zoom=0.4"), _set("augment.transplant=0.4")
#: All rows but one have one verifier, and in all but one the proposer learns once.
ALONE = _set("model.verifiers=1", "second.epochs=0", "sharpen.epochs=0")
#: MIDOG21's slides 1 to 50 and 51 to 100 are from two Hamamatsu scanners, 101 to 150 from an Aperio CS2 (Aubreville et
#: al. 2023, doi:10.1016/j.media.2022.102699).
PARTS = [
    Row("all"),
    Row("with a second round of mining", _set("verifier.epochs=16", "refine.epochs=8")),
    Row("with EMA", _set("ema=0.998")),
    Row("with both", _set("verifier.epochs=16", "refine.epochs=8", "ema=0.998")),
    Row("no mining by the proposer", _set("stages.mine=none")),
    Row("no negatives beside mitotic figures", _set("without=neighbour")),
    Row("no negatives from unlabelled fields", negatives=1),
    Row("possible mitotic figures left out", left_out_places=True),
    Row("no stain of other cells", _set("augment.transfer=0")),
    Row("no stain augmentation", _set("augment.transfer=0", "augment.stain=0", "augment.hue=0")),
    Row("stains beyond those of other cells", _set("augment.transfer_reach=1.5", "augment.transfer=0.9")),
    Row("no simulated scanner", _set("augment.scanner=0")),
    Row("more sizes", ZOOMED),
    Row("one size", _set("augment.zoom=0")),
    Row("no label smoothing", _set("smoothing=0")),
    # 3 of the proposer's epochs and 7 of each verifier's.
    Row("with a second verifier", _set("model.verifiers=2", "second.epochs=24"), more_epochs=7),
    # 3 of the proposer's, 7 of the verifier's and 18 of the proposer's second training.
    Row("with a sharpened proposer", _set("sharpen.epochs=60"), more_epochs=18),
    Row("with composed fields", composed=True),
    Row("no ImageNet"),
]


def _no_tupac(case: str, domain: str) -> bool:
    return domain == "TUPAC16"


def _no_dogs(case: str, domain: str) -> bool:
    return domain.startswith("canine")


#: Twenty epochs of 8,000 cells: 2.7 times as many as the others'.
LONGER = _set("stages.draws=8000")
#: As many cells as the bundled weights' first verifier had.
LONGEST = _set("verifier.draws=12000")
DOMAINS = [
    Row("without TUPAC16", left_out=_no_tupac),
    Row("without TUPAC16, longer", LONGER, more_epochs=10, left_out=_no_tupac),
    Row("without MIDOG21", left_out=lambda case, domain: domain == "MIDOG21"),
    Row("without dogs", left_out=_no_dogs),
    Row("without dogs, longer", LONGER, more_epochs=10, left_out=_no_dogs),
    Row("without dogs, longer, more sizes", LONGER + ZOOMED, more_epochs=10, left_out=_no_dogs),
    Row("without dogs, longer, cells transplanted", LONGER + TRANSPLANTED, more_epochs=10, left_out=_no_dogs),
    Row(
        "without dogs, longer, more sizes and transplanted",
        LONGER + ZOOMED + TRANSPLANTED,
        more_epochs=10,
        left_out=_no_dogs,
    ),
    Row("without dogs, possible mitotic figures left out", left_out=_no_dogs, left_out_places=True),
    Row(
        "without dogs, longer, possible mitotic figures left out",
        LONGER,
        more_epochs=10,
        left_out=_no_dogs,
        left_out_places=True,
    ),
    Row(
        "without dogs, longest, possible mitotic figures left out",
        LONGEST,
        more_epochs=24,
        left_out=_no_dogs,
        left_out_places=True,
    ),
    Row("without lymphoma, longer", LONGER, more_epochs=10, left_out=lambda case, domain: domain == "canine lymphoma"),
    Row("without MIDOG21 Hamamatsu", left_out=lambda case, domain: 1 <= _slide(case) <= 100),
    Row("without MIDOG21 Aperio CS2", left_out=lambda case, domain: 101 <= _slide(case) <= 150),
]


def split_of(row: Row, options: argparse.Namespace, folder: Path) -> Path:
    """The split of a row: that which was given, or one with its domain held out, and with the given one's fields."""
    if row.left_out is None:
        return options.split
    given = read_split(options.split)
    domain_of = {f.case: f.domain for path in options.data for f in formats.read(path).fields}
    parts: dict[str, list[str]] = {"train": [], "test": []}
    for part, cases in given.items():
        for case in cases:
            if case in domain_of:
                parts["test" if row.left_out(case, domain_of[case]) else "train"].append(case)
            else:
                parts["train" if part == "train" else "test"].append(case)
    plain = json.loads(options.split.read_text(encoding="utf-8"))
    plain |= {"parts": parts, "counts": {}, "shares": {}}
    path = folder / f"split-{row.folder}.json"
    write_text(path, json.dumps(plain, indent=1) + "\n")
    return path


def train(row: Row, options: argparse.Namespace, split: Path) -> Path:
    """Train a row, going on where it stopped; its folder."""
    out = options.out / row.folder
    if not (out / "model.weights.h5").exists():
        command = [sys.executable, str(ROOT / "cli.py"), "train", "scout", "--preset", "quick", "--quiet"]
        for name, paths in (("data", options.data), ("negatives", options.negatives[: row.negatives])):
            command += [part for path in paths for part in (f"--{name}", str(path))]
        command += ["--data", str(options.composed)] if row.composed else []
        command += ["--leave-out", str(options.leave_out)] if row.left_out_places else []
        command += [
            "--set",
            f"stages.draws={options.draws}",
            "--epochs",
            str(options.epochs + row.more_epochs),
            "--split",
            str(split),
            "--out",
            str(out),
            *ALONE,
            *row.options,
        ]
        command += ["--imagenet", options.imagenet] if row.name != "no ImageNet" else []
        command += ["--cache", str(options.cache)] if options.cache else []
        command += ["--resume"] if (out / "run.json").exists() else []
        print(shlex.join(command), flush=True)
        subprocess.run(command, check=True)
    return out


def measure(row: Row, out: Path, options: argparse.Namespace, threshold: float | None) -> dict:
    """What a row's held-out slides say."""
    found = out / "detector.json"
    if not found.exists():
        command = [sys.executable, str(ROOT / "benchmarks" / "held_out_fields.py"), str(out), "--out", str(found)]
        command += [part for path in options.data for part in ("--data", str(path))]
        command += ["--negatives", str(options.negatives[0])]
        # The rule of what is verified that all rows have been measured with.
        command += ["--decoder", "near_most=2", "--decoder", "sure_heat=0.3"]
        command += ["--threshold", str(threshold)] if threshold is not None else []
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    detector = json.loads(found.read_text(encoding="utf-8"))
    run = json.loads((out / "run.json").read_text(encoding="utf-8"))
    outcome = load_outcome(out / PREDICTIONS, 0)
    reports = held_out_reports(
        outcome.labels, outcome.probabilities, registry.spec("scout").classes, outcome.cases, seed=0
    )
    atypical = reports["all"].atypical
    return {
        "name": row.name,
        "options": list(row.options),
        "slides": sum(number == 0 for number in run["fold_of"].values()),
        "patches": detector["patches"],
        "best": detector["best"],
        "given": detector.get("given"),
        "domains": detector["domains"],
        "f1_one_to_one": reports["one-to-one"].mitotic.f1,
        "auc": reports["all"].mitotic_auc,
        "atypical": atypical.balanced_accuracy if atypical else None,
        "hours": run["hours"],
    }


def _stored(path: Path) -> dict[str, dict]:
    """The rows that are measured already."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--negatives", type=Path, action="append", required=True, help="The first is measured on too.")
    parser.add_argument("--imagenet", required=True)
    parser.add_argument("--composed", type=Path, help="Composed fields of the slides that are learnt from.")
    parser.add_argument("--leave-out", type=Path, help="Places of --negatives that may be mitotic figures.")
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--draws", type=int, default=6000, help="Cells of an epoch.")
    parser.add_argument("--row", action="append", help="Only these rows.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    names = [row.name for row in PARTS + DOMAINS]
    if unknown := set(options.row or []) - set(names):
        parser.error(f"no row named {', '.join(unknown)}; there are: {', '.join(names)}")
    stored = options.out / "rows.json"
    for row in PARTS + DOMAINS:
        lacks = (row.composed and not options.composed) or (row.left_out_places and not options.leave_out)
        if (options.row and row.name not in options.row) or lacks:
            continue
        out = train(row, options, split_of(row, options, options.out))
        common = _stored(stored).get("all", {}).get("best", {}).get("threshold")
        measured = measure(row, out, options, common)
        # Read again: rows may be trained side by side. In the order of the page, whatever was measured first.
        found = {**_stored(stored), row.name: measured}
        found = {name: found[name] for name in names if name in found}
        write_text(stored, json.dumps(found, indent=1) + "\n")
        best = found[row.name]["best"]
        print(f"{row.name}: F1 {best['f1']:.3f}, recall {best['recall']:.3f}", flush=True)


if __name__ == "__main__":
    main()
