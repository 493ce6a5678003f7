r"""Recipes of scout, our own detector.

    mitozoo train scout --data AMI_BR --data ATNORM_MD --negatives ICPR12_PAINTED --negatives TISSUE --preset quick \
        --imagenet MOBILENET --validation 0.2 --out runs/scout

The proposer learns first; what it proposes on all tissue that is known not to be mitotic is mined, and the verifier,
which starts from ImageNet, learns from that too; then a second verifier does, with another last layer and other draws
(`--set model.verifiers=1 --set second.epochs=0` leaves it out). Every window may take the stain of any other cell's, so
that neither stain nor scanner tells the class. `paper` is the longer one of the two.

At last the proposer learns again, from what it proposed wrongly, so that fewer places have to be verified for as many
mitotic figures (benchmarks/proposals_reached.py). Not before: the verifiers learn from the many places of the first.

Two things are off, because benchmarks/ablation.py found no good in them: the moving average of the weights
(`--set ema=0.998`), and a second round that mines what the verifier still takes for a mitotic figure (`--set
verifier.epochs=16 --set refine.epochs=8`).
"""

from __future__ import annotations

import dataclasses

from mitozoo.training.recipe import Recipe, Stage

_QUICK = Recipe(
    model="scout",
    preset="quick",
    source="mitozoo",
    stages=(
        Stage(name="proposer", part="proposer", epochs=10, lr=2e-3, decay="cosine", draws=6_000),
        Stage(name="verifier", part="verifier", epochs=24, lr=5e-4, decay="cosine", draws=12_000, mine="proposals"),
        Stage(name="refine", part="verifier", epochs=0, lr=2e-4, decay="cosine", draws=12_000, mine="detections"),
        Stage(name="second", part="verifier2", epochs=24, lr=5e-4, decay="cosine", draws=12_000),
        Stage(name="sharpen", part="proposer", epochs=60, lr=2e-3, decay="cosine", draws=6_000, mine="proposals"),
    ),
    batch_size=64,
    smoothing=0.05,
    weight_decay=1e-4,
    settings={"verifiers": 2},
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
)

PRESETS = {
    "quick": _QUICK,
    "paper": dataclasses.replace(
        _QUICK,
        preset="paper",
        stages=tuple(dataclasses.replace(stage, epochs=4 * stage.epochs) for stage in _QUICK.stages),
    ),
}
