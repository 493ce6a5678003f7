"""Guided Spatial Transformer Network of Aubreville et al. 2017, arXiv:1707.08525.

A localizer looks at a window of 128 px and says by an affine transform where the cell is; a sampler cuts that cell out
as 32x32 px; a small classifier names it. The paper gives the kinds and numbers of layers and the dense widths (20, 6;
256, 3); the convolutions' widths and sizes, which it does not give, are ours. The localizer's convolutions have no
padding, so that over a field they run once for all windows and give the same numbers.
"""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from mitozoo.models.layers.inception import inception
from mitozoo.models.layers.sampler import AffineSampler
from mitozoo.models.registry import ModelSpec, register

#: Scale of the ground truth transform: a cell of 64 px in a window of 128 px (the value of Eq. 2).
SCALE = 0.5
CELL_PX = 32
#: Pixels from one position of the localizer's features to the next.
TRUNK_STRIDE_PX = 8

SPEC = ModelSpec(
    name="stn",
    title="Spatial Transformer CNN",
    task="locate-classify",
    input_px=128,
    outputs={"theta": (2, 3), "logits": (3,)},
    params=1_497_993,
    source="Aubreville et al. 2017, arXiv:1707.08525, Fig. 3",
    settings={"classes": 3, "dropout": 0.0},
)


def build_localizer(size_px: int = 128) -> keras.Model:
    """Two convolutions with max-pooling, one inception block, dense 20 and 6: window to theta.

    Returns: model from (B, 128, 128, 3) in [0, 1] to (B, 2, 3), starting at the identity with scale 0.5. Its layer
    "trunk" is the convolutional part, for any size of input.
    """
    image = keras.Input((None, None, 3), name="field")
    x = layers.Conv2D(16, 5, activation="relu", name="conv1")(image)
    x = layers.MaxPooling2D(4, name="pool1")(x)
    x = layers.Conv2D(48, 5, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = inception(x, (32, 48, 32, 16), "inception")
    trunk = keras.Model(image, x, name="trunk")

    window = keras.Input((size_px, size_px, 3), name="window")
    features = trunk(window)
    head_in = keras.Input(features.shape[1:], name="features")
    y = layers.Flatten(name="flatten")(head_in)
    y = layers.Dense(20, activation="relu", name="dense20")(y)
    start = keras.initializers.Constant(np.array([SCALE, 0, 0, 0, SCALE, 0], "float32"))
    y = layers.Dense(6, kernel_initializer="zeros", bias_initializer=start, dtype="float32", name="dense6")(y)
    theta = layers.Reshape((2, 3), dtype="float32", name="theta")(y)
    head = keras.Model(head_in, theta, name="head")
    return keras.Model(window, head(features), name="localizer")


def build_classifier(classes: int = 3, dropout: float = 0.0) -> keras.Model:
    """Seven layers: two convolutions with max-pooling, an inception block, dense 256 and one output a class.

    Returns: model from (B, 32, 32, 3) in [0, 1] to logits (B, classes).
    """
    cell = keras.Input((CELL_PX, CELL_PX, 3), name="cell")
    x = layers.Conv2D(32, 5, activation="relu", name="conv1")(cell)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, padding="same", name="pool2")(x)
    x = layers.ZeroPadding2D(2, name="pad")(x)
    x = inception(x, (24, 32, 24, 16), "inception")
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(256, activation="relu", name="dense256")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    logits = layers.Dense(classes, dtype="float32", name="logits")(x)
    return keras.Model(cell, logits, name="classifier")


@register(SPEC)
def build(classes: int = 3, dropout: float = 0.0) -> keras.Model:
    """Build the whole network.

    Args: classes, number of classes; dropout before the last layer (the paper has none: 0).
    Returns: model from windows (B, 128, 128, 3) in [0, 1] to a dict of theta (B, 2, 3) and logits (B, classes). Its
    layers "localizer", "sampler" and "classifier" are trained apart in the first two stages.
    """
    localizer = build_localizer(SPEC.input_px)
    classifier = build_classifier(classes, dropout)
    window = keras.Input((SPEC.input_px, SPEC.input_px, 3), name="window")
    theta = localizer(window)
    cell = AffineSampler(CELL_PX, name="sampler")(window, theta)
    return keras.Model(window, {"theta": theta, "logits": classifier(cell)}, name="stn")
