"""Building architectures and loading trained models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mitozoo.models.zoo import LoadedModel

if TYPE_CHECKING:
    import keras

#: Model that `predict` takes where none is named.
DEFAULT_MODEL = "scout"


def build(name: str, **settings: Any) -> keras.Model:
    """Build an architecture with fresh weights.

    Args: name, e.g. "stn"; settings of its builder, e.g. classes=2.
    Returns: an uncompiled keras.Model.
    Raises: UnknownNameError with the nearest name.

    >>> import mitozoo
    >>> mitozoo.build("cnn12").count_params()
    13731
    """
    from mitozoo.models import registry

    return registry.build(name, **settings)


def load(name: str = DEFAULT_MODEL, weights: str | Path | None = None) -> LoadedModel:
    """Load a model with its trained weights, checked by SHA-256.

    Args: name of a zoo entry; weights, a `.weights.h5` file in place of the entry's.
    Returns: LoadedModel with `.model`, `.spec`, `.threshold` and `.manifest`.
    Raises: UnknownNameError; WeightsError for weights that are damaged or of another architecture.

    >>> import mitozoo
    >>> mitozoo.load("stn").spec.input_px
    128
    """
    from mitozoo.models import zoo

    return zoo.load(name, Path(weights) if weights is not None else None)
