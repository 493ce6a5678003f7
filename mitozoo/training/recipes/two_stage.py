r"""Recipes of the two-stage detector of Sohail et al. 2020, arXiv:2003.08803, section 3.4.

    mitozoo train two-stage --data AMI_BR --negatives ICPR12_PAINTED --preset quick --imagenet MOBILENET \
        --set model.proposer=mobilenet --set model.verifier=mobilenet --set model.depth=4 --set model.width=0 --out RUN

`paper`: VGG16 and ResNet101; ResNet101 with Adam at 1e-4, a weight decay of 1e-2, batches of 12, at most 100
epochs. The paper does not say how long its proposer learnt, nor from how many tiles. Mitotic figures against hard
negatives are not balanced there (1:16); F1 0.701 on TUPAC16.
`quick`: MobileNet for both, few epochs, evenly drawn classes, and the augmentation of `scout`.
"""

from __future__ import annotations

from mitozoo.training.recipe import Recipe, Stage

SOURCE = "Sohail et al. 2020, arXiv:2003.08803, section 3.4"

PRESETS = {
    "paper": Recipe(
        model="two-stage",
        preset="paper",
        source=SOURCE,
        stages=(
            Stage(name="proposer", part="proposer", epochs=30, lr=1e-4),
            Stage(name="verifier", part="verifier", epochs=100, lr=1e-4, balanced=False, mine="proposals"),
        ),
        batch_size=12,
        weight_decay=1e-2,
        augment={"zoom": 0.0, "stain": 0.0, "hue": 0.0, "brightness": 0.0},
        expected="paper: F1 0.701 on TUPAC16",
    ),
    "quick": Recipe(
        model="two-stage",
        preset="quick",
        source=SOURCE + "; MobileNet, few epochs, stain and scanner augmentation",
        stages=(
            Stage(name="proposer", part="proposer", epochs=6, lr=1e-3, decay="cosine", draws=4_000),
            Stage(name="verifier", part="verifier", epochs=8, lr=5e-4, decay="cosine", draws=8_000, mine="proposals"),
        ),
        batch_size=64,
        weight_decay=1e-4,
        smoothing=0.05,
        settings={"proposer": "mobilenet", "verifier": "mobilenet", "depth": 4, "width": 0},
        augment={
            "rotate": False,
            "turn": True,
            "zoom": 0.25,
            "stain": 0.2,
            "hue": 0.05,
            "brightness": 0.04,
            "transfer": 0.8,
            "scanner": 1.0,
        },
    ),
}
