"""The loop: stages and epochs of a recipe, with a checkpoint after every epoch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mitozoo.base.errors import DataError, RecipeError
from mitozoo.base.files import make_folder, whole_file, write_text
from mitozoo.data.cells import Cells
from mitozoo.data.pipeline import test_windows
from mitozoo.models import registry
from mitozoo.models.precision import build_in
from mitozoo.training import checkpoint
from mitozoo.training.average import MovingAverage
from mitozoo.training.devices import strategy
from mitozoo.training.freezing import freeze
from mitozoo.training.lessons import Lesson, Lessons
from mitozoo.training.optimizers import optimizer_of
from mitozoo.training.programs import program
from mitozoo.training.recipe import Recipe, Stage

WEIGHTS = "model.weights.h5"


@dataclass(frozen=True)
class Progress:
    """Where a run is: stage name, epoch done and of how many in all, losses."""

    stage: str
    done: int
    total: int
    logs: dict[str, float]


def train(
    recipe: Recipe,
    lessons: Lessons,
    folder: Path,
    *,
    mark: str,
    tell: Callable[[Progress], None] = lambda _: None,
    step: Callable[[int], None] = lambda _: None,
    gpus: int = 0,
    initial: Sequence[np.ndarray] | None = None,
) -> keras.Model:
    """Train a model as its recipe says, going on from the checkpoint in `folder` if there is one.

    Args:
        recipe; lessons, what its stages learn from.
        folder: gets checkpoint, history.csv, TensorBoard logs and, at the end, `model.weights.h5`.
        mark: fingerprint of recipe and data; a checkpoint with another is refused (RecipeError).
        tell: called after every epoch; step: called with the share of the epoch in percent.
        gpus: with 2 or more, the batch is shared among them by MirroredStrategy.
        initial: weights to start from, as `Model.get_weights` gives them; fresh ones where None.
    Raises: DataError where the loss stops being a number; the last good checkpoint stays.
    """
    make_folder(folder)
    keras.utils.set_random_seed(recipe.seed)
    with strategy(gpus).scope():
        model = build_model(recipe)
        if initial is not None:
            model.set_weights(initial)
        resumed = checkpoint.load(folder, model=model, mark=mark)
        state, *arrays = resumed or ({"stage": 0, "epoch": 0, "history": []}, [], [])
        lessons.begin(folder)
        history: list[dict[str, Any]] = state["history"]
        if history:
            # The run may have been stopped between the checkpoint and its history.
            _write_history(folder, history)
        writer = tf.summary.create_file_writer(str(folder / "logs"))
        for number, stage in enumerate(recipe.stages):
            if not stage.epochs:
                continue
            if number < state["stage"]:
                lessons.pass_by(model, stage, number)
                continue
            start = state["epoch"] if number == state["stage"] else 0
            freeze(model, (*recipe.frozen, *stage.frozen))
            run = _StageRun(lessons.lesson(model, stage, number), recipe, stage, number, step)
            if start:
                run.restore(*arrays, start)
            for epoch in range(start, stage.epochs):
                logs = run.epoch(epoch)
                if not all(math.isfinite(value) for value in logs.values()):
                    raise DataError(
                        f"The loss is no longer a number in epoch {epoch + 1} of stage {stage.name!r}. "
                        f"The weights of the epoch before are in {folder / checkpoint.NAME}; "
                        "try a smaller --lr or --precision float32."
                    )
                history.append({"epoch": len(history) + 1, "stage": stage.name, **logs})
                at_end = epoch + 1 == stage.epochs
                if at_end:
                    run.finish()
                checkpoint.save(
                    folder,
                    model=model,
                    optimizer=None if at_end else run.optimizer,
                    stage=number + at_end,
                    epoch=0 if at_end else epoch + 1,
                    mark=mark,
                    history=history,
                    average=[] if at_end or run.average is None else run.average.state(),
                )
                with writer.as_default(len(history)):
                    for key, value in logs.items():
                        tf.summary.scalar(f"{stage.name}/{key}", value)
                    if at_end:
                        lessons.show(model, stage)
                _write_history(folder, history)
                tell(Progress(stage.name, len(history), recipe.epochs, logs))
    # Through a model that was never compiled, so that no optimizer's state goes along.
    plain = build_model(recipe)
    plain.set_weights(model.get_weights())
    with whole_file(folder / WEIGHTS) as temporary:
        plain.save_weights(str(temporary))
    lessons.end()
    return model


def build_model(recipe: Recipe) -> keras.Model:
    """The recipe's model with fresh weights, of its precision; the policy for other models stays as it was.

    Raises: RecipeError where a stage trains a part that the model does not have.
    """
    model = build_in(recipe.precision, recipe.model, **recipe.settings)
    layers = {"whole", *(layer.name for layer in model.layers)}
    for stage in recipe.stages:
        if stage.epochs and stage.part not in layers:
            raise RecipeError(
                f"Stage {stage.name!r} trains {stage.part!r}, which {recipe.model} lacks with these settings. Leave "
                f"the stage out: --set {stage.name}.epochs=0."
            )
    return model


class _StageRun:
    """One stage: its compiled model and its data by epoch."""

    def __init__(self, lesson: Lesson, recipe: Recipe, stage: Stage, number: int, step: Callable[[int], None]) -> None:
        self.lesson, self.recipe, self.number = lesson, recipe, number
        lesson.model.compile(
            optimizer_of(recipe, stage, lesson.steps), loss=lesson.losses, loss_weights=lesson.loss_weights
        )
        # In half precision Keras wraps it to scale the loss, and the scale is a part of its state.
        self.optimizer = lesson.model.optimizer
        # Its variables would else be made as the step is traced, and TensorFlow would trace it once more.
        self.optimizer.build(lesson.model.trainable_variables)
        self.average = MovingAverage(lesson.model, recipe.ema) if recipe.ema else None
        self.percent = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: step(round(100 * (batch + 1) / lesson.steps))
        )

    def finish(self) -> None:
        """Take the average of the weights over, at the end of the stage."""
        if self.average is not None:
            self.lesson.model.set_weights(self.average.arrays)

    def restore(self, arrays: list[np.ndarray], average: list[np.ndarray], epochs_done: int) -> None:
        """Give the optimizer and the average their state back."""
        if self.average is not None:
            self.average.restore(average)
        for variable, value in zip(self.optimizer.variables, arrays, strict=True):
            variable.assign(value)
        _advance_seeds(self.lesson.model, epochs_done)

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; its losses."""
        _advance_seeds(self.lesson.model, self.recipe.seed * 1_000_003 + self.number * 1009 + epoch)
        fitted = self.lesson.model.fit(
            self.lesson.epoch(epoch),
            validation_data=self.lesson.validation,
            epochs=1,
            verbose=0,
            callbacks=[self.percent, *([self.average] if self.average else [])],
            shuffle=False,
        )
        return {key: float(values[-1]) for key, values in fitted.history.items()}


def _advance_seeds(model: keras.Model, number: int) -> None:
    """Set the random state of dropout by the epoch, so that a resumed run drops what an unbroken one does."""
    for layer in model._flatten_layers():
        generator = getattr(layer, "seed_generator", None)
        if generator is not None:
            generator.state.assign(np.array([number % (2**31), 0], dtype="uint32"))


def _write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """history.csv: a row an epoch; stages have different losses, so some places are empty."""
    columns = list(dict.fromkeys(key for row in history for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(folder / "history.csv", text.getvalue())


def predict_windows(model: keras.Model, cells: Cells, recipe: Recipe, *, seed: int) -> dict[str, np.ndarray]:
    """Outputs of a model on every cell once, at a random offset given by the seed.

    Returns: "probabilities" (n, classes), and where the model locates "theta" and "theta_true" (n, 2, 3).
    """
    spec = registry.spec(recipe.model)
    windows = program(model, spec, recipe, replace(recipe.stages[-1], part="whole")).windows
    call = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    parts: dict[str, list[np.ndarray]] = {"probabilities": [], "theta": [], "theta_true": []}
    for window, targets in test_windows(cells, windows, batch_size=256, seed=seed):
        found = call(window)
        parts["probabilities"].append(tf.nn.softmax(found["logits"]).numpy())
        parts["theta_true"].append(targets["theta"].numpy())
        if "theta" in found:
            parts["theta"].append(found["theta"].numpy())
    return {key: np.concatenate(value) for key, value in parts.items() if value}
