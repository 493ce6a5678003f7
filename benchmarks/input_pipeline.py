#!/usr/bin/env python3
"""Windows or tiles a second of the tf.data pipeline alone, against the training step that it feeds.

    python benchmarks/input_pipeline.py [--model stn] [--model segmitos] [--out docs/speed/input_pipeline.json]

Both in one run, in turn, of the last stage of the model's quick recipe with all its augmentation. The ratio is what
counts: at 3 or more the pipeline never holds training up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np


def lessons_of(recipe: Any) -> Any:
    """What a recipe learns from: noise for cells, drawn fields for tiles."""
    from mitozoo.base.points import MITOTIC_CLASSES
    from mitozoo.data.augment import stain_statistics
    from mitozoo.data.cells import CANVAS_PX, Cells
    from mitozoo.data.synthetic import draw_field
    from mitozoo.data.training_fields import TrainingFields
    from mitozoo.models import registry
    from mitozoo.training.cell_lessons import CellLessons
    from mitozoo.training.tile_lessons import TileLessons
    from mitozoo.training.tile_programs import TILE_TASKS

    spec = registry.spec(recipe.model)
    if spec.task not in TILE_TASKS:
        canvases = np.random.default_rng(0).integers(0, 256, (1500, CANVAS_PX, CANVAS_PX, 3), np.uint8)
        names = np.full(len(canvases), "case")
        return CellLessons(recipe, Cells(canvases, np.arange(1500, dtype=np.int32) % 3, names, names, spec.classes))
    drawn = [draw_field(1024, seed=seed, mitoses=12) for seed in range(4)]
    images = tuple(item.image for item in drawn)
    points = tuple(
        np.array([(cell.x_px, cell.y_px) for cell in item.cells if cell.label in MITOTIC_CLASSES]) for item in drawn
    )
    none = tuple(np.zeros((0, 3)) for _ in drawn)
    stains = np.concatenate([stain_statistics(image[None]) for image in images])
    cases = np.array([f"case {i}" for i in range(len(drawn))])
    labels = tuple(item.mask.astype(np.uint8) for item in drawn)
    fields = TrainingFields(
        images, labels, np.ones(4, bool), points, none, cases, stains, tuple(n[:, :2] for n in none)
    )
    return TileLessons(recipe, fields)


def measure(name: str, rounds: int, batches: int) -> dict[str, Any]:
    """One model, after a round that compiles."""
    import tempfile

    from mitozoo.training.loop import build_model
    from mitozoo.training.optimizers import optimizer_of
    from mitozoo.training.recipe import recipe

    chosen = recipe(name, "quick")
    number = max(i for i, stage in enumerate(chosen.stages) if stage.epochs)
    model, lessons = build_model(chosen), lessons_of(chosen)
    with tempfile.TemporaryDirectory() as folder:
        lessons.begin(Path(folder))
        lesson = lessons.lesson(model, chosen.stages[number], number)
    lesson.model.compile(
        optimizer_of(chosen, chosen.stages[number], lesson.steps), loss=lesson.losses, loss_weights=lesson.loss_weights
    )
    some = list(lesson.epoch(0).take(batches))
    pipeline, steps = [], []
    for epoch in range(rounds + 1):
        start, count = time.perf_counter(), 0
        for item in lesson.epoch(epoch).take(batches):
            count += len(next(iter(item[0].values())) if isinstance(item[0], dict) else item[0])
        pipeline.append(count / (time.perf_counter() - start))
        start = time.perf_counter()
        for item in some:
            lesson.model.train_on_batch(*item)
        steps.append(count / (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(pipeline[1:], steps[1:], strict=True)]
    return {
        "model": name,
        "pipeline": round(statistics.median(pipeline[1:]), 1),
        "step": round(statistics.median(steps[1:]), 1),
        "ratio": round(statistics.median(ratios), 2),
        "lowest": round(min(ratios), 2),
        "highest": round(max(ratios), 2),
    }


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="stn, unless others are named.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for name in options.model or ["stn"]:
        rows.append(measure(name, options.rounds, options.batches))
        row = rows[-1]
        print(
            f"{name}: pipeline {row['pipeline']:.0f} a second, training step {row['step']:.0f} a second, ratio "
            f"{row['ratio']:.1f} ({row['lowest']:.1f} to {row['highest']:.1f})",
            flush=True,
        )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
