"""The baseline of Aubreville et al. 2017: a 12-layer CNN after Cireşan et al. 2013, at 128x128 px and three classes.

Five convolutions of 16 maps, each with max-pooling, and two dense layers: the kernel sizes 2, 3, 3, 2, 2 and the 100
dense units are those of the deeper network (DNN1) of Cireşan et al., MICCAI 2013, Table 1. It says nothing of where the
cell is.
"""

from __future__ import annotations

import keras
from keras import layers

from mitozoo.models.registry import ModelSpec, register

#: Pixels from one output to the next when the convolutional part runs over a field.
TRUNK_STRIDE_PX = 32

SPEC = ModelSpec(
    name="cnn12",
    title="12-layer CNN (baseline)",
    task="classify",
    input_px=128,
    outputs={"logits": (3,)},
    params=13_731,
    source="Aubreville et al. 2017, arXiv:1707.08525, section 4.4; Cireşan et al. 2013, 10.1007/978-3-642-40763-5_51",
    settings={"classes": 3, "width": 16, "dropout": 0.0},
)


@register(SPEC)
def build(classes: int = 3, width: int = 16, dropout: float = 0.0) -> keras.Model:
    """Build the network.

    Args: classes; width, maps of every convolution; dropout before the last layer (the paper has none: 0).
    Returns: model from windows (B, 128, 128, 3) in [0, 1] to a dict of logits (B, classes). Its layer "trunk" is the
    convolutional part, for any size of input.
    """
    field = keras.Input((None, None, 3), name="field")
    x = field
    for i, size in enumerate((2, 3, 3, 2, 2), start=1):
        x = layers.Conv2D(width, size, activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{i}")(x)
    trunk = keras.Model(field, x, name="trunk")

    window = keras.Input((SPEC.input_px, SPEC.input_px, 3), name="window")
    features = trunk(window)
    head_in = keras.Input(features.shape[1:], name="features")
    y = layers.Flatten(name="flatten")(head_in)
    y = layers.Dense(100, activation="relu", name="dense100")(y)
    y = layers.Dropout(dropout, name="dropout")(y)
    y = layers.Dense(classes, dtype="float32", name="logits")(y)
    head = keras.Model(head_in, y, name="head")
    return keras.Model(window, {"logits": head(features)}, name="cnn12")
