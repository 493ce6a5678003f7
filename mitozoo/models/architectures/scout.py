"""Scout: our own detector, coarse to fine, for a laptop.

A small fully convolutional network looks at the whole field at half the resolution and proposes the places that could
be mitotic figures; MobileNet (Howard et al. 2017, arXiv:1704.04861), which may start from ImageNet, looks at each of
those few at full resolution and says which they are. Almost all of a field is never looked at twice. Of several such
verifiers, each of which learnt alone, the mean probability counts (an ensemble: Lakshminarayanan et al. 2017,
arXiv:1612.01474).
"""

from __future__ import annotations

import keras
from keras import layers

from mitozoo.base.errors import RecipeError
from mitozoo.models.registry import ModelSpec, register
from mitozoo.models.verifiers import verifier_names

#: Side of the windows that the proposer is trained on, and of what the verifier sees, in pixels at 0.25 µm.
WINDOW_PX, CELL_PX = 128, 80
#: Pixels from one position of the heat map to the next; the first lies at (STRIDE_PX - 1) / 2.
STRIDE_PX = 8

SPEC = ModelSpec(
    name="scout",
    title="Scout: proposals on half resolution, verified by MobileNet",
    task="propose-verify",
    input_px=WINDOW_PX,
    outputs={"heat": (WINDOW_PX // STRIDE_PX, WINDOW_PX // STRIDE_PX), "logits": (3,)},
    params=3_328_156,
    source="mitozoo; verifier: Howard et al. 2017, arXiv:1704.04861",
    settings={"classes": 3, "width": 48, "alpha": 1.0, "dropout": 0.2, "verifiers": 1},
)


def _convolution(x, filters: int, size: int, strides: int, name: str):
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(name=f"{name}_bn")(x)


def build_proposer(width: int = 48) -> keras.Model:
    """Half resolution, two strided convolutions, two residual blocks, one logit a place.

    Returns: model from fields (B, H, W, 3) in [0, 1], sides multiples of 8, to heat logits (B, H/8, W/8).
    """
    field = keras.Input((None, None, 3), name="field")
    x = layers.AveragePooling2D(2, name="half")(field)
    x = layers.ReLU(name="stem1_relu")(_convolution(x, width // 2, 5, 2, "stem1"))
    x = layers.ReLU(name="stem2_relu")(_convolution(x, width, 3, 2, "stem2"))
    for block in ("block1", "block2"):
        y = layers.ReLU(name=f"{block}a_relu")(_convolution(x, width, 3, 1, f"{block}a"))
        y = _convolution(y, width, 3, 1, f"{block}b")
        x = layers.ReLU(name=f"{block}_relu")(layers.Add(name=f"{block}_add")([x, y]))
    # The prior of one place in a hundred keeps the first steps from drowning in background (Lin et al. 2017).
    prior = keras.initializers.Constant(-4.6)
    x = layers.Conv2D(1, 1, bias_initializer=prior, dtype="float32", name="place")(x)
    return keras.Model(field, keras.ops.squeeze(x, -1), name="proposer")


def build_verifier(classes: int = 3, alpha: float = 1.0, dropout: float = 0.2, name: str = "verifier") -> keras.Model:
    """MobileNet without its top, mean over places, dropout and one logit a class; name, of the model.

    Returns: model from cells (B, 80, 80, 3) in [0, 1] to logits (B, classes). Its layer "mobilenet" is the encoder.
    """
    cell = keras.Input((CELL_PX, CELL_PX, 3), name="cell")
    x = layers.Rescaling(2.0, offset=-1.0, name="scale")(cell)
    shape = (CELL_PX, CELL_PX, 3)
    encoder = keras.applications.MobileNet(
        input_shape=shape, alpha=alpha, include_top=False, weights=None, name="mobilenet"
    )
    x = layers.GlobalAveragePooling2D(name="mean")(encoder(x))
    x = layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(cell, layers.Dense(classes, dtype="float32", name="logits")(x), name=name)


def _together(logits: list):
    """Logits of the mean probabilities of several verifiers, with a mean of 0; of one, its own."""
    if len(logits) == 1:
        return logits[0]
    chances = [layers.Softmax(dtype="float32", name=f"chance{i}")(x) for i, x in enumerate(logits, start=1)]
    found = keras.ops.log(layers.Average(dtype="float32", name="together")(chances) + keras.config.epsilon())
    return found - keras.ops.mean(found, axis=-1, keepdims=True)


@register(SPEC)
def build(
    classes: int = 3, width: int = 48, alpha: float = 1.0, dropout: float = 0.2, verifiers: int = 1
) -> keras.Model:
    """Build both networks.

    Args: classes; width of the proposer; alpha, width of MobileNet as a share; dropout before the last layer;
    verifiers, how many.
    Returns: model from windows (B, 128, 128, 3) in [0, 1] to a dict of heat logits (B, 16, 16) and of the logits
    (B, classes) of the cell in the middle, of several verifiers those of their mean probabilities. Its layers
    "proposer" and "verifier" (then "verifier2", …) serve fields and cells.
    Raises: RecipeError.
    """
    if verifiers < 1:
        raise RecipeError(f"verifiers of scout must be 1 or more, got {verifiers}.")
    proposer = build_proposer(width)
    verify = [build_verifier(classes, alpha, dropout, name) for name in verifier_names(verifiers)]
    window = keras.Input((WINDOW_PX, WINDOW_PX, 3), name="window")
    # Not keras.layers.CenterCrop: a model with it runs in training mode unless it is told otherwise.
    cell = layers.Cropping2D((WINDOW_PX - CELL_PX) // 2, name="middle")(window)
    return keras.Model(window, {"heat": proposer(window), "logits": _together([v(cell) for v in verify])}, name="scout")
