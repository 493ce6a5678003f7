"""U-Net of Qara, "Detecting Mitosis Cells using U-Nets", Sabanci University.

The paper gives depth, widths and kinds of layers. Its share of dropout, which it does not give, is ours, and so are
convolutions without bias (each is followed by a batch normalisation, which has one).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.models.layers.double_conv import double_conv, mask_logits, up_conv
from mitozoo.models.registry import ModelSpec, register

SPEC = ModelSpec(
    name="unet",
    title="U-Net",
    task="segment",
    input_px=256,
    stride_px=8,
    classes=(NON_MITOTIC, MITOTIC_FIGURE),
    outputs={"mask": (256, 256)},
    params=1_929_825,
    source="Qara, Detecting Mitosis Cells using U-Nets, Sabanci University, section III",
    settings={"widths": (32, 64, 128), "dropout": 0.2, "prior": 0.01},
)


@register(SPEC)
def build(widths: Sequence[int] = (32, 64, 128), dropout: float = 0.2, prior: float = 0.01) -> keras.Model:
    """Build the network.

    Args: widths, channels of the encoder's stages, mirrored in the decoder, the bottleneck having twice the last;
        dropout after every block; prior, see `mask_logits`.
    Returns: model from fields (B, H, W, 3) in [0, 1], sides multiples of 2 ** len(widths), to a dict of mask logits
    (B, H, W).   Raises: RecipeError.
    """
    sizes = [int(width) for width in widths]
    if not sizes:
        raise RecipeError("widths of a U-Net are empty: give one number a stage, such as 32,64,128.")
    field = keras.Input((None, None, 3), name="field")
    x, skips = field, []
    for i, width in enumerate(sizes, start=1):
        skips.append(double_conv(x, width, f"down{i}", dropout=dropout))
        x = layers.MaxPooling2D(2, name=f"pool{i}")(skips[-1])
    x = double_conv(x, 2 * sizes[-1], "bottleneck", dropout=dropout)
    for i in range(len(sizes), 0, -1):
        x = up_conv(x, skips[i - 1], sizes[i - 1], f"up{i}", dropout=dropout)
    return keras.Model(field, {"mask": mask_logits(x, prior)}, name="unet")
