"""Keep prediction within a given amount of memory."""

from __future__ import annotations

import math

from mitozoo.base.errors import InputError, RecipeError

#: Memory that TensorFlow, Keras, the network and one block of windows take, as measured on a CPU.
BASE_MB = 900
#: And each further model of an ensemble, as measured with stn and scout.
MODEL_MB = 60
#: Bytes that one pixel of an image takes: decoded, padded, drawn on, and another image decoded ahead.
BYTES_PER_PX = 28
#: And more where the image is also searched turned and mirrored.
TURNED_BYTES_PER_PX = 3
_LEAST_PX = 1_000_000


def largest_image_px(limit_mb: float, views: int = 1, models: int = 1) -> int:
    """Return the largest image, in pixels, that is searched within `limit_mb` of memory, in so many views by models.

    Raises: InputError where not even a small field fits, or the limit is no number.
    """
    each = BYTES_PER_PX + (TURNED_BYTES_PER_PX if views > 1 else 0)
    base_mb = BASE_MB + MODEL_MB * (models - 1)
    if not math.isfinite(limit_mb) or (limit_mb - base_mb) * 1e6 < _LEAST_PX * each:
        least = base_mb + math.ceil(_LEAST_PX * each / 1e6)
        raise InputError(f"--limit-memory {limit_mb:g} is not enough: the least that works is {least} MB.")
    return int((limit_mb - base_mb) * 1e6 / each)


def limit_gpus(limit_mb: float) -> None:
    """Let TensorFlow take at most `limit_mb` of each GPU; does nothing without one. Comes before any model is built.

    Raises: RecipeError where TensorFlow uses a GPU already, with another limit.
    """
    import tensorflow as tf

    wanted = [tf.config.LogicalDeviceConfiguration(memory_limit=limit_mb)]
    for gpu in tf.config.list_physical_devices("GPU"):
        if tf.config.get_logical_device_configuration(gpu) == wanted:
            continue
        try:
            tf.config.set_logical_device_configuration(gpu, wanted)
        except RuntimeError:
            raise RecipeError(
                f"--limit-memory {limit_mb:g} comes too late: TensorFlow uses the GPU already. Start Python again and "
                "give the limit at once."
            ) from None
