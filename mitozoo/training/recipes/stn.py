"""Recipes of the Guided Spatial Transformer Network, Aubreville et al. 2017, arXiv:1707.08525, section 4.3.

    mitozoo train stn --data AMI_BR --negatives ICPR12_PAINTED --negatives TISSUE --preset quick --out runs/stn

`paper`: three stages of 50, 200 and 100 epochs, Adam at 1e-3, 1e-4, 1e-4; mean F1 0.915 in the paper (canine mast cell
tumour, 37,800 cells). The paper does not give kappa.
`quick`: fewer epochs, larger learning rates that fall to zero, stain jitter and dropout; and the place is learnt from
mitotic figures alone. Ordinary nuclei fill the tissue: which of them is "the cell" of a window nobody can say, and
learning it drowns the rest. Without it the localizer goes to what looks most like a mitotic figure, and the classifier
learns its negatives from there.
"""

from __future__ import annotations

from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE
from mitozoo.training.recipe import Recipe, Stage

SOURCE = "Aubreville et al. 2017, arXiv:1707.08525, section 4.3"

PRESETS = {
    "paper": Recipe(
        model="stn",
        preset="paper",
        source=SOURCE,
        stages=(
            Stage(name="classifier", part="classifier", epochs=50, lr=1e-3),
            Stage(name="localizer", part="localizer", epochs=200, lr=1e-4),
            Stage(name="whole", part="whole", epochs=100, lr=1e-4),
        ),
        augment={"mirror": False, "zoom": 0.0, "stain": 0.0, "hue": 0.0, "brightness": 0.0},
        expected="paper: mean F1 0.915 in 5 folds",
    ),
    "quick": Recipe(
        model="stn",
        preset="quick",
        source=SOURCE + "; fewer epochs, cosine decay, dropout, stain jitter",
        stages=(
            Stage(name="classifier", part="classifier", epochs=50, lr=1e-3, decay="cosine"),
            Stage(name="localizer", part="localizer", epochs=45, lr=2e-3, decay="cosine", balanced=False),
            Stage(name="whole", part="whole", epochs=20, lr=3e-4, decay="cosine"),
        ),
        located=(MITOTIC_FIGURE, ATYPICAL),
        settings={"dropout": 0.4},
    ),
}
