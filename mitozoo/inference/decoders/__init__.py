"""From a network's outputs over a field to candidate points; one file per kind of output."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Candidates:
    """Points that a network proposes in a field.

    Attributes: xy float (n, 2) in pixels of the field at the model's spacing, pixel centres at integers; probabilities
    float (n, classes), rows sum to 1.
    """

    xy: np.ndarray
    probabilities: np.ndarray


#: A decoder takes a field, uint8 (H, W, 3) RGB at the model's spacing, and a callback for the share done.
Decoder = Callable[[np.ndarray], Candidates]


def decoder(task: str, model: keras.Model, settings: Mapping[str, Any]) -> Decoder:
    """Return the decoder for a model's task.

    A model of the task "served" stands for one at a server, which runs its own decoder.
    Raises: ValueError for a task that has none.
    """
    if task == "locate-classify":
        from mitozoo.inference.decoders.locate_classify import LocateClassify

        return LocateClassify(model, **settings)
    if task == "classify":
        from mitozoo.inference.decoders.classify import Classify

        return Classify(model, **settings)
    if task == "propose-verify":
        from mitozoo.inference.decoders.propose_verify import ProposeVerify

        return ProposeVerify(model, **settings)
    if task.startswith("segment"):
        from mitozoo.inference.decoders.segment import Segment

        return Segment(model, **settings)
    if task == "detect":
        from mitozoo.inference.decoders.detect import Detect

        return Detect(model, **settings)
    if task == "served":
        found: Decoder = model.decoder(settings)
        return found
    raise ValueError(f"No decoder for the task {task!r}.")
