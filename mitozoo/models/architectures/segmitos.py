"""SegMitos: an FCN-32s that learns from centre points by concentric labels.

Li et al. 2019, Weakly supervised mitosis detection in breast histopathology images using concentric loss; it is the
concentric branch of PartMitosis (Sebai et al. 2020), which describes it.
"""

from __future__ import annotations

import keras

from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.models.layers.fcn32 import CLASSES, STRIDE_PX, build_fcn32
from mitozoo.models.registry import ModelSpec, register

SPEC = ModelSpec(
    name="segmitos",
    title="SegMitos: FCN-32s on concentric labels",
    task="segment-concentric",
    input_px=256,
    stride_px=STRIDE_PX,
    classes=(NON_MITOTIC, MITOTIC_FIGURE),
    outputs={"concentric": (256, 256, CLASSES)},
    params=134_268_738,
    source="Sebai et al. 2020, doi 10.1109/ACCESS.2020.2978754, section III and Table 3 (there [22])",
    settings={"encoder": "vgg16", "width": 4096, "dropout": 0.5, "alpha": 1.0, "prior": 0.01},
)


@register(SPEC)
def build(
    encoder: str = "vgg16", width: int = 4096, dropout: float = 0.5, alpha: float = 1.0, prior: float = 0.01
) -> keras.Model:
    """Build the network.

    Args: as in `mitozoo.models.layers.fcn32.build_fcn32`.
    Returns: model from fields (B, H, W, 3) in [0, 1], sides multiples of 32, to a dict of concentric logits
    (B, H, W, 2). Its layer "concentric" is the whole network, as in partmitosis.
    """
    field = keras.Input((None, None, 3), name="field")
    branch = build_fcn32(encoder, width=width, dropout=dropout, alpha=alpha, prior=prior)
    return keras.Model(field, {"concentric": branch(field)}, name="segmitos")
