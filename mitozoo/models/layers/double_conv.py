"""The blocks of a U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with batch normalisation."""

from __future__ import annotations

import keras
from keras import layers

from mitozoo.models.layers.prior import log_odds


def double_conv(x, width: int, name: str, *, dropout: float = 0.0):
    """Two 3x3 convolutions, each with batch normalisation and ReLU, then dropout.

    Args: x (B, H, W, C); width, channels of the output; name, prefix; dropout, share of what is dropped.
    Returns: (B, H, W, width).
    """
    for part in "ab":
        x = layers.Conv2D(width, 3, padding="same", use_bias=False, name=f"{name}{part}")(x)
        x = layers.BatchNormalization(name=f"{name}{part}_bn")(x)
        x = layers.ReLU(name=f"{name}{part}_relu")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def up_conv(x, skip, width: int, name: str, *, dropout: float = 0.0):
    """Twice the size by a transposed convolution, beside what the encoder had at that size, then `double_conv`.

    Args: x (B, h, w, C); skip (B, 2 h, 2 w, D); width, name and dropout as in `double_conv`.
    Returns: (B, 2 h, 2 w, width).
    """
    x = layers.Conv2DTranspose(width, 2, strides=2, name=f"{name}_up")(x)
    return double_conv(layers.Concatenate(name=f"{name}_skip")([skip, x]), width, name, dropout=dropout)


def mask_logits(x, prior: float):
    """One logit a pixel by a 1x1 convolution, in float32 under every policy.

    Args: x (B, H, W, C); prior, probability in (0, 1) that a fresh network gives: a small one keeps the first steps
        from drowning in background (Lin et al. 2017, arXiv:1708.02002, section 4.1).
    Returns: (B, H, W).
    """
    bias = keras.initializers.Constant(log_odds(prior))
    x = layers.Conv2D(1, 1, bias_initializer=bias, dtype="float32", name="mask")(x)
    return keras.ops.squeeze(x, -1)
