"""The signatures of a SavedModel: what they take and give, and whether tensors fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.serving.status import Code, Refused, invalid

DEFAULT_SIGNATURE = "serving_default"
PREDICT = "tensorflow/serving/predict"

Tensors = dict[str, np.ndarray]


@dataclass(frozen=True)
class TensorForm:
    """Name, type and shape of a tensor. dtype is object for strings; shape has None where any size will do.

    shape itself is None where any number of dimensions will do.
    """

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...] | None

    @property
    def is_string(self) -> bool:
        """Whether it holds bytes."""
        return self.dtype == np.dtype(object)

    @property
    def any_batch(self) -> bool:
        """Whether its first dimension may have any size."""
        return self.shape is not None and len(self.shape) > 0 and self.shape[0] is None

    def describe(self) -> str:
        """Type and shape in words."""
        sizes = "any shape" if self.shape is None else f"({', '.join(map(str, self._sizes()))})"
        return f"{'string' if self.is_string else self.dtype.name} {sizes}"

    def _sizes(self) -> list[object]:
        return ["batch" if size is None and i == 0 else size or "any" for i, size in enumerate(self.shape or ())]

    def check(self, value: np.ndarray) -> None:
        """Raises: Refused for a value of another type or shape, without elements, or with one that is not finite."""
        if value.dtype != self.dtype:
            given = "string" if value.dtype == object else value.dtype.name
            raise invalid(f"{self.name} is {given}; send {self.describe()}.")
        fits = self.shape is None or (
            value.ndim == len(self.shape)
            and all(want in (None, size) for want, size in zip(self.shape, value.shape, strict=True))
        )
        if not fits:
            raise invalid(f"{self.name} has the shape {value.shape}; send {self.describe()}.")
        if value.ndim and not value.shape[0]:
            raise invalid(f"{self.name} is empty. Send one item at least.")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            at = [int(i) for i in np.argwhere(~np.isfinite(value))[0]]
            raise invalid(f"{self.name}{at or ''} is not a finite number.")


@dataclass(frozen=True)
class Signature:
    """A signature by its name, with the forms of its inputs and outputs and the default values of inputs."""

    name: str
    inputs: Mapping[str, TensorForm]
    outputs: Mapping[str, TensorForm]
    defaults: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def batches(self) -> bool:
        """Whether all inputs and outputs have a batch dimension, so that requests can be put together."""
        return all(form.any_batch for form in (*self.inputs.values(), *self.outputs.values()))

    def complete(self, given: Mapping[str, np.ndarray]) -> Tensors:
        """Inputs as the signature takes them, with defaults for those that were left out.

        Raises: Refused for an input that is missing, unknown, or of another type or shape.
        """
        unknown = sorted(set(given) - set(self.inputs))
        if unknown:
            raise invalid(f"Signature {self.name} has no input {unknown[0]!r}. It takes: {', '.join(self.inputs)}.")
        missing = [name for name in self.inputs if name not in given and name not in self.defaults]
        if missing:
            raise invalid(f"Input {missing[0]!r} is missing. Signature {self.name} takes: {', '.join(self.inputs)}.")
        for name, value in given.items():
            self.inputs[name].check(value)
        return {name: given[name] if name in given else self.defaults[name] for name in self.inputs}


def rows_of(tensors: Mapping[str, np.ndarray]) -> int:
    """Items in a batch; 1 where nothing has a batch dimension."""
    return max((value.shape[0] for value in tensors.values() if value.ndim), default=1)


def pick(signatures: Mapping[str, Signature], name: str) -> Signature:
    """The signature of that name, the default one where it is empty. Raises: Refused."""
    wanted = name or DEFAULT_SIGNATURE
    if wanted not in signatures:
        raise invalid(f"Serving signature name: {wanted!r} not found. There are: {', '.join(sorted(signatures))}.")
    return signatures[wanted]


def read_signatures(folder: Path) -> tuple[dict[str, Signature], Any]:
    """Read the signatures of a SavedModel.

    Returns: those that can be called, and the protocol buffers of all by name. Raises: OSError, DecodeError; Refused
    where it holds no graph.
    """
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    if not saved.meta_graphs:
        raise Refused(Code.INTERNAL, f"{folder} holds no graph. Export the model again.")
    definitions = saved.meta_graphs[0].signature_def
    called = {name: _signature(name, item) for name, item in definitions.items() if item.method_name == PREDICT}
    return called, definitions


def _signature(name: str, definition: Any) -> Signature:
    import tensorflow as tf

    defaults = {key: tf.make_ndarray(value) for key, value in definition.defaults.items()}
    return Signature(name, _forms(definition.inputs), _forms(definition.outputs), defaults)


def _forms(infos: Mapping[str, Any]) -> dict[str, TensorForm]:
    import tensorflow as tf

    found = {}
    for name in sorted(infos):
        shape = infos[name].tensor_shape
        sizes = None if shape.unknown_rank else tuple(None if dim.size < 0 else int(dim.size) for dim in shape.dim)
        found[name] = TensorForm(name, np.dtype(tf.as_dtype(infos[name].dtype).as_numpy_dtype), sizes)
    return found
