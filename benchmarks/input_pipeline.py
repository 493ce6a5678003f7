#!/usr/bin/env python3
"""Windows a second of the tf.data pipeline alone, against the training step that it feeds.

    python benchmarks/input_pipeline.py [--model stn] [--cells 2000]

Both in one run, in turn. The ratio is what counts: at 3 or more the pipeline never holds training up.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stn")
    parser.add_argument("--cells", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    import keras
    import tensorflow as tf

    from mitozoo.data.cells import CANVAS_PX, Cells
    from mitozoo.data.pipeline import training_windows
    from mitozoo.models import registry
    from mitozoo.training.programs import program
    from mitozoo.training.recipe import recipe

    generator = np.random.default_rng(0)
    labels = np.arange(options.cells, dtype=np.int32) % 3
    canvases = generator.integers(0, 256, (options.cells, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    spec, plan_recipe = registry.spec(options.model), recipe(options.model, "quick")
    names = np.full(options.cells, "case")
    cells = Cells(tf.constant(canvases), labels, names, names, spec.classes)
    model = registry.build(options.model, **plan_recipe.settings)
    plan = program(model, spec, plan_recipe, plan_recipe.stages[-1])
    plan.model.compile(keras.optimizers.Adam(1e-4), loss=plan.losses, loss_weights=plan.loss_weights)

    def windows(epoch: int) -> tf.data.Dataset:
        return training_windows(cells, plan.windows, batch_size=64, seed=0, stage=0, epoch=epoch)

    batches = [(window, *plan.pick(targets)) for window, targets in windows(0).take(20)]
    pipeline, steps = [], []
    for number in range(options.rounds + 1):
        start, count = time.perf_counter(), 0
        for window, _ in windows(number):
            count += int(window.shape[0])
        pipeline.append(count / (time.perf_counter() - start))
        start, count = time.perf_counter(), 0
        for window, targets, weights in batches:
            plan.model.train_on_batch(window, targets, sample_weight=weights)
            count += int(window.shape[0])
        steps.append(count / (time.perf_counter() - start))
    ratios = [a / b for a, b in zip(pipeline[1:], steps[1:], strict=True)]
    print(
        f"{options.model}: pipeline {statistics.median(pipeline[1:]):.0f} windows/s, training step "
        f"{statistics.median(steps[1:]):.0f} windows/s, ratio {statistics.median(ratios):.1f} "
        f"({min(ratios):.1f} to {max(ratios):.1f})"
    )


if __name__ == "__main__":
    main()
