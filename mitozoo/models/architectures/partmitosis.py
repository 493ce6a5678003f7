"""PartMitosis (Sebai et al. 2020): two FCN-32s, one on centre points, one on pixel masks, tied by their last weights.

The concentric branch learns from the concentric labels of all fields, the strong branch from the masks of the few that
have them; the weights of the strong branch's last layer are computed from the concentric branch's.
"""

from __future__ import annotations

import keras

from mitozoo.base.errors import UnknownNameError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.models.layers.fcn32 import CLASSES, STRIDE_PX, build_fcn32
from mitozoo.models.layers.transfer_score import GAMMAS, TransferScore
from mitozoo.models.registry import ModelSpec, register

#: The strong branch has a last layer of its own: nothing is transferred.
NO_TRANSFER = "none"

SPEC = ModelSpec(
    name="partmitosis",
    title="PartMitosis: two FCN-32s with transferred weights",
    task="segment-fused",
    input_px=256,
    stride_px=STRIDE_PX,
    classes=(NON_MITOTIC, MITOTIC_FIGURE),
    outputs={"concentric": (256, 256, CLASSES), "strong": (256, 256, CLASSES)},
    params=270_631_299,
    source="Sebai et al. 2020, doi 10.1109/ACCESS.2020.2978754, section III, Eq. 1, Tables 1 and 2",
    settings={
        "encoder": "vgg16",
        "width": 4096,
        "gamma": "2-layer-leaky-relu",
        "hidden": 256,
        "stop_gradient": True,
        "dropout": 0.5,
        "alpha": 1.0,
        "prior": 0.01,
    },
)


@register(SPEC)
def build(
    encoder: str = "vgg16",
    width: int = 4096,
    gamma: str = "2-layer-leaky-relu",
    hidden: int = 256,
    stop_gradient: bool = True,
    dropout: float = 0.5,
    alpha: float = 1.0,
    prior: float = 0.01,
) -> keras.Model:
    """Build both branches.

    Args: encoder, width, dropout, alpha and prior as in `mitozoo.models.layers.fcn32.build_fcn32`; gamma, shape of the
        transfer function (Table 2), one of `GAMMAS`, or "none" for a strong branch with a last layer of its own;
        hidden, width of the transfer function's hidden layers, which the paper does not give; stop_gradient, whether
        the loss of the strong branch leaves the concentric branch's weights alone (Table 1).
    Returns: model from fields (B, H, W, 3) in [0, 1], sides multiples of 32, to a dict of concentric and strong logits,
    (B, H, W, 2) each. Its layers "concentric" and "strong" are models of a field, for training in stages: the transfer
    function belongs to "strong", the weights that it takes to "concentric" alone.
    Raises: UnknownNameError, RecipeError.
    """
    if gamma not in {*GAMMAS, NO_TRANSFER}:
        raise UnknownNameError("shape of the transfer function", gamma, {*GAMMAS, NO_TRANSFER})
    shape = {"width": width, "dropout": dropout, "alpha": alpha, "prior": prior}
    concentric = build_fcn32(encoder, **shape)
    score = None
    if gamma != NO_TRANSFER:
        source = concentric.get_layer("score")
        score = TransferScore(source, gamma=gamma, hidden=hidden, stop_gradient=stop_gradient, name="score")
    strong = build_fcn32(encoder, **shape, score=score, name="strong")
    field = keras.Input((None, None, 3), name="field")
    return keras.Model(field, {"concentric": concentric(field), "strong": strong(field)}, name="partmitosis")
