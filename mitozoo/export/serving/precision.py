"""The same weights in fewer bits: computed in 16, or stored in 8."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keras
import numpy as np
import tensorflow as tf

from mitozoo.models.precision import built_again
from mitozoo.models.zoo import LoadedModel

#: Kernels with fewer numbers than this stay float32: nothing is gained by them.
_LEAST_NUMBERS = 1000
_LEVELS = 127


def quantised(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round a kernel to 8 bits, each output channel on its own scale, the same on both sides of 0.

    Args: kernel float (..., channels); where the last axis is 1 (depthwise, or one filter), the axis before it has a
        scale of its own too.
    Returns: int8 of that shape in [-127, 127], and float32 scales that broadcast to it: int8 times scale is the kernel.
    Source: Krishnamoorthi 2018, arXiv:1806.08342, section 2.3.
    """
    kept = 2 if kernel.ndim > 2 and kernel.shape[-1] == 1 else 1
    highest = np.abs(kernel).max(axis=tuple(range(kernel.ndim - kept)), keepdims=True)
    scale = np.where(highest > 0, highest / _LEVELS, 1.0).astype(np.float32)
    return np.clip(np.round(kernel / scale), -_LEVELS, _LEVELS).astype(np.int8), scale


def _is_quantised(variable: keras.Variable) -> bool:
    return variable.name == "kernel" and int(np.prod(variable.shape)) >= _LEAST_NUMBERS


def in_int8(loaded: LoadedModel) -> LoadedModel:
    """The model with its kernels rounded to what int8 can hold, still computing as before."""
    rounded = built_again(loaded, loaded.model.dtype_policy)
    for variable in rounded.model.weights:
        if _is_quantised(variable):
            whole, scale = quantised(keras.ops.convert_to_numpy(variable))
            variable.assign(whole * scale)
    return rounded


class Weights:
    """The variables of a model as a SavedModel stores them: as they are, or with kernels in int8.

    Attributes: stored, what holds the variables.
    """

    def __init__(self, model: keras.Model, *, int8: bool) -> None:
        """Args: model; int8, whether kernels of 1,000 numbers or more are stored as int8 and scales."""
        self._replaced = [variable for variable in model.weights if int8 and _is_quantised(variable)]
        replaced = {id(variable) for variable in self._replaced}
        pairs = [quantised(keras.ops.convert_to_numpy(variable)) for variable in self._replaced]
        # What is put into a module is stored: the kernels that were replaced are not.
        self.stored = tf.Module()
        self.stored.kept = [variable.value for variable in model.weights if id(variable) not in replaced]
        self.stored.whole = [tf.Variable(whole, trainable=False) for whole, _ in pairs]
        self.stored.scales = [tf.Variable(scale, trainable=False) for _, scale in pairs]

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """While this lasts, what is traced of the model uses the stored variables."""
        if not self._replaced:
            yield
            return
        kernels = [tf.cast(a, tf.float32) * b for a, b in zip(self.stored.whole, self.stored.scales, strict=True)]
        with keras.StatelessScope(state_mapping=list(zip(self._replaced, kernels, strict=True))):
            yield
