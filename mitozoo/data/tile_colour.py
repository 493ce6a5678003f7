"""Colours of tiles: scanner, stain, contrast, hue and noise, in a graph, with the random numbers given from outside."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from mitozoo.data.augment import ScannerJitter, StainJitter, StainTransfer
from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.data.training_fields import TrainingFields

if TYPE_CHECKING:
    from mitozoo.data.field_tiles import TileSettings

#: From red, green, blue to luma and two differences of colour, in which hue is an angle (NTSC's YIQ).
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]], np.float32)
#: What normalisation does to each field, measured once: fields by kind.
_CHANGES: weakref.WeakKeyDictionary[TrainingFields, dict[str, np.ndarray]] = weakref.WeakKeyDictionary()


class TileColour:
    """Changes tiles uint8 (B, h, w, 3) of fields `number` (B,) by random numbers (B, 22) to float32 in [0, 1]."""

    def __init__(self, fields: TrainingFields, settings: TileSettings, *, augmented: bool) -> None:
        """Args: augmented, else the tiles are only normalised."""
        self.settings, self.augmented, self.count = settings, augmented, len(fields)
        self.stains = tf.constant(fields.stains)
        self.scanner, self.restain = ScannerJitter(settings.scanner), StainTransfer()
        self.jitter = StainJitter(settings.stain, settings.hue, settings.brightness)
        self.normaliser, self.changes = None, None
        if settings.normalise != "none":
            self.normaliser = StainNormaliser.standard(settings.normalise)
            self.changes = tf.constant(stain_changes(fields, self.normaliser))

    def __call__(self, image: tf.Tensor, number: tf.Tensor, uniform: tf.Tensor) -> tf.Tensor:
        """Change."""
        s = self.settings
        if self.augmented and s.scanner:
            image = self.scanner(image, uniform[:, :6])
        if self.normaliser is not None:
            image = tf.round(self.normaliser.apply_graph(image, tf.gather(self.changes, number)))
        if self.augmented and s.transfer:
            other = tf.cast(uniform[:, 6] * self.count, tf.int32)
            share = tf.where(uniform[:, 7] < s.transfer, uniform[:, 8], 0.0)
            image = self.restain(image, tf.gather(self.stains, number), tf.gather(self.stains, other), share)
        if self.augmented and (s.stain or s.hue or s.brightness):
            image = self.jitter(image, uniform[:, 9:18])
        else:
            image = tf.cast(image, tf.float32) / 255.0
        if self.augmented and (s.contrast or s.saturation or s.tint):
            image = coloured(image, s.contrast, s.saturation, s.tint, 2.0 * uniform[:, 18:21] - 1.0)
        if self.augmented and s.noise:
            # How much follows the scanner's first number, since none is left; what it is has one of its own.
            image = noisy(image, s.noise * uniform[:, 0], uniform[:, 21])
        return image


def stain_changes(fields: TrainingFields, normaliser: StainNormaliser) -> np.ndarray:
    """What a normaliser does to each field, float32 (n, 4, 3), see `StainNormaliser.transform`."""
    known = _CHANGES.setdefault(fields, {})
    key = normaliser.as_json()
    if key not in known:
        known[key] = np.stack([normaliser.transform(normaliser.measure(image)) for image in fields.images])
    return known[key]


def coloured(image: tf.Tensor, contrast: float, saturation: float, tint: float, change: tf.Tensor) -> tf.Tensor:
    """Change contrast (about the middle grey), saturation and hue.

    Args: image (B, h, w, 3) in [0, 1]; contrast, saturation, largest relative change; tint, largest turn of the hue, 1
        is the whole circle; change (B, 3) in [-1, 1), how much of each.
    Returns: float32 of the same shape, in [0, 1].
    """
    gain = 1.0 + contrast * change[:, 0]
    angle = 2.0 * np.pi * tint * change[:, 2]
    zero, one, colour = tf.zeros_like(angle), tf.ones_like(angle), 1.0 + saturation * change[:, 1]
    cos, sin = colour * tf.cos(angle), colour * tf.sin(angle)
    turn = tf.reshape(tf.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], axis=1), (-1, 3, 3))
    mix = tf.einsum("ij,bjk,kl->bil", tf.constant(np.linalg.inv(_YIQ)), turn, tf.constant(_YIQ))
    mixed = tf.einsum("bhwj,bij->bhwi", image, mix)
    return tf.clip_by_value((mixed - 0.5) * gain[:, None, None, None] + 0.5, 0.0, 1.0)


def noisy(image: tf.Tensor, spread: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Add Gaussian noise.

    Args: image (B, h, w, 3) in [0, 1]; spread (B,), its standard deviation; seed (B,) in [0, 1).
    """
    seeds = tf.cast(seed * 2.0**30, tf.int32)
    noise = tf.map_fn(
        lambda one: tf.random.stateless_normal(tf.shape(image)[1:], tf.stack([one, 7])),
        seeds,
        fn_output_signature=tf.float32,
    )
    return tf.clip_by_value(image + spread[:, None, None, None] * noise, 0.0, 1.0)
