"""VGG16 as the encoder of a U-Net: Kamil, "Implementing Transfer Learning for Mitotic Cell Detection", Texas A&M.

The thesis gives encoder, transposed convolutions and skip connections; the decoder's widths, which it does not give,
mirror the encoder's, and its batch normalisation is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.models.layers.double_conv import mask_logits, up_conv
from mitozoo.models.layers.encoder import encoder, prepared
from mitozoo.models.registry import ModelSpec, register

#: The last convolution of each block, whose features go to the decoder beside what comes from below.
SKIPS = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3")

SPEC = ModelSpec(
    name="vgg16-unet",
    title="U-Net on VGG16",
    task="segment",
    input_px=256,
    stride_px=32,
    classes=(NON_MITOTIC, MITOTIC_FIGURE),
    outputs={"mask": (256, 256)},
    params=33_991_489,
    source="Kamil, Implementing Transfer Learning for Mitotic Cell Detection, Texas A&M, chapter II",
    settings={"depth": 5, "widths": (512, 512, 256, 128, 64), "dropout": 0.0, "prior": 0.01},
)


@register(SPEC)
def build(
    depth: int = 5,
    widths: Sequence[int] = (512, 512, 256, 128, 64),
    dropout: float = 0.0,
    prior: float = 0.01,
) -> keras.Model:
    """Build the network.

    Args: depth, blocks of VGG16 that are used, 1 to 5; widths, channels of the decoder's stages, the deepest first, one
        a block; dropout after every block of the decoder; prior, see `mask_logits`.
    Returns: model from fields (B, H, W, 3) in [0, 1], sides multiples of 2 ** depth, to a dict of mask logits
    (B, H, W). Its layer "vgg16" is the encoder, which may start from ImageNet.   Raises: RecipeError.
    """
    if not 1 <= depth <= len(SKIPS):
        raise RecipeError(f"depth counts blocks of VGG16: 1 to {len(SKIPS)}, not {depth}.")
    if len(widths) != depth:
        raise RecipeError(f"widths of a decoder on {depth} blocks must be {depth} numbers, got {len(widths)}.")
    field = keras.Input((None, None, 3), name="field")
    *skips, x = encoder("vgg16", [*SKIPS[:depth], f"block{depth}_pool"])(prepared(field, "vgg16"))
    for stage, width in zip(range(depth, 0, -1), widths, strict=True):
        x = up_conv(x, skips[stage - 1], int(width), f"up{stage}", dropout=dropout)
    return keras.Model(field, {"mask": mask_logits(x, prior)}, name="vgg16-unet")
