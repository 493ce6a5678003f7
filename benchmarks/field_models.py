#!/usr/bin/env python3
r"""Measure a trained model on composed and painted fields of slides that it has not seen, its decoder tuned on others.

    python benchmarks/field_models.py --run RUN --validation VAL --test TEST --painted PAINTED --out RUN/fields.json \
        [--entry NAME] [--patches AMI_BR --split SPLIT --part test] [--frames MITOS14_FRAMES]

RUN is a folder of `mitozoo train`; --entry takes a model of the zoo instead. VAL and TEST are composed by
`mitozoo data compose` from mitotic figures of different slides. On VAL the settings of the decoder in `GRIDS` and the
threshold are chosen, by F1, then the least overlap of tiles that loses none of it; with them the model is measured on
TEST, on PAINTED (fields without mitotic figures, false positives per mm²), on the patches of a part of a split and on
whole clean frames. Seconds are the median of fields of 2084 x 2084 px. An entry keeps its decoder and threshold unless
--tune is given; the grid that chose them stays in --out where it was there.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.api.searching import Searched, search_fields
from mitozoo.base.progress import progress_bar
from mitozoo.data import formats
from mitozoo.data.dataset import Dataset
from mitozoo.data.images import read_image
from mitozoo.data.split import read_split
from mitozoo.data.synthetic import draw_field
from mitozoo.evaluation.fields import evaluate_fields
from mitozoo.evaluation.truths import field_found, field_truth, image_names
from mitozoo.evaluation.tuning import tune_threshold
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.session import Search, Settings
from mitozoo.models import zoo
from mitozoo.models.folding import folded
from mitozoo.models.precision import built_again

sys.path.insert(0, str(Path(__file__).resolve().parent))
from held_out_fields import Gathered, rows_of

CUT = 0.02
#: Shares that neighbouring tiles of models of pixels have in common, and how much F1 the cheapest may lose against the
#: first on VAL.
OVERLAPS, MAY_LOSE = (0.5, 0.25, 0.125), 0.005
#: Settings of the decoder that are tried, by the task of the model; others have their own.
GRIDS: dict[str, dict[str, tuple]] = {
    "segment": {
        # Focal loss with alpha 0.25 leaves chances low.
        "level": (0.03, 0.06, 0.1, 0.2, 0.3, 0.5),
        "sigma_px": (0.0, 2.0),
        "min_area_px": (0, 30, 80),
        "score": ("mean", "highest"),
    },
    "segment-concentric": {
        "level": (0.1, 0.2, 0.3, 0.5),
        "sigma_px": (0.0, 4.0),
        "min_area_px": (0, 80, 200),
        "score": ("mean", "highest"),
    },
    "segment-fused": {
        "fusion": tuple(round(0.1 * k, 1) for k in range(11)),
        "level": (0.1, 0.3, 0.5),
        "sigma_px": (4.0,),
        "min_area_px": (0, 80, 200),
        "score": ("mean", "highest"),
    },
}


def points_of(task: str) -> list[dict[str, Any]]:
    """All settings of a task's grid."""
    grid = GRIDS.get(task, {})
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def searched(search: Search, data: Dataset, title: str) -> Searched:
    """What a search finds in the complete fields of a data set."""
    fields = [field for field in data.fields if field.labelled and field.complete]
    names = image_names([field.path for field in fields])
    return search_fields(search, list(zip(names, fields, strict=True)), title=title, quiet=title == "")


def tuned(loaded: zoo.LoadedModel, data: Dataset) -> tuple[dict[str, Any], float, list[dict[str, Any]]]:
    """The decoder's settings and the threshold with the highest F1, and the F1 of every setting."""
    kept: dict[bytes, Any] = {}
    rows: list[dict[str, Any]] = []
    best: tuple[float, dict[str, Any], float] = (-1.0, {}, 0.5)
    points = points_of(loaded.spec.task)
    # Every setting has a predictor of its own; this is done once for all.
    loaded = dataclasses.replace(loaded, model=folded(loaded.model))
    fields = [field for field in data.fields if field.labelled and field.complete]
    images = [read_image(field.path) for field in fields]
    names = [name for name, _ in image_names([field.path for field in fields])]
    with progress_bar("Tuning", len(points), quiet=False) as tell:
        for done, point in enumerate(points, start=1):
            decoder = {**loaded.decoder, **point}
            predictor = Search(dataclasses.replace(loaded, decoder=decoder), Settings(cut=CUT)).predictor
            for item in predictor.decoders:
                if hasattr(item, "kept"):
                    item.kept = kept
            results = [
                predictor.field(name, field.path, image, field.um_per_px)
                for name, field, image in zip(names, fields, images, strict=True)
            ]
            truths = [field_truth(result, field) for result, field in zip(results, fields, strict=True)]
            trial = tune_threshold({}, truths, [field_found(result) for result in results], cut=CUT)
            f1 = trial.f1 if trial else 0.0
            rows.append({**point, "f1": round(f1, 4)})
            if trial and f1 > best[0]:
                best = (f1, decoder, trial.threshold)
            tell(done, f"F1 {best[0]:.3f}")
    return best[1], best[2], rows


def cheapest(
    loaded: zoo.LoadedModel, decoder: dict[str, Any], threshold: float, first: float, data: Dataset
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The decoder with as little overlap as costs no F1, and what every overlap gives and takes.

    Args: first, the F1 on data with the first overlap, which the decoder was tuned with.
    """
    rows, chosen = [], decoder
    for overlap in OVERLAPS if loaded.spec.task.startswith(("segment", "detect")) else ():
        trial = {**decoder, "overlap": overlap}
        model = dataclasses.replace(loaded, decoder=trial)
        f1 = first
        if overlap != OVERLAPS[0]:
            found = searched(Search(model, Settings(cut=CUT)), data, f"Overlap {overlap:g}")
            f1 = float(evaluate_fields(found.truths, found.found, "default", threshold).counts.f1)
        rows.append({"overlap": overlap, "f1": round(f1, 4), "seconds_a_field": seconds_a_field(Predictor(model), 1)})
        chosen = trial if f1 >= first - MAY_LOSE else chosen
    return chosen, rows


def plain(counts: Any) -> dict[str, float]:
    """Counts as plain figures."""
    found = {"precision": counts.precision, "recall": counts.recall, "f1": counts.f1}
    return {
        "mitotic_figures": counts.tp + counts.fn,
        **{key: round(float(value), 4) for key, value in found.items()},
    }


def seconds_a_field(predictor: Predictor, runs: int = 3) -> float:
    """Median seconds of so many fields of 2084 x 2084 px after a small one that compiles."""
    field = draw_field(2084, seed=5).image
    times = []
    for image in [field[:600, :600], *[field] * runs]:
        start = time.perf_counter()
        predictor.candidates(image, predictor.spec.um_per_px)
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[1:]), 3)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    settings = {name: json.loads(value) for name, value in (item.split("=", 1) for item in options.setting)}
    if options.entry:
        loaded = zoo.load(options.entry)
        decoder, threshold, rows = dict(loaded.decoder), loaded.threshold or 0.5, []
        if options.tune:
            decoder, threshold, rows = tuned(loaded, formats.read(options.validation))
    else:
        run = json.loads((options.run / "run.json").read_text(encoding="utf-8"))
        loaded = zoo.load(run["model"], options.run / "model.weights.h5")
        loaded = built_again(loaded, "float32", **settings) if settings else loaded
        if options.short and loaded.spec.task.startswith("segment"):
            loaded = dataclasses.replace(loaded, decoder={**loaded.decoder, "overlap": OVERLAPS[-1]})
        decoder, threshold, rows = tuned(loaded, formats.read(options.validation))
    overlaps: list[dict[str, Any]] = []
    if (not options.entry or options.tune) and not options.short:
        best = max(row["f1"] for row in rows)
        decoder, overlaps = cheapest(loaded, decoder, threshold, best, formats.read(options.validation))
    model = dataclasses.replace(loaded, decoder=decoder)
    search = Search(model, Settings(cut=CUT))
    test = searched(search, formats.read(options.test), "Composed fields")
    result: dict[str, Any] = {
        "model": loaded.spec.name,
        "settings": settings,
        "decoder": {key: value for key, value in decoder.items() if key != "cut"},
        "threshold": round(float(threshold), 4),
        "grid": rows,
        "overlaps": overlaps,
        "composed": plain(evaluate_fields(test.truths, test.found, "default", threshold).counts),
    }
    gathered, predictor = Gathered(), Predictor(model, decoder_settings={"cut": CUT})
    for field in formats.read(options.painted).fields:
        gathered.field(predictor, field)
    false = np.concatenate(gathered.fields)
    result["painted"] = {
        "mm2": round(gathered.fields_mm2, 4),
        "fp_per_mm2": round(float((false >= threshold).sum() / gathered.fields_mm2), 3),
    }
    if options.patches:
        cases = set(read_split(options.split)[options.part])
        patches = [field for path in options.patches for field in formats.read(path).fields if field.case in cases]
        with progress_bar("Patches", len(patches), quiet=False) as tell:
            for done, patch in enumerate(patches, start=1):
                gathered.patch(predictor, patch)
                tell(done)
        composite = gathered.measure()
        result["patches"] = {**rows_of(composite), "given": composite.at(threshold)}
    if options.frames:
        found = searched(search, formats.read(options.frames), "Clean frames")
        counts = evaluate_fields(found.truths, found.found, "default", threshold).counts
        result["frames"] = {"tp": counts.tp, "fp": counts.fp, "fn": counts.fn}
    result["seconds_a_field"] = seconds_a_field(Predictor(model), 1 if options.short else 3)
    return result


def with_choices(result: dict[str, Any], before: Path) -> dict[str, Any]:
    """A result that chose nothing, with the grid and the overlaps of the one before that chose the same decoder."""
    old = json.loads(before.read_text(encoding="utf-8")) if before.is_file() else {}
    same = all(old.get(name) == result[name] for name in ("model", "decoder", "threshold"))
    return result | {name: old[name] for name in ("grid", "overlaps") if same and not result[name] and name in old}


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path)
    what.add_argument("--entry")
    parser.add_argument("--tune", action="store_true", help="With --entry: choose decoder and threshold anew.")
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--painted", type=Path, required=True)
    parser.add_argument("--patches", type=Path, action="append", default=[])
    parser.add_argument("--split", type=Path)
    parser.add_argument("--part", default="test")
    parser.add_argument("--frames", type=Path)
    parser.add_argument(
        "--setting", action="append", default=[], metavar="NAME=VALUE", help="Of the builder, for --run."
    )
    parser.add_argument("--short", action="store_true", help="With the least overlap of tiles, one field timed.")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result = with_choices(measure(options), options.out)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({key: value for key, value in result.items() if key not in ("grid", "overlaps")}, indent=1))


if __name__ == "__main__":
    main()
