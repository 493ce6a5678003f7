"""How the layers of a model are named that verify what its proposer finds: "verifier", "verifier2", …"""

from __future__ import annotations

import keras


def verifier_names(count: int) -> list[str]:
    """Names of so many verifiers, in order."""
    return ["verifier", *(f"verifier{number}" for number in range(2, count + 1))]


def verifiers_of(model: keras.Model) -> list[keras.Model]:
    """The verifiers of a model, in order."""
    named = {layer.name: layer for layer in model.layers}
    return [named[name] for name in verifier_names(len(named)) if name in named]
