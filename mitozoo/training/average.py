"""The moving average of a model's weights: steadier than where the last steps happened to end."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np

#: Steps from one update of the average to the next; the share is raised to this power, so that it is one a step.
EVERY = 4


class MovingAverage(keras.callbacks.Callback):
    """Averages all weights of the model that is fitted, those of its normalisations too.

    At the n-th update the average keeps min(ema, n / (n + 9)) of itself for each step, so that where training began is
    soon forgotten.
    """

    def __init__(self, model: keras.Model, ema: float) -> None:
        """Begin with the weights as they are. Args: ema, share in (0, 1) that a step leaves of the average."""
        super().__init__()
        self._weights = list(model.weights)
        self.ema, self.steps = ema, 0
        self.arrays = [np.array(value) for value in model.get_weights()]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Count the step, and now and then move on."""
        self.steps += 1
        if self.steps % EVERY:
            return
        updates = self.steps // EVERY
        kept = min(self.ema, updates / (updates + 9)) ** EVERY
        for average, weight in zip(self.arrays, self._weights, strict=True):
            value = keras.ops.convert_to_numpy(weight)
            if np.issubdtype(average.dtype, np.floating):
                average += (value - average) * average.dtype.type(1 - kept)
            else:
                average[...] = value

    def state(self) -> list[np.ndarray]:
        """What a checkpoint keeps."""
        return [np.array(self.steps), *self.arrays]

    def restore(self, arrays: Sequence[np.ndarray]) -> None:
        """Go on from `state`."""
        self.steps = int(arrays[0])
        self.arrays = [np.array(value) for value in arrays[1:]]
