r"""Recipes of the VGG16 U-Net of Kamil, Implementing Transfer Learning for Mitotic Cell Detection (Texas A&M).

    mitozoo train vgg16-unet --data COMPOSED --preset quick --imagenet VGG16 --out runs/vgg16-unet

`paper`: an encoder from ImageNet, patches of 96 px, Adam, 20 epochs. The thesis ends with 96 % of the pixels right
while every pixel is called background: so here half of the patches have a mitotic figure, and the Dice loss looks
at them.
`quick`: four blocks of VGG16, a narrow decoder, tiles of 192 px, stain and scanner augmentation, Dice loss of the tiles
that show a mitotic figure.
"""

from __future__ import annotations

from mitozoo.training.recipe import VARIED_TILES, Recipe, Stage

SOURCE = "Kamil, Implementing Transfer Learning for Mitotic Cell Detection, Texas A&M University, chapter 3"

PRESETS = {
    "paper": Recipe(
        model="vgg16-unet",
        preset="paper",
        source=SOURCE,
        stages=(Stage(name="whole", part="whole", epochs=20, lr=1e-4, draws=20_000),),
        batch_size=32,
        loss="cross-entropy+dice",
        tiles={"tile_px": 96, "positive_share": 0.5, "rotate": "right-angles", "mirror": True},
        expected="paper: pixel accuracy 0.96 with every pixel called background",
    ),
    "quick": Recipe(
        model="vgg16-unet",
        preset="quick",
        source=SOURCE + "; four blocks, a narrow decoder, tiles of 192 px, few epochs, stain and scanner augmentation",
        stages=(
            Stage(name="decoder", part="whole", epochs=2, lr=1e-3, draws=320, frozen=("vgg16",)),
            Stage(name="whole", part="whole", epochs=10, lr=2e-4, decay="cosine", draws=320),
            Stage(name="refine", part="whole", epochs=0, lr=1e-4, decay="cosine", draws=320, mine="detections"),
        ),
        batch_size=4,
        loss="focal+dice-of-figures",
        settings={"depth": 4, "widths": (128, 96, 64, 32)},
        tiles={"tile_px": 192, "positive_share": 0.6, **VARIED_TILES},
    ),
}
