"""Features at four strides: an encoder of keras.applications and a feature pyramid on it."""

from __future__ import annotations

import keras
from keras import layers

from mitozoo.models.layers.encoder import BY_STRIDE, centred, encoder, prepared
from mitozoo.models.layers.rcnn.anchors import LEVELS, STRIDES_PX


def build_features(tile_px: int, backbone: str, channels: int, frozen_statistics: bool = False) -> keras.Model:
    """Build encoder and feature pyramid (KerasCV's FeaturePyramid).

    Args: tile_px, side, a multiple of 32; backbone, see `encoder`; channels of every level; frozen_statistics, whether
    the encoder's batch normalisation stays as it is, which batches of two with ImageNet's statistics want.
    Returns: model "features" from images (B, tile_px, tile_px, 3) in [0, 1] to a list of P2 to P5, each
    (B, tile_px / stride, tile_px / stride, channels). P6 would only hold anchors of 512 px, which the paper has not.
    Raises: UnknownNameError for another backbone.  Source: Lin et al. 2017, arXiv:1612.03144, section 3.
    """
    from keras_cv.layers import FeaturePyramid

    image = keras.Input((tile_px, tile_px, 3), name="image")
    # MobileNet's features are then centred at the finest stride, where mitotic figures are looked for.
    x = centred(prepared(image, backbone), backbone, STRIDES_PX[0])
    stages = encoder(backbone, [BY_STRIDE[backbone][stride] for stride in STRIDES_PX])
    if frozen_statistics:
        for layer in stages.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False
    pyramid = FeaturePyramid(LEVELS[0], LEVELS[-1], num_channels=channels, name="pyramid")
    made = pyramid(dict(zip(LEVELS, stages(x), strict=True)))
    return keras.Model(image, [made[level] for level in LEVELS], name="features")
