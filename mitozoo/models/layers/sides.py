"""Sides that fit: images continued to a multiple of a stride, and maps cut back to the image."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="mitozoo")
class PadToMultiple(keras.layers.Layer):
    """Continues an image by zeros to the right and downwards, as convolutions do, until its sides are multiples.

    Input: (B, H, W, C). Output: (B, H', W', C), H' and W' the next multiples of `multiple_px`.
    """

    def __init__(self, multiple_px: int, **kwargs) -> None:
        """Args: multiple_px, what the sides of the output are multiples of."""
        super().__init__(**kwargs)
        self.multiple_px = multiple_px

    def call(self, images):
        """Pad."""
        height, width = ops.shape(images)[1:3]
        return ops.pad(images, [[0, 0], [0, -height % self.multiple_px], [0, -width % self.multiple_px], [0, 0]])

    def compute_output_shape(self, input_shape):
        """Shape of the output."""
        batch, *sides, channels = input_shape
        sides = [None if side is None else side - side % -self.multiple_px for side in sides]
        return (batch, *sides, channels)

    def get_config(self):
        """Settings for saving."""
        return {**super().get_config(), "multiple_px": self.multiple_px}


@keras.saving.register_keras_serializable(package="mitozoo")
class CutToImage(keras.layers.Layer):
    """Cuts from a map what lies on the image that it belongs to.

    Inputs: map (B, h, w, C) and image (B, H, W, D). Output: (B, H / stride_px, W / stride_px, C), rounded down.
    """

    def __init__(self, stride_px: int, **kwargs) -> None:
        """Args: stride_px, pixels of the image from one position of the map to the next."""
        super().__init__(**kwargs)
        self.stride_px = stride_px

    def call(self, heat, image):
        """Cut."""
        height, width = ops.shape(image)[1:3]
        return heat[:, : height // self.stride_px, : width // self.stride_px]

    def compute_output_shape(self, heat_shape, image_shape):
        """Shape of the output."""
        sides = [None if side is None else side // self.stride_px for side in image_shape[1:3]]
        return (heat_shape[0], *sides, heat_shape[-1])

    def get_config(self):
        """Settings for saving."""
        return {**super().get_config(), "stride_px": self.stride_px}
