"""Where a training runs: one device, or several that share each batch."""

from __future__ import annotations

import tensorflow as tf

from mitozoo.base.errors import RecipeError


def strategy(gpus: int) -> tf.distribute.Strategy:
    """Return TensorFlow's own choice of one device, or MirroredStrategy over the first `gpus`.

    Args: gpus, 2 or more to share each batch among them; 0 or 1 for one device.
    Raises: RecipeError if there are fewer GPUs than asked for.
    """
    found = [device.name for device in tf.config.list_logical_devices("GPU")]
    if gpus > len(found):
        raise RecipeError(f"--gpus {gpus}: TensorFlow finds {len(found)} here. Give --gpus {len(found)} or fewer.")
    return tf.distribute.MirroredStrategy(found[:gpus]) if gpus > 1 else tf.distribute.get_strategy()
