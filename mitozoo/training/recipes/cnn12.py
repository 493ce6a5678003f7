"""Recipes of the 12-layer baseline, Aubreville et al. 2017, arXiv:1707.08525, section 4.4.

    mitozoo train cnn12 --data AMI_BR --negatives ICPR12_PAINTED --negatives TISSUE --preset quick --out runs/cnn12

`paper`: 200 epochs, Adam at 1e-3; mean F1 0.869 in the paper. `quick`: fewer epochs with a learning rate that falls to
zero. `--folds 5` gives the paper's cross-validation.
"""

from __future__ import annotations

from mitozoo.training.recipe import Recipe, Stage

SOURCE = "Aubreville et al. 2017, arXiv:1707.08525, section 4.4"

PRESETS = {
    "paper": Recipe(
        model="cnn12",
        preset="paper",
        source=SOURCE,
        stages=(Stage(name="whole", part="whole", epochs=200, lr=1e-3),),
        augment={"mirror": False, "zoom": 0.0, "stain": 0.0, "hue": 0.0, "brightness": 0.0},
        expected="paper: mean F1 0.869 in 5 folds",
    ),
    "quick": Recipe(
        model="cnn12",
        preset="quick",
        source=SOURCE + "; fewer epochs, cosine decay, stain jitter",
        stages=(Stage(name="whole", part="whole", epochs=50, lr=2e-3, decay="cosine"),),
    ),
}
