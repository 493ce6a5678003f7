"""What a stage trains on tiles of fields: model, losses, and which of the tiles' labels they are for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.data.field_tiles import TileSettings
from mitozoo.models.registry import ModelSpec
from mitozoo.training.pixel_losses import dice_loss, focal_loss, masked_mean, pixel_cross_entropy, softmax_loss, valid
from mitozoo.training.programs import FunctionLoss
from mitozoo.training.recipe import Recipe, Stage

#: Tasks of models that learn from tiles of fields; all others learn from windows of cells.
TILE_TASKS = ("segment", "segment-concentric", "segment-fused", "detect")
#: Which labels a model with one map of two kinds of labels learns: "best" is the mask where the field has one.
LABELS = ("best", "mask", "weak", "concentric")


@dataclass(frozen=True)
class TileProgram:
    """What a stage fits. Attributes: model; losses, loss_weights by output; pick, from a batch to what `fit` takes."""

    model: keras.Model
    losses: Any
    loss_weights: Any
    pick: Callable[[tf.Tensor, dict[str, tf.Tensor]], tuple]


def focal(labels, logits):
    """Mean focal loss of the pixels of each sample, (B,); two classes as one logit."""
    return masked_mean(focal_loss(labels, one_logit(logits)), valid(labels))


def cross_entropy(labels, logits):
    """Mean cross-entropy of the pixels of each sample, (B,)."""
    return masked_mean(pixel_cross_entropy(labels, two_logits(logits)), valid(labels))


def summed(labels, logits):
    """Cross-entropy summed over the pixels of each sample, (B,), as Sebai et al. 2020 have it."""
    return softmax_loss(labels, two_logits(logits))


def dice(labels, logits):
    """Soft Dice loss of each sample, (B,)."""
    return dice_loss(labels, one_logit(logits))


def dice_of_figures(labels, logits):
    """Soft Dice loss of the samples that show a mitotic figure, 0 of the others, (B,).

    Where nothing is labelled, Dice is near 1 until the chances of a whole tile add up to less than a pixel, which
    drives a network that begins from chance weights to find nothing anywhere.
    """
    shown = ops.any(ops.equal(ops.cast(labels, "int32"), 1), axis=(1, 2))
    return ops.where(shown, dice(labels, logits), 0.0)


def one_logit(logits):
    """Logits (B, H, W) of maps (B, H, W) or of two classes (B, H, W, 2): softmax is the sigmoid of the difference."""
    return logits if len(logits.shape) == 3 else logits[..., 1] - logits[..., 0]


def two_logits(logits):
    """Logits (B, H, W, 2) of maps (B, H, W) or of two classes."""
    return logits if len(logits.shape) == 4 else ops.stack([ops.zeros_like(logits), logits], axis=-1)


PARTS = {
    "focal": focal,
    "cross-entropy": cross_entropy,
    "summed": summed,
    "dice": dice,
    "dice-of-figures": dice_of_figures,
}


def pixel_loss(kind: str) -> Callable[[Any, Any], Any]:
    """The loss of a name, or of several joined by "+", which are added. Raises: UnknownNameError."""
    names = kind.split("+")
    for name in names:
        if name not in PARTS:
            raise UnknownNameError("loss of pixels", name, PARTS)

    def added(labels, logits):
        return sum(PARTS[name](labels, logits) for name in names)

    return added


def tile_program(model: keras.Model, spec: ModelSpec, recipe: Recipe, stage: Stage) -> TileProgram:
    """Return what `stage` trains. Raises: RecipeError for a part that the model does not have."""
    if spec.task == "detect":
        from mitozoo.training.detect_program import detect_program

        return detect_program(model, truths=TileSettings(**recipe.tiles).points, seed=recipe.seed)
    loss = FunctionLoss(pixel_loss(recipe.loss or "cross-entropy"), "pixels")
    if spec.task == "segment-fused":
        return _fused(model, stage, loss)
    name = next(iter(spec.outputs))
    labels = recipe.labels or ("concentric" if spec.task == "segment-concentric" else "best")
    if labels not in LABELS:
        raise UnknownNameError("kind of labels", labels, LABELS)

    def pick(images: tf.Tensor, targets: dict[str, tf.Tensor]) -> tuple:
        return images, {name: _labels(targets, labels)}

    return TileProgram(model, {name: loss}, None, pick)


def _labels(targets: dict[str, tf.Tensor], kind: str) -> tf.Tensor:
    if kind != "best":
        return targets[kind]
    return tf.where(targets["strong"][:, None, None] > 0, targets["mask"], targets["weak"])


def _fused(model: keras.Model, stage: Stage, loss: keras.losses.Loss) -> TileProgram:
    """Both branches, or one of them: the concentric one from rings, the strong one from masks.

    The strong branch is trained in the whole model, since its last weights follow from the concentric branch's.
    """
    if stage.part == "concentric":
        part = model.get_layer("concentric")
        return TileProgram(part, loss, None, lambda images, targets: (images, targets["concentric"]))
    if stage.part not in ("whole", "strong"):
        raise RecipeError(f"{model.name} has no part {stage.part!r}: choose whole, concentric or strong.")

    def pick(images: tf.Tensor, targets: dict[str, tf.Tensor]) -> tuple:
        return images, {"concentric": targets["concentric"], "strong": targets["mask"]}

    shares = {"concentric": 1.0 if stage.part == "whole" else 0.0, "strong": 1.0}
    return TileProgram(model, {"concentric": loss, "strong": loss}, shares, pick)
