"""Encoders of keras.applications as sub-models with several outputs, and what they want to be fed."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from mitozoo.base.errors import UnknownNameError

#: Name of an encoder, and so of its sub-model: its builder in keras.applications.
ENCODERS = {"vgg16": "VGG16", "mobilenet": "MobileNet", "resnet50": "ResNet50", "resnet101": "ResNet101"}
#: The last layer at each stride, from 2 to 32 px.
BY_STRIDE = {
    "vgg16": {2**i: f"block{i}_pool" for i in range(1, 6)},
    "mobilenet": {2**i: f"conv_pw_{n}_relu" for i, n in enumerate((1, 3, 5, 11, 13), start=1)},
    "resnet50": {2: "conv1_relu", 4: "conv2_block3_out", 8: "conv3_block4_out", 16: "conv4_block6_out"}
    | {32: "conv5_block3_out"},
    "resnet101": {2: "conv1_relu", 4: "conv2_block3_out", 8: "conv3_block4_out", 16: "conv4_block23_out"}
    | {32: "conv5_block3_out"},
}


def at_strides(name: str, strides: Sequence[int]) -> list[str]:
    """Names of an encoder's last layers at strides of 2, 4, 8, 16 or 32 px. Raises: UnknownNameError."""
    _check(name)
    return [BY_STRIDE[name][stride] for stride in strides]


def _check(name: str) -> None:
    if name not in ENCODERS:
        raise UnknownNameError("encoder", name, ENCODERS)


def prepared(field, name: str):
    """Turn colours into what an encoder was trained on.

    Args: field (B, H, W, 3) RGB in [0, 1]; name of the encoder.
    Returns: (B, H, W, 3): for MobileNet in [-1, 1]; for the others BGR in 0 to 255 less ImageNet's mean colour.
    Raises: UnknownNameError.
    """
    _check(name)
    if name == "mobilenet":
        return layers.Rescaling(2.0, offset=-1.0, name="scale")(field)
    # In float32 under every policy: half precision rounds 0 to 255 to whole numbers.
    mean = [-103.939, -116.779, -123.68]
    return layers.Rescaling(255.0, offset=mean, dtype="float32", name="scale")(ops.flip(field, axis=-1))


def encoder(name: str, outputs: Sequence[str], *, alpha: float = 1.0) -> keras.Model:
    """Build an encoder without its top and without what comes after its last output.

    Args: name, one of `ENCODERS`; outputs, names of its layers, the deepest last; alpha, width of MobileNet as a share.
    Returns: model `name` from what `prepared` gives, of any size, to a list of features, one for each of `outputs`.
    Raises: UnknownNameError.
    """
    _check(name)
    more = {"alpha": alpha} if name == "mobilenet" else {}
    shape = (None, None, 3)
    whole = getattr(keras.applications, ENCODERS[name])(input_shape=shape, include_top=False, weights=None, **more)
    return keras.Model(whole.input, [whole.get_layer(output).output for output in outputs], name=name)


def centred(x, name: str, stride_px: int):
    """Move an image so that the features of a stride lie in the middle of the pixels that they stand for.

    MobileNet pads on one side where it strides, so that position i of stride s looks at pixel s * i + s - 1 instead of
    s * i + (s - 1) / 2. VGG16 needs nothing.

    Args: x (B, H, W, 3) from `prepared`; name of the encoder; stride_px, at least 2.
    Returns: (B, H, W, 3), continued by zeros as the encoder's own convolutions are.
    """
    if name != "mobilenet":
        return x
    shift = stride_px // 2
    x = layers.ZeroPadding2D(((shift, 0), (shift, 0)), name="shift")(x)
    return layers.Cropping2D(((0, shift), (0, shift)), name="shift_cut")(x)
