"""FCN-32s (Long et al. 2015, arXiv:1411.4038): an encoder, its dense layers as convolutions, scores, 32 times the size.

The up-sampling is bilinear and fixed, as the last one of the paper is; the dense layers' 7x7 convolution is padded, so
that the output has the size of the input without the paper's margin of 100 px.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from mitozoo.models.layers.encoder import at_strides, centred, encoder, prepared
from mitozoo.models.layers.prior import log_odds

STRIDE_PX = 32
#: Two-class softmax: not mitotic, mitotic.
CLASSES = 2


def dense_convolutions(x, width: int, dropout: float):
    """The dense layers of VGG16 as convolutions, fc6 of 7x7 and fc7 of 1x1, each with ReLU and dropout.

    Args: x (B, h, w, C); width, 4096 in the paper; dropout, 0.5 in the paper.
    Returns: (B, h, w, width). Source: Long et al. 2015, section 4.1.
    """
    for name, size in (("fc6", 7), ("fc7", 1)):
        x = layers.Conv2D(width, size, padding="same", activation="relu", name=name)(x)
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def encoded(field, name: str, *, width: int, dropout: float, alpha: float):
    """What the scores are computed from: encoder and dense convolutions.

    Args: field (B, H, W, 3) in [0, 1], sides multiples of 32; name of the encoder; alpha, width of MobileNet.
    Returns: (B, H/32, W/32, width).
    """
    x = centred(prepared(field, name), name, STRIDE_PX)
    x = encoder(name, at_strides(name, [STRIDE_PX]), alpha=alpha)(x)[0]
    return dense_convolutions(x, width, dropout)


def score_layer(prior: float) -> keras.layers.Layer:
    """The 1x1 convolution to two class scores, in float32 under every policy.

    Args: prior, probability of a mitotic figure that a fresh network gives (see `mask_logits`).
    """
    bias = keras.initializers.Constant(np.array([0.0, log_odds(prior)], "float32"))
    return layers.Conv2D(CLASSES, 1, bias_initializer=bias, dtype="float32", name="score")


def upsampled(scores):
    """Scores of every pixel from those of every 32nd: (B, h, w, 2) to (B, 32 h, 32 w, 2), bilinear."""
    return layers.UpSampling2D(STRIDE_PX, interpolation="bilinear", dtype="float32", name="upsample")(scores)


def build_fcn32(
    encoder: str = "vgg16",
    *,
    width: int = 4096,
    dropout: float = 0.5,
    alpha: float = 1.0,
    prior: float = 0.01,
    score: keras.layers.Layer | None = None,
    name: str = "concentric",
) -> keras.Model:
    """Build an FCN-32s for two classes.

    Args: encoder "vgg16" or "mobilenet"; width, dropout of the dense convolutions; alpha, width of MobileNet as a
        share; prior, see `score_layer`; score, another layer in its place; name of the model.
    Returns: model from fields (B, H, W, 3) in [0, 1], sides multiples of 32, to logits (B, H, W, 2).
    Raises: UnknownNameError, RecipeError.
    """
    field = keras.Input((None, None, 3), name="field")
    x = encoded(field, encoder, width=width, dropout=dropout, alpha=alpha)
    return keras.Model(field, upsampled((score or score_layer(prior))(x)), name=name)
