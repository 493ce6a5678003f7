"""Mask R-CNN (He et al. 2017, arXiv:1703.06870) as Sohail et al. 2020 use it for mitotic figures.

A feature pyramid on ResNet101 (or a smaller encoder), region proposals from anchors of 32 to 256 px, RoIAlign, class
and box of each region, and a mask of each detection. `mitozoo.training.rcnn_trainer` builds the model that learns.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.models.layers.rcnn.anchors import LEVELS, STRIDES_PX
from mitozoo.models.layers.rcnn.heads import (
    BOX_PX,
    MASK_FEATURES_PX,
    MASK_PX,
    build_box_head,
    build_mask_head,
    build_rpn,
)
from mitozoo.models.layers.rcnn.nms import Detections, Proposals
from mitozoo.models.layers.rcnn.pyramid import build_features
from mitozoo.models.layers.rcnn.roi_align import RoiAlign
from mitozoo.models.registry import ModelSpec, register

TILE_PX, DETECTIONS = 512, 32

SPEC = ModelSpec(
    name="maskrcnn",
    title="Mask R-CNN with a feature pyramid on ResNet101",
    task="detect",
    input_px=TILE_PX,
    stride_px=STRIDES_PX[-1],
    outputs={
        "boxes": (DETECTIONS, 4),
        "scores": (DETECTIONS,),
        "masks": (DETECTIONS, MASK_PX, MASK_PX),
    },
    params=63_121_302,
    source="Sohail et al. 2020, arXiv:2003.08803, section 3.5; He et al. 2017, arXiv:1703.06870",
    classes=(NON_MITOTIC, MITOTIC_FIGURE),
    settings={
        "backbone": "resnet101",
        "pyramid": 256,
        "head": 1024,
        "anchors": (32, 64, 128, 256),
        "ratios": (0.5, 1.0, 2.0),
        "proposals": 300,
        "rois": 78,
        "detections": DETECTIONS,
        "frozen_statistics": False,
        "tile_px": TILE_PX,
    },
)


@register(SPEC)
def build(
    backbone: str = "resnet101",
    pyramid: int = 256,
    head: int = 1024,
    anchors: Sequence[float] = (32, 64, 128, 256),
    ratios: Sequence[float] = (0.5, 1.0, 2.0),
    proposals: int = 300,
    rois: int = 78,
    detections: int = DETECTIONS,
    frozen_statistics: bool = False,
    tile_px: int = TILE_PX,
) -> keras.Model:
    """Build the network.

    Args:
        backbone: "resnet101", "resnet50" or "mobilenet"; its layer, at "features", may start from ImageNet.
        pyramid: channels of every level.  head: units of the box head's dense layers.
        anchors: square root of the anchors' area at P2, P3, P4 and P5 in pixels.  ratios: width to height of anchors.
        proposals: regions of a tile that the box head sees.  rois: of these, so many are drawn in training.
        detections: most of a tile.
        frozen_statistics: batch normalisation of the encoder stays as it is, for training from ImageNet's weights.
        tile_px: side of the input, a multiple of 32; the weights do not depend on it.
    Returns: model from tiles (B, tile_px, tile_px, 3) in [0, 1] to a dict of boxes (B, detections, 4) as x1, y1, x2, y2
        in pixels, edges at integers; scores (B, detections), probabilities, highest first; masks (B, detections, 28,
        28), probabilities over the box. Where there are fewer detections, boxes and scores are -1.
    Raises: ValueError for another number of anchors than of levels, or a side that is no multiple of 32;
        UnknownNameError for another backbone.
    """
    if len(anchors) != len(LEVELS):
        raise ValueError(f"anchors must be {len(LEVELS)} sizes, one for each of P2 to P5, got {len(anchors)}.")
    if tile_px < STRIDES_PX[-1] or tile_px % STRIDES_PX[-1]:
        raise ValueError(f"tile_px must be a multiple of {STRIDES_PX[-1]}, got {tile_px}.")
    image = keras.Input((tile_px, tile_px, 3), name="image")
    features = build_features(tile_px, backbone, pyramid, frozen_statistics)(image)
    rpn = build_rpn(pyramid, len(ratios))
    logits, steps = zip(*(rpn(level) for level in features), strict=True)
    propose = Proposals(tile_px, anchors, ratios, most=proposals, sampled=rois, name="proposals")
    regions, region_scores = propose(list(logits), list(steps))
    logits, steps = on_regions(
        build_box_head(pyramid, head), RoiAlign(BOX_PX, STRIDES_PX, name="align_boxes")(features, regions)
    )
    boxes, scores = Detections(tile_px, most=detections, name="detections")(regions, region_scores, logits, steps)
    align = RoiAlign(MASK_FEATURES_PX, STRIDES_PX, name="align_masks")
    (masks,) = on_regions(build_mask_head(pyramid), align(features, boxes))
    return keras.Model(image, {"boxes": boxes, "scores": scores, "masks": ops.sigmoid(masks)}, name="maskrcnn")


def on_regions(head: keras.Model, features) -> list:
    """Outputs (B, R, …) of a head, as a list, on the features (B, R, h, w, C) of every region."""
    count = features.shape[1]
    found = head(ops.reshape(features, (-1, *features.shape[2:])))
    return [ops.reshape(x, (-1, count, *x.shape[1:])) for x in (found if isinstance(found, list) else [found])]
