"""What Mask R-CNN trains: all of its losses at once."""

from __future__ import annotations

import keras
import tensorflow as tf

from mitozoo.training.programs import FunctionLoss
from mitozoo.training.rcnn_trainer import LOSSES, loss_of_output, targets_for_rcnn, trainer
from mitozoo.training.tile_programs import TileProgram


def detect_program(model: keras.Model, *, truths: int, seed: int) -> TileProgram:
    """Return what is trained: E = E_cls + E_reg + E_mask (Sohail et al. 2020, Eq. 1), those of the proposals too.

    Args: model; truths, most mitotic figures of a tile; seed of the regions that are drawn.
    """
    learner = trainer(model, truths=truths, seed=seed)

    def pick(images: tf.Tensor, targets: dict[str, tf.Tensor]) -> tuple:
        nothing = tf.zeros_like(images[:, 0, 0, 0])
        return {"image": images, **targets_for_rcnn(targets)}, dict.fromkeys(LOSSES, nothing)

    losses = {name: FunctionLoss(loss_of_output, name) for name in LOSSES}
    return TileProgram(learner, losses, None, pick)
