r"""Recipes of PartMitosis (Sebai et al. 2020), section III.

    mitozoo data compose --patches AMI_BR --fields ICPR12_PAINTED --strong 0.5 --out COMPOSED
    mitozoo train partmitosis --data COMPOSED --preset quick --imagenet MOBILENET --out runs/partmitosis

`paper`: both branches from end to end, the strong branch's gradient stopped at the weights that are transferred;
SGD with momentum 0.99 and weight decay 5e-4 at 1e-10 on the summed loss, one tile at a time, 200,000 steps.
`quick`: MobileNet and narrow dense layers, Adam on the mean loss with Dice, tiles of 256 px. Stage-wise training,
the other row of the paper's Table 1: `--set whole.epochs=0 --set concentric.epochs=6 --set strong.epochs=6`.
"""

from __future__ import annotations

import dataclasses

from mitozoo.training.recipe import VARIED_TILES, Recipe, Stage
from mitozoo.training.recipes import segmitos

SOURCE = "Sebai et al. 2020, doi 10.1109/ACCESS.2020.2978754, section III, Eq. 1"

PRESETS = {
    "paper": dataclasses.replace(segmitos.PRESETS["paper"], model="partmitosis", source=SOURCE),
    "quick": Recipe(
        model="partmitosis",
        preset="quick",
        source=SOURCE + "; MobileNet, narrow dense layers, Adam, Dice loss too, stain and scanner augmentation",
        stages=(
            Stage(name="concentric", part="concentric", epochs=0, lr=5e-4, decay="cosine", draws=640),
            Stage(name="strong", part="strong", epochs=0, lr=5e-4, decay="cosine", draws=640, frozen=("concentric",)),
            Stage(name="whole", part="whole", epochs=12, lr=5e-4, decay="cosine", draws=640),
            Stage(name="refine", part="whole", epochs=0, lr=2e-4, decay="cosine", draws=640, mine="detections"),
        ),
        batch_size=8,
        loss="cross-entropy+dice",
        settings={"encoder": "mobilenet", "width": 128, "dropout": 0.3},
        tiles={"tile_px": 256, "positive_share": 0.7, **VARIED_TILES},
    ),
}
