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

from mitozoo.base.errors import DataError
from mitozoo.base.files import make_folder, whole_file, write_text
from mitozoo.data.augment import stain_statistics
from mitozoo.data.cells import Cells
from mitozoo.data.pipeline import test_windows, training_windows
from mitozoo.models import registry
from mitozoo.training import checkpoint
from mitozoo.training.average import MovingAverage
from mitozoo.training.devices import strategy
from mitozoo.training.miner import Miner
from mitozoo.training.programs import Program, program
from mitozoo.training.recipe import Recipe, Stage
from mitozoo.training.tracking import write_examples

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
    cells: Cells,
    validation: Cells | None,
    folder: Path,
    *,
    mark: str,
    tell: Callable[[Progress], None] = lambda _: None,
    step: Callable[[int], None] = lambda _: None,
    gpus: int = 0,
    initial: Sequence[np.ndarray] | None = None,
    remine: Callable[[keras.Model, str], Cells] | None = None,
) -> keras.Model:
    """Train a model as its recipe says, going on from the checkpoint in `folder` if there is one.

    Args:
        recipe; cells to learn from; validation, whose losses are recorded at every epoch (never used to choose).
        folder: gets checkpoint, history.csv, TensorBoard logs and, at the end, `model.weights.h5`.
        mark: fingerprint of recipe and data; a checkpoint with another is refused (RecipeError).
        tell: called after every epoch; step: called with the share of the epoch in percent.
        gpus: with 2 or more, the batch is shared among them by MirroredStrategy.
        initial: weights to start from, as `Model.get_weights` gives them; fresh ones where None.
        remine: called before a stage that mines, with the model as it is and what the stage mines; its cells are learnt
            from as well, in later stages too.
    Raises: DataError where the loss stops being a number; the last good checkpoint stays.
    """
    make_folder(folder)
    keras.utils.set_random_seed(recipe.seed)
    with strategy(gpus).scope():
        spec = registry.spec(recipe.model)
        model = _build(recipe)
        if initial is not None:
            model.set_weights(initial)
        resumed = checkpoint.load(folder, model=model, mark=mark)
        state, *arrays = resumed or ({"stage": 0, "epoch": 0, "history": []}, [], [])
        known = _left(cells, recipe.without)
        if len(cells) and not len(known):
            raise DataError(f"No cell is left without those of {', '.join(recipe.without)}. Leave out less.")
        known = _with_stains(known, recipe)
        mine = Miner(folder, recipe, remine)
        cells = _held_once(known)
        history: list[dict[str, Any]] = state["history"]
        if history:
            # The run may have been stopped between the checkpoint and its history.
            _write_history(folder, history)
        writer = tf.summary.create_file_writer(str(folder / "logs"))
        for number, stage in enumerate(recipe.stages):
            if not stage.epochs:
                continue
            if found := mine(model, stage, number):
                known = known.joined(_with_stains(_left(found, recipe.without), recipe))
                cells = _held_once(known)
            if number < state["stage"]:
                continue
            start = state["epoch"] if number == state["stage"] else 0
            run = _StageRun(program(model, spec, recipe, stage), recipe, stage, number, cells, validation, step)
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
                        write_examples(stage.name, model, recipe, validation)
                _write_history(folder, history)
                tell(Progress(stage.name, len(history), recipe.epochs, logs))
    # Through a model that was never compiled, so that no optimizer's state goes along.
    plain = _build(recipe)
    plain.set_weights(model.get_weights())
    with whole_file(folder / WEIGHTS) as temporary:
        plain.save_weights(str(temporary))
    mine.clear()
    return model


def _with_stains(cells: Cells, recipe: Recipe) -> Cells:
    """The cells with the statistics of their stains, where windows take those of others: once, not in every epoch."""
    return replace(cells, stains=stain_statistics(cells.canvases)) if recipe.augment.get("transfer") else cells


def _left(cells: Cells, without: Sequence[str]) -> Cells:
    """The cells but those of the origins that are left out, mined ones too."""
    plain = np.array([str(origin).removeprefix("hard ").removeprefix("harder ") for origin in cells.origins])
    return cells.take(np.flatnonzero(~np.isin(plain, without))) if without else cells


def _held_once(cells: Cells) -> Cells:
    """The cells with their canvases held once, outside the graphs of the epochs."""
    with tf.device("CPU"):
        return replace(cells, canvases=tf.constant(cells.canvases))


def _build(recipe: Recipe) -> keras.Model:
    """The recipe's model with fresh weights, of its precision; the policy for other models stays as it was."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.precision)
    try:
        return registry.build(recipe.model, **recipe.settings)
    finally:
        keras.config.set_dtype_policy(before)


class _StageRun:
    """One stage: its compiled model and its data by epoch."""

    def __init__(
        self,
        plan: Program,
        recipe: Recipe,
        stage: Stage,
        number: int,
        cells: Cells,
        validation: Cells | None,
        step: Callable[[int], None],
    ) -> None:
        self.plan, self.recipe, self.stage, self.number, self.cells = plan, recipe, stage, number, cells
        self.rows = self._rows_of(cells.labels)
        if not len(self.rows):
            wanted = ", ".join(cells.classes[i] for i in plan.learns_from or ())
            raise DataError(
                f"Stage {stage.name!r} has no cell to learn from ({wanted}). "
                "Give more slides with --data, or fewer --folds."
            )
        counts = np.unique(cells.labels[self.rows], return_counts=True)[1]
        once = len(counts) * counts.min() if stage.balanced else counts.sum()
        self.steps = -(-int(stage.draws or once) * (1 + plan.windows.rotate) // recipe.batch_size)
        lr = stage.lr
        if stage.decay == "cosine":
            lr = keras.optimizers.schedules.CosineDecay(stage.lr, self.steps * stage.epochs)
        adam = keras.optimizers.Adam(lr, weight_decay=recipe.weight_decay or None)
        plan.model.compile(adam, loss=plan.losses, loss_weights=plan.loss_weights)
        # In half precision Keras wraps it to scale the loss, and the scale is a part of its state.
        self.optimizer = plan.model.optimizer
        self.validation = None
        if validation is not None and len(kept := self._rows_of(validation.labels)):
            plain = test_windows(validation.take(kept), plan.windows, batch_size=256, seed=recipe.seed)
            self.validation = plain.map(self._with_targets).cache()
        self.average = MovingAverage(plan.model, recipe.ema) if recipe.ema else None
        self.percent = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: step(round(100 * (batch + 1) / self.steps))
        )

    def _rows_of(self, labels: np.ndarray) -> np.ndarray:
        """Rows of the classes that this stage learns from."""
        wanted = self.plan.learns_from
        return np.arange(len(labels)) if wanted is None else np.flatnonzero(np.isin(labels, wanted))

    def _with_targets(self, windows: tf.Tensor, targets: dict[str, tf.Tensor]) -> tuple:
        picked, weights = self.plan.pick(targets)
        return (windows, picked) if weights is None else (windows, picked, weights)

    def finish(self) -> None:
        """Take the average of the weights over, at the end of the stage."""
        if self.average is not None:
            self.plan.model.set_weights(self.average.arrays)

    def restore(self, arrays: list[np.ndarray], average: list[np.ndarray], epochs_done: int) -> None:
        """Give the optimizer and the average their state back."""
        if self.average is not None:
            self.average.restore(average)
        self.optimizer.build(self.plan.model.trainable_variables)
        for variable, value in zip(self.optimizer.variables, arrays, strict=True):
            variable.assign(value)
        _advance_seeds(self.plan.model, epochs_done)

    def epoch(self, epoch: int) -> dict[str, float]:
        """Train one epoch; its losses."""
        _advance_seeds(self.plan.model, self.recipe.seed * 1_000_003 + self.number * 1009 + epoch)
        data = training_windows(
            self.cells,
            self.plan.windows,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            stage=self.number,
            epoch=epoch,
            rows=self.rows,
            balanced=self.stage.balanced,
            draws=self.stage.draws,
        ).map(self._with_targets)
        callbacks = [self.percent, *([self.average] if self.average else [])]
        fitted = self.plan.model.fit(
            data, validation_data=self.validation, epochs=1, verbose=0, callbacks=callbacks, shuffle=False
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
