r"""Recipes of SegMitos: the concentric branch of PartMitosis (Sebai et al. 2020) alone, after Li et al. 2019.

    mitozoo train segmitos --data COMPOSED --preset quick --imagenet MOBILENET --out runs/segmitos

`paper`: SGD with momentum 0.99 and weight decay 5e-4 at 1e-10 on the summed loss, one tile at a time, 200,000
steps; more tiles with a mitotic figure than without, which lies in one of nine places, in 16 angles (the paper: 45
degrees for AMIDA13, `--set tiles.rotate=45-degrees`), mirrored. F1 0.788 (ICPR 2012), 0.575 (2014),
0.698 (AMIDA13).
`quick`: MobileNet and narrow dense layers, Adam on the mean loss with Dice, tiles of 256 px. `--set refine.epochs=4`
adds a round on what it finds by then that is no mitotic figure.
"""

from __future__ import annotations

from mitozoo.training.recipe import VARIED_TILES, Recipe, Stage

SOURCE = (
    "Sebai et al. 2020, doi 10.1109/ACCESS.2020.2978754, section III.B; Li et al. 2019, doi 10.1016/j.media.2019.01.013"
)

PRESETS = {
    "paper": Recipe(
        model="segmitos",
        preset="paper",
        source=SOURCE,
        stages=(Stage(name="whole", part="whole", epochs=200, lr=1e-10, draws=1_000),),
        batch_size=1,
        optimizer="sgd",
        momentum=0.99,
        weight_decay=5e-4,
        loss="summed",
        tiles={"tile_px": 512, "positive_share": 0.6, "shift": "nine", "rotate": "16-angles", "mirror": True},
        expected="paper: F1 0.788 on ICPR 2012, 0.575 on ICPR 2014, 0.698 on AMIDA13",
    ),
    "quick": Recipe(
        model="segmitos",
        preset="quick",
        source=SOURCE + "; MobileNet, narrow dense layers, Adam, Dice loss too, stain and scanner augmentation",
        stages=(
            Stage(name="whole", part="whole", epochs=12, lr=5e-4, decay="cosine", draws=640),
            Stage(name="refine", part="whole", epochs=0, lr=2e-4, decay="cosine", draws=640, mine="detections"),
        ),
        batch_size=8,
        loss="cross-entropy+dice",
        settings={"encoder": "mobilenet", "width": 128, "dropout": 0.3},
        tiles={"tile_px": 256, "positive_share": 0.7, **VARIED_TILES},
    ),
}
