"""Models that compute in fewer bits than their weights have."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from mitozoo.models import registry
from mitozoo.models.zoo import LoadedModel

if TYPE_CHECKING:
    import keras

#: Precision: the Keras policy that computes in it. Weights, inputs, softmax and outputs stay float32.
POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def build_in(policy: str | keras.DTypePolicy, name: str, **settings: Any) -> keras.Model:
    """Build a model under a Keras policy; the policy for other models stays as it was. Raises: UnknownNameError."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return registry.build(name, **settings)
    finally:
        keras.config.set_dtype_policy(before)


def built_again(loaded: LoadedModel, policy: str | keras.DTypePolicy, **changes: Any) -> LoadedModel:
    """The same weights in a model of its own. Keras cannot clone a layer that uses the weights of another.

    Args: loaded; policy; changes, settings of the builder that weights do not depend on.
    """
    model = build_in(policy, loaded.spec.name, **{**loaded.spec.settings, **changes})
    model.set_weights(loaded.model.get_weights())
    return dataclasses.replace(loaded, model=model)


def in_precision(loaded: LoadedModel, precision: str) -> LoadedModel:
    """The model with the same weights, computing in one of `POLICIES`; in float32 the model itself."""
    return loaded if precision == "float32" else built_again(loaded, POLICIES[precision])
