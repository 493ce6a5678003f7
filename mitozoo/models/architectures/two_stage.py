"""Two-stage detection of Sohail et al. 2020 (arXiv:2003.08803), section 3.4: a fully convolutional network on VGG16
proposes, ResNet101 sorts mitotic figures from hard negatives.

The paper names the two networks and their ImageNet weights. The proposer is FCN-8s (Long et al. 2015,
arXiv:1411.4038), whose finest scores are used as they are, one every 8 px.
"""

from __future__ import annotations

import math

import keras
from keras import layers

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.models.layers.encoder import at_strides, centred, encoder, prepared
from mitozoo.models.layers.fcn32 import dense_convolutions
from mitozoo.models.layers.prior import log_odds
from mitozoo.models.layers.sides import CutToImage, PadToMultiple
from mitozoo.models.registry import ModelSpec, register

#: Side of the windows that the proposer is trained on, and of what the verifier sees, in pixels at 0.25 µm.
WINDOW_PX, CELL_PX = 128, 80
#: Pixels from one position of the heat map to the next; the first lies at (STRIDE_PX - 1) / 2.
STRIDE_PX = 8
#: Longest side of the part of a field that the proposer is given at a time: VGG16 keeps 256 bytes a pixel and more.
TILE_PX = 1024
#: Pixels that a position of the encoder sees, by the base-2 logarithm of its stride.
SEES_PX = {"vgg16": {3: 44, 4: 100, 5: 212}, "mobilenet": {3: 43, 4: 219, 5: 315}}

SPEC = ModelSpec(
    name="two-stage",
    title="Two stages: FCN-8s proposes, ResNet101 verifies",
    task="propose-verify",
    input_px=WINDOW_PX,
    stride_px=STRIDE_PX,
    classes=(NON_MITOTIC, MITOTIC_FIGURE),
    outputs={"heat": (WINDOW_PX // STRIDE_PX, WINDOW_PX // STRIDE_PX), "logits": (2,)},
    params=176_927_715,
    source="Sohail et al. 2020, arXiv:2003.08803, section 3.4",
    settings={
        "classes": 2,
        "proposer": "vgg16",
        "verifier": "resnet101",
        "depth": 5,
        "width": 4096,
        "dropout": 0.5,
        "alpha": 1.0,
        "prior": 0.01,
    },
)


def _bilinear(shape, dtype=None):
    """Kernel 4x4 of a transposed convolution that doubles a map of one channel: what it starts from."""
    line = keras.ops.convert_to_tensor([0.25, 0.75, 0.75, 0.25], dtype=dtype)
    return keras.ops.reshape(line[:, None] * line[None], shape)


def _scores(x, level: int, prior: float, *, coarsest: bool):
    """One score a place at a stride of 2 ** level, those of the finer levels starting at 0, as in the paper."""
    # Only the finest has a bias: at the edge of an up-sampled map half of a coarser one's would be missing.
    finest = level == 3
    return layers.Conv2D(
        1,
        1,
        use_bias=finest,
        kernel_initializer="glorot_uniform" if coarsest else "zeros",
        bias_initializer=keras.initializers.Constant(log_odds(prior)),
        dtype="float32",
        name=f"score{level}",
    )(x)


def build_proposer(
    name: str = "vgg16", *, depth: int = 5, width: int = 4096, dropout: float = 0.5, alpha: float = 1.0, prior: float
) -> keras.Model:
    """FCN-8s: scores at every stride from 8 px to 2 ** depth, the coarser ones twice as large and added to the finer.

    Args: name of the encoder; depth 3 to 5; width, dropout of the dense layers fc6 and fc7 as convolutions, a width of
        0 for none; alpha, width of MobileNet as a share; prior, probability that a fresh network gives.
    Returns: model from fields (B, H, W, 3) in [0, 1], sides multiples of 8, to heat logits (B, H/8, W/8). Its attribute
        halo_px says how far it sees, at least, and tile_px how much of a field it is given at a time.
    Raises: UnknownNameError, RecipeError.
    """
    if name not in SEES_PX:
        raise UnknownNameError("encoder of a proposer", name, SEES_PX)
    if depth not in (3, 4, 5):
        raise RecipeError(f"depth of the proposer is 3, 4 or 5 (a stride of 8, 16 or 32 px), not {depth}.")
    field = keras.Input((None, None, 3), name="field")
    x = PadToMultiple(2**depth, name="pad")(prepared(field, name))
    taps = at_strides(name, [2**i for i in range(3, depth + 1)])
    *finer, x = encoder(name, taps, alpha=alpha)(centred(x, name, STRIDE_PX))
    if width:
        x = dense_convolutions(x, width, dropout)
    heat = _scores(x, depth, prior, coarsest=True)
    for i in range(depth - 1, 2, -1):
        heat = layers.Conv2DTranspose(
            1, 4, strides=2, padding="same", use_bias=False, kernel_initializer=_bilinear, dtype="float32",
            name=f"double{i + 1}",
        )(heat)  # fmt: skip
        scores = _scores(finer.pop(), i, prior, coarsest=False)
        heat = layers.Add(dtype="float32", name=f"fused{i}")([heat, scores])
    heat = CutToImage(STRIDE_PX, dtype="float32", name="cut")(heat, field)
    network = keras.Model(field, keras.ops.squeeze(heat, -1), name="proposer")
    network.halo_px, network.tile_px = _halo_px(name, depth, dense=bool(width)), TILE_PX
    return network


def _halo_px(name: str, depth: int, *, dense: bool) -> int:
    """How far a place of the heat map sees, rounded up to what keeps the poolings of a tile where they are."""
    coarsest = 2**depth
    # Half of what the encoder sees, three positions of a 7x7 convolution, and less than two to double the scores.
    reach = SEES_PX[name][depth] / 2 + 3 * coarsest * dense + 2 * coarsest
    return math.ceil(reach / coarsest) * coarsest


def build_verifier(
    name: str = "resnet101", *, classes: int = 2, dropout: float = 0.5, alpha: float = 1.0
) -> keras.Model:
    """An encoder, the mean over places, dropout and one logit a class.

    Args: name of the encoder; classes; dropout before the last layer; alpha, width of MobileNet as a share.
    Returns: model from cells (B, 80, 80, 3) in [0, 1] to logits (B, classes).
    """
    cell = keras.Input((CELL_PX, CELL_PX, 3), name="cell")
    x = encoder(name, at_strides(name, [32]), alpha=alpha)(prepared(cell, name))[0]
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(cell, layers.Dense(classes, dtype="float32", name="logits")(x), name="verifier")


@register(SPEC)
def build(
    classes: int = 2,
    proposer: str = "vgg16",
    verifier: str = "resnet101",
    depth: int = 5,
    width: int = 4096,
    dropout: float = 0.5,
    alpha: float = 1.0,
    prior: float = 0.01,
) -> keras.Model:
    """Build both networks.

    Args: classes; proposer, its encoder ("vgg16", "mobilenet"); verifier, its encoder (also "resnet50", "resnet101");
        depth, width and prior as in `build_proposer`; dropout of both; alpha, width of MobileNet as a share.
    Returns: model from windows (B, 128, 128, 3) in [0, 1] to a dict of heat logits (B, 16, 16) and of the logits
    (B, classes) of the cell in the middle. Its layers "proposer" and "verifier" serve fields and cells.
    Raises: UnknownNameError, RecipeError.
    """
    proposes = build_proposer(proposer, depth=depth, width=width, dropout=dropout, alpha=alpha, prior=prior)
    verifies = build_verifier(verifier, classes=classes, dropout=dropout, alpha=alpha)
    window = keras.Input((WINDOW_PX, WINDOW_PX, 3), name="window")
    # Not keras.layers.CenterCrop: a model with it runs in training mode unless it is told otherwise.
    cell = layers.Cropping2D((WINDOW_PX - CELL_PX) // 2, name="middle")(window)
    return keras.Model(window, {"heat": proposes(window), "logits": verifies(cell)}, name="two-stage")
