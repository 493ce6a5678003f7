#!/usr/bin/env python3
"""Measure a run, or weights of the zoo, as a detector on slides that they have not seen.

    python benchmarks/held_out_fields.py RUN --data AMI_BR --negatives ICPR12_PAINTED --out RUN/detector.json
    python benchmarks/held_out_fields.py --entry scout --split split.json --data AMI_BR … [--decoder near_most=2]

RUN is a folder of `mitozoo train MODEL`, with folds or with a share held out. Every fold's weights are tried on the
patches and fields of its own held-out slides: recall on the patches, false positives on the fields. Prints a table; the
threshold with the best F1 is chosen on these pooled held-out slides, and each domain is given at that threshold.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from mitozoo.base.progress import progress_bar
from mitozoo.base.units import UM_PER_PX_40X, area_mm2
from mitozoo.data import formats
from mitozoo.data.dataset import Field
from mitozoo.data.images import read_image
from mitozoo.data.split import read_split
from mitozoo.data.tissue import tissue_mm2
from mitozoo.evaluation.composite import Composite, patch_rest_mm2, patch_scores
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo
from mitozoo.models.zoo import LoadedModel

#: Cases that models have not seen, and the models that are asked together.
Trials = Iterable[tuple[set[str], list[LoadedModel]]]
#: Changes a picture before it is searched, or None.
Change = Callable[[np.ndarray], np.ndarray] | None


def found_in(
    predictor: Predictor, path: Path, um_per_px: float, change: Change = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, points and scores of one image; pixels as they are, changed only to be searched."""
    pixels = read_image(path).pixels
    items = predictor.detections(change(pixels) if change else pixels, um_per_px)
    return pixels, np.array([(i.x_px, i.y_px) for i in items]).reshape(-1, 2), np.array([i.score for i in items])


class Gathered:
    """Scores of all folds, gathered for the composite measure."""

    def __init__(self, change: Change = None) -> None:
        """Start with nothing. Args: change of every picture."""
        self.change = change
        self.hits: list[float] = []
        self.around: list[np.ndarray] = [np.zeros(0)]
        self.fields: list[np.ndarray] = [np.zeros(0)]
        self.around_mm2 = self.fields_mm2 = 0.0
        self.mitoses = 0

    def patch(self, predictor: Predictor, patch: Field) -> None:
        """Add a patch around a mitotic figure."""
        pixels, xy, scores = found_in(predictor, patch.path, UM_PER_PX_40X, self.change)
        # Another labelled mitotic figure of the patch is no false positive.
        others = [np.hypot(xy[:, 0] - x, xy[:, 1] - y) <= radius for x, y, radius in patch.excluded]
        own = ~np.any(others, axis=0) if others else np.ones(len(xy), bool)
        hit, rest = patch_scores(xy[own], scores[own], patch.mitoses[0])
        self.hits.append(hit)
        self.around.append(rest)
        self.around_mm2 += patch_rest_mm2(pixels.shape[1], pixels.shape[0], UM_PER_PX_40X)

    def field(self, predictor: Predictor, field: Field) -> None:
        """Add a field whose mitotic figures are painted over."""
        pixels, xy, scores = found_in(predictor, field.path, field.um_per_px, self.change)
        keep = np.ones(len(xy), bool)
        for x, y, radius in field.excluded:
            keep &= np.hypot(xy[:, 0] - x, xy[:, 1] - y) > radius
        self.fields.append(scores[keep])
        circles = sum(area_mm2(math.pi * r * r, field.um_per_px) for _, _, r in field.excluded)
        self.fields_mm2 += tissue_mm2(pixels, field.um_per_px) - circles
        self.mitoses += len(field.excluded)

    def add_fields(self, other: Gathered) -> None:
        """Add the fields of another."""
        self.fields += other.fields
        self.fields_mm2 += other.fields_mm2
        self.mitoses += other.mitoses

    @staticmethod
    def pooled(parts: list[Gathered]) -> Gathered:
        """All patches of all parts; the fields, which every part has, once."""
        whole = Gathered()
        for part in parts:
            whole.hits += part.hits
            whole.around += part.around
            whole.around_mm2 += part.around_mm2
        whole.add_fields(parts[0])
        return whole

    def measure(self) -> Composite:
        """The measure over all of it."""
        return Composite(
            hits=np.array(self.hits),
            around=np.concatenate(self.around),
            around_mm2=self.around_mm2,
            fields=np.concatenate(self.fields),
            fields_mm2=self.fields_mm2,
            mitoses=self.mitoses,
        )


def held_out(run: dict, folder: Path) -> Iterator[tuple[set[str], Path]]:
    """The cases that each fold's weights have not seen, with the weights; of a run without folds, those it held out."""
    for fold in range(run["folds"] or 1):
        held = {case for case, number in run["fold_of"].items() if number == fold}
        yield held, (folder / f"fold_{fold}" if run["folds"] else folder) / "model.weights.h5"


def of_run(path: Path, also: Sequence[Path], error: Callable[[str], NoReturn]) -> tuple[dict, Trials]:
    """What is said of a run, and what each of its folds held out with the models that are asked."""
    run = json.loads((path / "run.json").read_text(encoding="utf-8"))
    if not run["fold_of"]:
        error(f"{path} held no case out.")
    others = [json.loads((other / "run.json").read_text(encoding="utf-8")) for other in also]
    if any(other["folds"] or other["fold_of"] != run["fold_of"] for other in others) or (others and run["folds"]):
        error("Runs that are asked together must have held the same cases out, without folds.")
    together = [zoo.load(other["model"], it / "model.weights.h5") for other, it in zip(others, also, strict=True)]
    about = {"run": " + ".join(it.name for it in (path, *also)), "model": run["model"], "folds": run["folds"]}
    return about, ((held, [zoo.load(run["model"], weights), *together]) for held, weights in held_out(run, path))


def rows_of(pooled: Composite) -> dict:
    """The measure as plain values."""
    return {
        "patches": len(pooled.hits),
        "patches_mm2": round(pooled.around_mm2, 4),
        "fields_mm2": round(pooled.fields_mm2, 4),
        "mitoses": pooled.mitoses,
        "best": pooled.best(),
        "at_recall": pooled.at_recalls(),
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("run", type=Path, nargs="?")
    what.add_argument("--entry", help="Weights of the zoo; with --split, whose part --part they have not seen.")
    parser.add_argument("--split", type=Path)
    parser.add_argument("--part", default="test")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--also", type=Path, action="append", default=[], help="Run asked together with RUN.")
    parser.add_argument("--decoder", action="append", default=[], metavar="NAME=VALUE", help="Setting of the search.")
    parser.add_argument("--threshold", type=float, help="Measure at this threshold too.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.entry and (not options.split or options.also):
        parser.error("--entry needs --split, and is not asked together with runs.")
    settings = {name: json.loads(value) for name, _, value in (given.partition("=") for given in options.decoder)}
    if options.entry:
        loaded = zoo.load(options.entry)
        about = {"run": options.entry, "model": loaded.spec.name, "folds": 0}
        trials: Trials = [(set(read_split(options.split)[options.part]), [loaded])]
    else:
        about, trials = of_run(options.run, options.also, parser.error)
    patches = [field for path in options.data for field in formats.read(path).fields]
    fields = formats.read(options.negatives).fields
    by_domain: dict[str, Gathered] = {}
    for fold, (held, members) in enumerate(trials):
        predictor = Predictor(members, decoder_settings={"cut": 0.02} | settings)
        mine = [item for item in patches if item.case in held]
        found = Gathered()
        for field in (item for item in fields if item.case in held):
            found.field(predictor, field)
        with progress_bar(f"Fold {fold + 1}", len(mine)) as tell:
            for done, patch in enumerate(mine, start=1):
                by_domain.setdefault(patch.domain, Gathered()).patch(predictor, patch)
                tell(done)
        for domain in {item.domain for item in mine} | set(by_domain):
            by_domain.setdefault(domain, Gathered()).add_fields(found)
    result = about | ({"decoder": settings} if settings else {})
    pooled = Gathered.pooled(list(by_domain.values())).measure()
    result |= rows_of(pooled)
    measured = {name: part.measure() for name, part in sorted(by_domain.items())}
    if options.threshold is not None:
        result["given"] = pooled.at(options.threshold)
        result["given_domains"] = {name: part.at(options.threshold) for name, part in measured.items()}
    # Each domain's F1 at the threshold of all: what a user meets who does not know which domain a slide is of.
    threshold = result["best"]["threshold"]
    result["domains"] = {name: part.at(threshold) for name, part in measured.items()}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{'recall':>7} {'threshold':>9} {'FP/mm2 fields':>14} {'FP/mm2 patches':>15} {'F1':>6}")
    named = [("", row) for row in [*result["at_recall"], result["best"]]] + list(result["domains"].items())
    for name, row in named:
        print(
            f"{row['recall']:7.3f} {row['threshold']:9.3f} {row['fp_per_mm2_fields']:14.1f} "
            f"{row['fp_per_mm2_patches']:15.1f} {row['f1']:6.3f}  {name}"
        )


if __name__ == "__main__":
    main()
