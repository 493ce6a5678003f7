"""The sampler of a spatial transformer, with a gradient for the transform on every backend.

`keras.ops.image.affine_transform` gives no gradient for the transform on TensorFlow, so the four neighbours are
gathered and weighted here.
"""

from __future__ import annotations

import keras
from keras import ops


def sampling_points(theta, out_px: int, in_shape: tuple[int, int]):
    """Return where each output pixel looks in the input.

    Args:
        theta: (B, 2, 3) affine transform from output to input, both in [-1, 1] with 0 at the centre; pixel centres lie
            half a pixel inside, so the input pixel i is at (2 i + 1) / size - 1.
        out_px: side of the square output in pixels.
        in_shape: height and width of the input in pixels.
    Returns: x and y in input pixels, each (B, out_px, out_px).
    """
    height, width = in_shape
    line = (2.0 * ops.arange(out_px, dtype="float32") + 1.0) / out_px - 1.0
    grid_x, grid_y = ops.meshgrid(line, line, indexing="xy")
    theta = ops.cast(theta, "float32")

    def row(i: int):
        return (
            theta[:, i, 0, None, None] * grid_x[None]
            + theta[:, i, 1, None, None] * grid_y[None]
            + theta[:, i, 2, None, None]
        )

    return (row(0) + 1.0) * (width / 2.0) - 0.5, (row(1) + 1.0) * (height / 2.0) - 0.5


def gather_bilinear(images, index, x, y):
    """Sample images at points between pixels; outside, the nearest edge pixel counts.

    Args: images (N, H, W, C); index (B,) which image each point set belongs to; x, y (B, h, w) in pixels.
    Returns: float (B, h, w, C). Source: Jaderberg et al. 2015, arXiv:1506.02025, Eq. 5.
    """
    height, width = images.shape[1], images.shape[2]
    x = ops.clip(x, 0.0, width - 1.0)
    y = ops.clip(y, 0.0, height - 1.0)
    # No number has no pixel: it looks at pixel 0, and the weights below make the sample no number either.
    left = ops.clip(ops.floor(ops.nan_to_num(x)), 0.0, max(width - 2.0, 0.0))
    top = ops.clip(ops.floor(ops.nan_to_num(y)), 0.0, max(height - 2.0, 0.0))
    wx, wy = (x - left)[..., None], (y - top)[..., None]
    base = ops.cast(index, "int32")[:, None, None] * (height * width)
    base = base + ops.cast(top, "int32") * width + ops.cast(left, "int32")
    flat = ops.reshape(images, (-1, images.shape[-1]))
    right_step, down_step = min(width - 1, 1), width * min(height - 1, 1)

    def value(offset: int):
        return ops.cast(ops.take(flat, base + offset, axis=0), x.dtype)

    upper = value(0) * (1 - wx) + value(right_step) * wx
    lower = value(down_step) * (1 - wx) + value(down_step + right_step) * wx
    return upper * (1 - wy) + lower * wy


@keras.saving.register_keras_serializable(package="mitozoo")
class AffineSampler(keras.layers.Layer):
    """Samples a square patch from each image by its affine transform.

    Inputs: images (B, H, W, C) and theta (B, 2, 3), see `sampling_points`. Output: (B, out_px, out_px, C).
    """

    def __init__(self, out_px: int, **kwargs) -> None:
        """Args: out_px, side of the output in pixels."""
        # Theta and images come as they are: in half precision a place is up to a quarter of a pixel off.
        super().__init__(**{"autocast": False} | kwargs)
        self.out_px = out_px

    def call(self, images, theta):
        """Sample."""
        x, y = sampling_points(theta, self.out_px, (images.shape[1], images.shape[2]))
        patch = gather_bilinear(images, ops.arange(ops.shape(images)[0]), x, y)
        return ops.cast(patch, self.compute_dtype)

    def compute_output_shape(self, images_shape, theta_shape):
        """Shape of the output."""
        return (images_shape[0], self.out_px, self.out_px, images_shape[-1])

    def get_config(self):
        """Settings for saving."""
        return {**super().get_config(), "out_px": self.out_px}
