"""What a training starts from, where not from chance."""

from __future__ import annotations

import keras
import numpy as np

from mitozoo.models import registry
from mitozoo.models.imagenet import load_imagenet
from mitozoo.training.recipe import Recipe


def fresh_weights(recipe: Recipe, imagenet: str | None) -> list[np.ndarray] | None:
    """Fresh weights of a recipe's model with an encoder from ImageNet, the same for the same seed.

    Args: imagenet, a file or "imagenet" for Keras' cache or download; None gives None.
    Raises: WeightsError as `load_imagenet`.
    """
    if imagenet is None:
        return None
    keras.utils.set_random_seed(recipe.seed)
    model = registry.build(recipe.model, **recipe.settings)
    load_imagenet(model, imagenet)
    return model.get_weights()
