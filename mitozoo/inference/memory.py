"""Keep prediction within a given amount of memory."""

from __future__ import annotations

from mitozoo.base.errors import InputError

#: Memory that TensorFlow, Keras and the libraries take before the first image.
BASE_MB = 700
#: Bytes that one pixel of an image takes while it is searched: decoded, padded, and one image decoded ahead.
BYTES_PER_PX = 12


def largest_image_px(limit_mb: float) -> int:
    """Return the largest image, in pixels, that is searched within `limit_mb` of memory.

    Raises: InputError where not even a small field fits.
    """
    pixels = int((limit_mb - BASE_MB) * 1e6 / BYTES_PER_PX)
    if pixels < 1_000_000:
        raise InputError(f"--limit-memory {limit_mb:g} is too little: the least that works is {BASE_MB + 12} MB.")
    return pixels


def limit_gpus(limit_mb: float) -> None:
    """Let TensorFlow take at most `limit_mb` of each GPU; does nothing without one."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit_mb)])
