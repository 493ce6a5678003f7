"""How Mask R-CNN learns: a model of its layers that ends in losses, and the targets that it is given."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from mitozoo.models.architectures.maskrcnn import on_regions
from mitozoo.models.layers.rcnn.boxes import clipped
from mitozoo.models.layers.rcnn.heads import MASK_PX
from mitozoo.models.layers.rcnn.sampling import RoiTargets, RpnTargets
from mitozoo.training.rcnn_losses import box_loss, mask_loss, roi_class_loss, rpn_class_loss

LOSSES = ("rpn_class", "rpn_box", "class", "box", "mask")
#: Label of pixels that nobody knows about.
_IGNORED = 255


def trainer(model: keras.Model, *, truths: int = 16, seed: int = 0) -> keras.Model:
    """Build the model that trains a Mask R-CNN; it has the same layers, and so the same weights.

    Args: model, as `mitozoo.models.architectures.maskrcnn` builds it; truths, most mitotic figures of a tile; seed of
    what is drawn: the layers "rpn_targets" and "roi_targets" have a `seed_generator`.
    Returns: model from a dict of "image" (B, T, T, 3) in [0, 1], "boxes" (B, truths, 4), rows of -1 where there is
    none, and "masks" (B, truths, 28, 28) to a dict of losses (B,), see `LOSSES`; compile it with `loss_of_output`.
    Source: He et al. 2017, arXiv:1703.06870, section 3; positives and their share: section 3.1.
    """
    propose = model.get_layer("proposals")
    tile_px = model.input_shape[1]
    image = keras.Input((tile_px, tile_px, 3), name="image")
    boxes = keras.Input((truths, 4), name="boxes")
    masks = keras.Input((truths, MASK_PX, MASK_PX), name="masks")
    features = model.get_layer("features")(image)
    rpn = model.get_layer("rpn")
    logits, steps = (list(parts) for parts in zip(*(rpn(level) for level in features), strict=True))
    targets = RpnTargets(np.concatenate(propose.anchors), seed=seed, name="rpn_targets")
    index, positive, drawn, true_steps = targets(boxes)
    picked = ops.take_along_axis(ops.concatenate(logits, axis=1), index, axis=1)
    picked_steps = ops.take_along_axis(ops.concatenate(steps, axis=1), index[..., None], axis=1)
    losses = {
        "rpn_class": rpn_class_loss(positive, drawn, picked),
        "rpn_box": box_loss(positive, true_steps, picked_steps),
    }
    sample = RoiTargets(total=propose.sampled, seed=seed + 1, name="roi_targets")
    regions, positive, drawn, true_steps, true_masks = sample(*propose(logits, steps), boxes, masks)
    aligned = model.get_layer("align_boxes")(features, regions)
    class_logits, found_steps = on_regions(model.get_layer("box_head"), aligned)
    losses["class"] = roi_class_loss(positive, drawn, class_logits)
    losses["box"] = box_loss(positive, true_steps, found_steps)
    # Positives come first; only they have a mask.
    aligned = model.get_layer("align_masks")(features, regions[:, : true_masks.shape[1]])
    (mask_logits,) = on_regions(model.get_layer("mask_head"), aligned)
    losses["mask"] = mask_loss(true_masks, mask_logits)
    return keras.Model({"image": image, "boxes": boxes, "masks": masks}, losses, name="maskrcnn_trainer")


def loss_of_output(nothing: Any, loss: Any) -> Any:
    """A loss that is an output already, as Keras calls it: the first argument is not looked at."""
    del nothing
    return loss


def targets_for_rcnn(targets: dict[str, Any]) -> dict[str, Any]:
    """Boxes and masks from the targets of a batch of tiles.

    A box is the square around the circle of a mitotic figure, cut at the tile's edge. Its mask is the chromatin where
    the tile has pixel masks, else the disc or ellipse of the weak label.

    Args: targets with "points" (B, M, 3), x, y and radius in pixels, pixel centres at integers, rows of -1 where there
    is none; "mask" and "weak" (B, T, T), 1, 0, or 255 where it is not known; "strong" (B,), 1 where "mask" is true.
    Returns: "boxes" float32 (B, M, 4), rows of -1 where there is none; "masks" float32 (B, M, 28, 28), 1, 0, or -1
    where it is not known.
    """
    points = ops.cast(targets["points"], "float32")
    side = targets["weak"].shape[1]
    # Edges lie half a pixel from centres.
    centre, radius = points[..., :2] + 0.5, points[..., 2:]
    boxes = clipped(ops.concatenate([centre - radius, centre + radius], axis=-1), side, side)
    strong = ops.cast(targets["strong"], "bool")[:, None, None]
    labels = ops.where(strong, ops.cast(targets["mask"], "int32"), ops.cast(targets["weak"], "int32"))
    exists = radius > 0.0
    masks = ops.where(exists[..., None], _cut(labels, boxes), -1.0)
    return {"boxes": ops.where(exists, boxes, -1.0), "masks": masks}


def _cut(labels, boxes):
    """Nearest labels (B, M, 28, 28) of boxes (B, M, 4) in label images (B, T, T), -1 for 255."""
    side = labels.shape[1]
    line = (ops.arange(MASK_PX, dtype="float32") + 0.5) / MASK_PX

    def pixels(low: int):
        start, stop = boxes[..., low, None], boxes[..., low + 2, None]
        return ops.cast(ops.floor(ops.clip(start + line * (stop - start), 0.0, side - 1.0)), "int32")

    tile = ops.arange(ops.shape(labels)[0], dtype="int32")[:, None, None] * side
    index = (tile + pixels(1))[..., None] * side + pixels(0)[:, :, None, :]
    found = ops.take(ops.reshape(labels, (-1,)), index, axis=0)
    return ops.where(found == _IGNORED, -1.0, ops.cast(found, "float32"))
