r"""Recipes of the U-Net of Qara, Detecting Mitosis Cells using U-Nets (Sabanci University), sections V and VI.

    mitozoo data compose --patches AMI_BR --fields ICPR12_PAINTED --fields TISSUE --out COMPOSED
    mitozoo train unet --data COMPOSED --preset quick --out runs/unet

`paper`: focal loss with alpha 0.25 and gamma 2, Adam at 1e-3, a tenth after every 50 of 200 epochs, tiles of 512 px
instead of whole images made smaller (a mitotic figure stays visible), every tile flipped, turned, moved and changed
in colour. With augmentation the paper has a mean F1 of 0.317 over 5 folds, without 0.018.
`quick`: tiles of 256 px, fewer of them, focal loss and Dice loss of the tiles that show a mitotic figure together (of
all tiles, training collapsed to finding nothing), a learning rate that falls to zero.
"""

from __future__ import annotations

from mitozoo.training.recipe import VARIED_TILES, Recipe, Stage

SOURCE = "Qara, Detecting Mitosis Cells using U-Nets, Sabanci University, sections V and VI"

_QUICK = Recipe(
    model="unet",
    preset="quick",
    source=SOURCE + "; tiles of 256 px, few epochs, Dice loss of tiles with figures too, cosine decay",
    stages=(
        Stage(name="whole", part="whole", epochs=12, lr=1e-3, decay="cosine", draws=240),
        Stage(name="refine", part="whole", epochs=0, lr=5e-4, decay="cosine", draws=240, mine="detections"),
    ),
    batch_size=4,
    loss="focal+dice-of-figures",
    tiles={"tile_px": 256, "positive_share": 0.6, **VARIED_TILES},
)

PRESETS = {
    "paper": Recipe(
        model="unet",
        preset="paper",
        source=SOURCE,
        stages=(Stage(name="whole", part="whole", epochs=200, lr=1e-3, decay="steps", step_epochs=50, draws=512),),
        batch_size=4,
        loss="focal",
        tiles={
            "tile_px": 512,
            "positive_share": 0.5,
            "rotate": "any",
            "mirror": True,
            "zoom": 0.1,
            "stain": 0.0,
            "hue": 0.1,
            "brightness": 0.1,
        },
        expected="paper: mean F1 0.317 of 5 folds with augmentation, 0.018 without",
    ),
    "quick": _QUICK,
}
