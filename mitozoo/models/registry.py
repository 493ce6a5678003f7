"""The registry: a frozen spec beside every architecture, found by name.

An architecture is one file in `mitozoo/models/architectures/`, named as its model with `-` as `_`; importing it
registers it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mitozoo.base.errors import UnknownNameError
from mitozoo.base.points import CLASSES
from mitozoo.base.units import UM_PER_PX_40X

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """What the rest of mitozoo needs to know of a model without building it.

    Attributes:
        name: as on the command line.
        title: one line for tables.
        task: kind of output, and so the decoder to points: "locate-classify" (theta and class of a window),
            "classify" (class of a window), "propose-verify" (heat map of a field and class of a cell), "segment" (a
            mask), "segment-concentric" and "segment-fused" (class scores of pixels), "detect" (boxes with masks).
        input_px: side of the square input in pixels.
        stride_px: the sides of an input of any other size must be multiples of this.
        um_per_px: spacing it works at.
        classes: in the order of its class output.
        outputs: names and shapes of the outputs, without the batch.
        params: trainable and other parameters at the default settings.
        source: paper, doi and table or section.
        settings: defaults of the keyword arguments of its `build`.
    """

    name: str
    title: str
    task: str
    input_px: int
    outputs: Mapping[str, tuple[int | None, ...]]
    params: int
    source: str
    stride_px: int = 1
    um_per_px: float = UM_PER_PX_40X
    classes: tuple[str, ...] = CLASSES
    settings: Mapping[str, Any] = field(default_factory=dict)


Builder = Callable[..., "keras.Model"]
_BUILDERS: dict[str, tuple[ModelSpec, Builder]] = {}


def register(spec: ModelSpec) -> Callable[[Builder], Builder]:
    """Register the decorated builder under `spec.name`. Raises: ValueError if the name is taken by another builder."""

    def add(builder: Builder) -> Builder:
        if spec.name in _BUILDERS:
            raise ValueError(f"A model named {spec.name!r} is registered already.")
        _BUILDERS[spec.name] = (spec, builder)
        return builder

    return add


def names() -> list[str]:
    """Names of all models, sorted; imports nothing heavy."""
    from mitozoo.models import architectures

    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(architectures.__path__))


def _find(name: str) -> tuple[ModelSpec, Builder]:
    if name not in _BUILDERS:
        if name not in names():
            raise UnknownNameError("model", name, names())
        importlib.import_module(f"mitozoo.models.architectures.{name.replace('-', '_')}")
    return _BUILDERS[name]


def spec(name: str) -> ModelSpec:
    """Return the spec of a model. Raises: UnknownNameError with the nearest name."""
    return _find(name)[0]


def build(name: str, **settings: Any) -> keras.Model:
    """Build a model with fresh weights.

    Args: name; settings, keyword arguments of its builder (see `spec(name).settings`).
    Returns: an uncompiled keras.Model.
    Raises: UnknownNameError for a name or a setting that does not exist.
    """
    found, builder = _find(name)
    for key in settings:
        if key not in found.settings:
            raise UnknownNameError(f"setting of {name}", key, found.settings)
    return builder(**{**found.settings, **settings})
