"""Augmentation as Keras layers in graph operations, with the randomness given from outside.

Keras' own random layers keep a state, which parallel maps use in any order; here every batch brings its random numbers,
so that a resumed run sees the same images as an unbroken one.
"""

from __future__ import annotations

import math
import sys
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf

from mitozoo.data.canvases import Canvases
from mitozoo.data.stain import HE_VECTORS, optical_density

#: Mean optical density under which a pixel is glass.
_GLASS_DENSITY = 0.08


class PlaceCell(keras.layers.Layer):
    """Cuts a window from a canvas with the cell at a given offset, rotated about the cell, mirrored and scaled.

    Inputs: canvases uint8 (B, S, S, 3) with the cell in the centre; offset_px (B, 2) where the cell shall lie from the
    window's centre, x to the right and y down; angle (B,) in radians; mirror (B,) bool; zoom (B,), > 1 enlarges.
    Output: uint8 (B, window_px, window_px, 3), bilinear, continued by reflection.
    """

    def __init__(self, window_px: int, **kwargs: Any) -> None:
        """Args: window_px, side of the window."""
        # In float32 under every policy: a place of half the precision is up to a quarter of a pixel off.
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.window_px = window_px

    def call(
        self, canvases: tf.Tensor, offset_px: tf.Tensor, angle: tf.Tensor, mirror: tf.Tensor, zoom: tf.Tensor
    ) -> tf.Tensor:
        """Cut, by OpenCV: fifteen times as fast on a CPU as TensorFlow's own projective transform, and the same."""
        windows = tf.numpy_function(self._cut, [canvases, offset_px, angle, mirror, zoom], tf.uint8, stateful=False)
        return tf.ensure_shape(windows, (None, self.window_px, self.window_px, canvases.shape[-1]))

    def _cut(
        self, canvases: np.ndarray, offset_px: np.ndarray, angle: np.ndarray, mirror: np.ndarray, zoom: np.ndarray
    ) -> np.ndarray:
        size = self.window_px
        out = np.empty((len(canvases), size, size, canvases.shape[-1]), np.uint8)
        for i, matrix in enumerate(window_to_canvas(size, canvases.shape[1], offset_px, angle, mirror, zoom)):
            cv2.warpAffine(
                canvases[i], matrix, (size, size), out[i], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_REFLECT
            )
        return out


def window_to_canvas(
    window_px: int,
    canvas_px: int,
    offset_px: np.ndarray,
    angle: np.ndarray,
    mirror: np.ndarray,
    zoom: np.ndarray,
) -> np.ndarray:
    """Return the transforms (B, 2, 3) that say for a window's pixel (x, y, 1) where it lies in the canvas.

    Args: sides in pixels, and the inputs of `PlaceCell` as arrays.
    """
    sign = np.where(mirror, -1.0, 1.0)
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    linear = np.stack([np.stack([sign * cos, -sign * sin], -1), np.stack([sin, cos], -1)], axis=1)
    cell = (window_px - 1) / 2 + np.asarray(offset_px, np.float64)
    shift = (canvas_px - 1) / 2 - np.einsum("bij,bj->bi", linear, cell)
    return np.concatenate([linear, shift[..., None]], axis=-1)


class StainJitter(keras.layers.Layer):
    """Changes the amounts of haematoxylin and eosin, the hue and the brightness in optical density.

    Inputs: images (B, H, W, 3) in [0, 255]; uniform (B, 9) random numbers in [0, 1): amounts of the three stains,
    channels' densities, added density. Output: float32 (B, H, W, 3) in [0, 1]; unchanged but for rounding where all
    strengths are 0.
    Source: Tellez et al. 2019, doi 10.1016/j.media.2019.101544 (H&E jitter in optical density).
    """

    def __init__(self, amount: float = 0.3, hue: float = 0.1, brightness: float = 0.05, **kwargs: Any) -> None:
        """Args: amount, largest relative change of a stain; hue, of a channel's density; brightness, added density."""
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.strengths = np.repeat([amount, hue, brightness], 3).astype(np.float32)

    # TensorFlow for Windows has no XLA.
    @tf.function(jit_compile=sys.platform != "win32")
    def call(self, images: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Change; compiled by XLA, which is fifteen times as fast here."""
        change = (2.0 * uniform - 1.0) * self.strengths
        vectors = tf.constant(HE_VECTORS, tf.float32)
        inverse = tf.constant(np.linalg.inv(HE_VECTORS), tf.float32)
        # Density (row vectors): to stains, scaled, back to density, channels scaled, density added.
        mix = tf.einsum("ij,bj,jk,bk->bik", inverse, 1.0 + change[:, :3], vectors, 1.0 + change[:, 3:6])
        density = -tf.math.log((tf.cast(images, tf.float32) + 1.0) / 256.0)
        shape = tf.shape(density)
        density = tf.matmul(tf.reshape(density, (shape[0], -1, 3)), mix) + change[:, None, 6:] * math.log(10)
        value = (256.0 * tf.exp(-density) - 1.0) / 255.0
        return tf.reshape(tf.clip_by_value(value, 0.0, 1.0), shape)


class StainTransfer(keras.layers.Layer):
    """Gives an image the stain of another: mean and spread of each channel's optical density.

    Where every class may take the stain of any other, stain and scanner tell nothing of the class.

    Inputs: images (B, H, W, 3) in [0, 255]; own and other, statistics (B, 6) as `stain_statistics` gives them; share
    (B,) of the way from own to other, 0 for none. Output: float32 (B, H, W, 3) in [0, 255].
    Source: Reinhard et al. 2001, doi 10.1109/38.946629, in optical density instead of Lab.
    """

    def __init__(self, **kwargs: Any) -> None:
        """No settings."""
        super().__init__(**{"dtype": "float32"} | kwargs)

    @tf.function(jit_compile=sys.platform != "win32")
    def call(self, images: tf.Tensor, own: tf.Tensor, other: tf.Tensor, share: tf.Tensor) -> tf.Tensor:
        """Change."""
        density = -tf.math.log((tf.cast(images, tf.float32) + 1.0) / 256.0) / math.log(10)
        # A nearly even canvas would be stretched beyond all tissue.
        ratio = tf.clip_by_value(other[:, 3:] / tf.maximum(own[:, 3:], 1e-3), 0.6, 1.6) ** share[:, None]
        shift = share[:, None] * (other[:, :3] - own[:, :3])
        mean = own[:, None, None, :3]
        moved = (density - mean) * ratio[:, None, None] + mean + shift[:, None, None]
        return tf.clip_by_value(256.0 * tf.pow(10.0, -moved) - 1.0, 0.0, 255.0)


class Transplant(keras.layers.Layer):
    """Puts cells into the surroundings of others, so that a class is learnt from the cell and not from its tissue.

    Where cells of all classes are put into those of any, neither surroundings nor seam tell anything of the class.

    Inputs: windows and surroundings uint8 (B, H, W, 3); offset_px (B, 2) where the cells lie from the windows' centre,
    x to the right and y down; radius_px (B,) of what is kept around them, fading over 8 px; infinite for all.
    Output: uint8 (B, H, W, 3).
    """

    def __init__(self, **kwargs: Any) -> None:
        """No settings."""
        super().__init__(**{"dtype": "float32"} | kwargs)

    def call(
        self, windows: tf.Tensor, surroundings: tf.Tensor, offset_px: tf.Tensor, radius_px: tf.Tensor
    ) -> tf.Tensor:
        """Blend."""
        height, width = windows.shape[1:3]
        x = tf.range(width, dtype=tf.float32) - (width - 1) / 2 - offset_px[:, :1]
        y = tf.range(height, dtype=tf.float32) - (height - 1) / 2 - offset_px[:, 1:]
        distance = tf.sqrt(x[:, None] ** 2 + y[:, :, None] ** 2)
        own = tf.clip_by_value((radius_px[:, None, None] + 4.0 - distance) / 8.0, 0.0, 1.0)[..., None]
        mixed = own * tf.cast(windows, tf.float32) + (1.0 - own) * tf.cast(surroundings, tf.float32)
        return tf.cast(tf.round(mixed), tf.uint8)


def stain_statistics(canvases: np.ndarray | Canvases) -> np.ndarray:
    """Mean and spread of each channel's optical density over the tissue of each canvas.

    Args: canvases uint8 (n, S, S, 3).  Returns: float32 (n, 6), three means and three standard deviations; of the whole
    canvas where less than a twentieth is tissue. Each number is limited to the range of the middle 96 % of the
    canvases: black padding and blood are no stain to give to others.
    """
    out = np.empty((len(canvases), 6), np.float32)
    if not len(canvases):
        return out
    for i, canvas in enumerate(canvases):
        density = optical_density(np.asarray(canvas)[::2, ::2]).reshape(-1, 3)
        tissue = density.mean(axis=1) > _GLASS_DENSITY
        kept = density[tissue] if tissue.mean() > 0.05 else density
        out[i] = np.concatenate([kept.mean(axis=0), kept.std(axis=0)])
    return np.clip(out, *np.percentile(out, [2, 98], axis=0)).astype(np.float32)


class ScannerJitter(keras.layers.Layer):
    """Simulates other scanners: blur or sharpening, sensor noise, JPEG compression.

    Inputs: images uint8 (B, H, W, 3); uniform (B, 6) random numbers in [0, 1). Output: uint8 of the same shape. Half
    of the images are blurred or sharpened, a third get noise, half are compressed; strength 0 changes nothing.
    """

    def __init__(self, strength: float = 1.0, **kwargs: Any) -> None:
        """Args: strength; 1 is blur to 1.3 px, sharpening to 1, noise to 5 levels, JPEG to quality 30."""
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.strength = strength

    def call(self, images: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Change, by OpenCV."""
        changed = tf.numpy_function(self._change, [images, uniform], tf.uint8, stateful=False)
        return tf.ensure_shape(changed, images.shape)

    def _change(self, images: np.ndarray, uniform: np.ndarray) -> np.ndarray:
        if not self.strength:
            return images
        return np.stack([self._one(image, row) for image, row in zip(images, uniform, strict=True)])

    def _one(self, image: np.ndarray, row: np.ndarray) -> np.ndarray:
        if row[0] < 0.5:
            sigma = 0.3 + self.strength * float(row[1])
            soft = cv2.GaussianBlur(image, (0, 0), sigma)
            amount = 2.0 * float(row[0]) * self.strength
            image = soft if row[0] < 0.25 else cv2.addWeighted(image, 1 + amount, soft, -amount, 0)
        if row[2] < 1 / 3:
            seed = int(row[3] * 2**31)
            noise = np.random.default_rng(seed).normal(0, 15 * self.strength * float(row[2]), image.shape)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        if row[4] < 0.5:
            quality = round(95 - 65 * self.strength * float(row[5]))
            _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, max(quality, 5)))
            image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
        return image
