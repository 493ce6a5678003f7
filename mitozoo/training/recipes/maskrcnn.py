r"""Recipes of Mask R-CNN for mitotic figures (Sohail et al. 2020, arXiv:2003.08803), section 3.5.

    mitozoo train maskrcnn --data COMPOSED --preset quick --imagenet MOBILENET --out runs/maskrcnn

`paper`: ResNet101 from ImageNet (the heads of COCO are not to be had in Keras' format), tiles of 512 px, horizontal
flips, masks from centres, SGD at 2.5e-3, two tiles at a time, 30,000 steps. F1 0.86 on TUPAC16.
`quick`: MobileNet, a narrow pyramid and head, tiles of 256 px, Adam, stain and scanner augmentation.
"""

from __future__ import annotations

from mitozoo.training.recipe import VARIED_TILES, Recipe, Stage

SOURCE = "Sohail et al. 2020, arXiv:2003.08803, section 3.5"

PRESETS = {
    "paper": Recipe(
        model="maskrcnn",
        preset="paper",
        source=SOURCE,
        stages=(Stage(name="whole", part="whole", epochs=30, lr=2.5e-3, draws=2_000),),
        batch_size=2,
        optimizer="sgd",
        momentum=0.9,
        weight_decay=1e-4,
        clip_norm=5.0,
        tiles={"tile_px": 512, "positive_share": 0.9, "rotate": "none", "mirror": True},
        expected="paper: F1 0.86 on TUPAC16",
    ),
    "quick": Recipe(
        model="maskrcnn",
        preset="quick",
        source=SOURCE + "; MobileNet, narrow pyramid, tiles of 256 px, Adam, stain and scanner augmentation",
        stages=(Stage(name="whole", part="whole", epochs=12, lr=4e-4, decay="cosine", draws=640),),
        batch_size=4,
        clip_norm=5.0,
        settings={"backbone": "mobilenet", "pyramid": 128, "head": 256, "tile_px": 256},
        tiles={"tile_px": 256, "positive_share": 0.7, **VARIED_TILES},
    ),
}
