"""The small networks of Mask R-CNN: region proposals, class and box of a region, mask of a region."""

from __future__ import annotations

import keras
from keras import layers

#: Side of the features that the box head and the mask head see, and of the mask.
BOX_PX, MASK_FEATURES_PX, MASK_PX = 7, 14, 28


def _small(deviation: float) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=deviation)


def build_rpn(channels: int, anchors: int) -> keras.Model:
    """Region proposal network, one for all levels.

    Args: channels of the pyramid; anchors at a position.
    Returns: model "rpn" from features (B, h, w, channels) to a list of logits (B, h * w * anchors) and steps
    (B, h * w * anchors, 4), in the order of `anchors_of`.  Source: Ren et al. 2015, arXiv:1506.01497, section 3.1.
    """
    features = keras.Input((None, None, channels), name="features")
    x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=_small(0.01), name="shared")(features)
    x = layers.ReLU(name="shared_relu")(x)
    logits = layers.Conv2D(anchors, 1, kernel_initializer=_small(0.01), dtype="float32", name="object")(x)
    steps = layers.Conv2D(4 * anchors, 1, kernel_initializer=_small(0.01), dtype="float32", name="steps")(x)
    logits = layers.Reshape((-1,), dtype="float32", name="object_flat")(logits)
    steps = layers.Reshape((-1, 4), dtype="float32", name="steps_flat")(steps)
    return keras.Model(features, [logits, steps], name="rpn")


def build_box_head(channels: int, width: int, classes: int = 2) -> keras.Model:
    """Class and box of a region: two dense layers.

    Returns: model "box_head" from features (R, 7, 7, channels) to a list of logits (R, classes) and steps (R, 4). With
    one class of objects, steps by class and steps for all classes are the same.
    Source: Lin et al. 2017, arXiv:1612.03144, section 4.2.
    """
    features = keras.Input((BOX_PX, BOX_PX, channels), name="features")
    x = layers.Flatten(name="flat")(features)
    for name in ("dense1", "dense2"):
        x = layers.ReLU(name=f"{name}_relu")(layers.Dense(width, name=name)(x))
    logits = layers.Dense(classes, kernel_initializer=_small(0.01), dtype="float32", name="class")(x)
    steps = layers.Dense(4, kernel_initializer=_small(0.001), dtype="float32", name="steps")(x)
    return keras.Model(features, [logits, steps], name="box_head")


def build_mask_head(channels: int) -> keras.Model:
    """Mask of a region: four convolutions, up-sampling by 2, one logit a pixel.

    Returns: model "mask_head" from features (R, 14, 14, channels) to logits (R, 28, 28).
    Source: He et al. 2017, arXiv:1703.06870, Figure 4, right.
    """
    x = features = keras.Input((MASK_FEATURES_PX, MASK_FEATURES_PX, channels), name="features")
    he = "he_normal"
    for number in range(1, 5):
        x = layers.Conv2D(channels, 3, padding="same", kernel_initializer=he, name=f"conv{number}")(x)
        x = layers.ReLU(name=f"conv{number}_relu")(x)
    x = layers.Conv2DTranspose(channels, 2, strides=2, kernel_initializer=he, name="up")(x)
    x = layers.ReLU(name="up_relu")(x)
    x = layers.Conv2D(1, 1, dtype="float32", name="mask")(x)
    return keras.Model(features, layers.Reshape((MASK_PX, MASK_PX), dtype="float32", name="flat")(x), name="mask_head")
