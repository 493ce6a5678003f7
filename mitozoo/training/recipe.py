"""A recipe is data: a frozen dataclass that checks itself, is varied with `replace` and saved with every run."""

from __future__ import annotations

import dataclasses
import importlib
import math
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mitozoo.base.errors import RecipeError, UnknownNameError

PRESETS = ("paper", "quick")
_DECAYS = ("constant", "cosine", "steps")
OPTIMIZERS = ("adam", "sgd")
#: How the quick recipes vary tiles of fields, so that neither stain nor scanner tells anything.
VARIED_TILES: Mapping[str, Any] = {
    "rotate": "any", "mirror": True, "zoom": 0.2, "stain": 0.25, "hue": 0.08, "brightness": 0.05, "transfer": 0.5,
    "scanner": 1.0,
}  # fmt: skip
MINES = ("none", "proposals", "detections")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of training.

    Attributes: name; part of the model that learns ("whole" or the name of a layer that is a model); epochs; lr,
    initial learning rate; decay, "constant", "cosine" to zero over the stage or "steps", a tenth after every
    step_epochs; balanced, whether an epoch deletes from the larger classes; draws, cells of an epoch drawn evenly from
    the classes instead, 0 for the paper's deletion, or tiles of an epoch; mine, what is mined first for hard negatives
    with the network as it is by then: "proposals" of its proposer, "detections" that its verifier (or decoder) gives a
    chance too, or "none"; frozen, layers that stay as they are in this stage.
    """

    name: str
    part: str
    epochs: int
    lr: float
    decay: str = "constant"
    balanced: bool = True
    draws: int = 0
    mine: str = "none"
    step_epochs: int = 50
    frozen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check."""
        if self.epochs < 0:
            raise RecipeError(f"Stage {self.name!r}: epochs must be 0 or more, got {self.epochs}.")
        if self.draws < 0:
            raise RecipeError(f"Stage {self.name!r}: draws must be 0 or more, got {self.draws}.")
        if self.step_epochs < 1:
            raise RecipeError(f"Stage {self.name!r}: step_epochs must be 1 or more, got {self.step_epochs}.")
        if not 0 < self.lr < 10:
            raise RecipeError(f"Stage {self.name!r}: a learning rate of {self.lr:g} is not between 0 and 10.")
        if self.decay not in _DECAYS:
            raise UnknownNameError("learning-rate decay", self.decay, _DECAYS)
        if self.mine not in MINES:
            raise UnknownNameError("kind of mining", self.mine, MINES)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is trained.

    Attributes:
        model: name in the registry.  preset: "paper" or "quick".  source: paper and section.
        stages: in order.
        batch_size, seed, precision ("float32", "mixed_bfloat16", "mixed_float16").
        kappa: weight of the class against the place (Aubreville et al. 2017, Eq. 9).
        smoothing: of the labels, share of the probability that goes evenly to all classes; weight_decay, decoupled.
        ema: every weight ends a stage as its moving average, of which each step takes this share of what was before;
            0 takes the last weights.
        optimizer: "adam" or "sgd" with this momentum; clip_norm, largest norm of all gradients together, 0 for none.
        frozen: layers that stay as they are in all stages.
        loss: kind of the loss where a model has several, see its recipes; empty for its own.
        labels: which labels of a tile are learnt where a model may learn several, see `training.tile_programs`.
        tiles: settings of `mitozoo.data.field_tiles.TileSettings`, of models that learn from tiles of fields.
        located: classes whose place is learnt; empty for all, as in the paper.
        without: origins of cells that are left out ("neighbour": beside labelled mitotic figures; "field").
        settings: keyword arguments of the model's builder.
        augment: settings of `mitozoo.data.pipeline.WindowSettings`.
        expected: what the paper or we got with it, and the hours it took on which machine.
    """

    model: str
    preset: str
    source: str
    stages: tuple[Stage, ...]
    batch_size: int = 64
    seed: int = 0
    precision: str = "float32"
    kappa: float = 0.1
    smoothing: float = 0.0
    weight_decay: float = 0.0
    ema: float = 0.0
    optimizer: str = "adam"
    momentum: float = 0.9
    clip_norm: float = 0.0
    frozen: tuple[str, ...] = ()
    loss: str = ""
    labels: str = ""
    located: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    augment: Mapping[str, Any] = field(default_factory=dict)
    tiles: Mapping[str, Any] = field(default_factory=dict)
    expected: str = ""

    def __post_init__(self) -> None:
        """Check."""
        if self.batch_size < 1:
            raise RecipeError(f"The batch size must be 1 or more, got {self.batch_size}.")
        if not 0 <= self.kappa < math.inf:
            raise RecipeError(f"kappa must be 0 or more, got {self.kappa:g}.")
        if not 0 <= self.smoothing < 1:
            raise RecipeError(f"Label smoothing must be 0 or more and under 1, got {self.smoothing:g}.")
        if not 0 <= self.weight_decay < 1:
            raise RecipeError(f"The weight decay must be 0 or more and under 1, got {self.weight_decay:g}.")
        if not 0 <= self.ema < 1:
            raise RecipeError(f"The share of the moving average must be 0 or more and under 1, got {self.ema:g}.")
        if self.optimizer not in OPTIMIZERS:
            raise UnknownNameError("optimizer", self.optimizer, OPTIMIZERS)
        if not 0 <= self.momentum < 1:
            raise RecipeError(f"The momentum must be 0 or more and under 1, got {self.momentum:g}.")
        if not 0 <= self.clip_norm < math.inf:
            raise RecipeError(f"The largest norm of gradients must be 0 or more, got {self.clip_norm:g}.")
        if not 0 <= self.seed < 2**32:
            raise RecipeError(f"The seed must be between 0 and {2**32 - 1}, got {self.seed}.")
        if self.precision not in ("float32", "mixed_bfloat16", "mixed_float16"):
            raise UnknownNameError("precision", self.precision, ("float32", "mixed_bfloat16", "mixed_float16"))
        if not any(stage.epochs for stage in self.stages):
            raise RecipeError("No stage has an epoch: give --epochs 1 or more.")

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    def with_epochs(self, total: int) -> Recipe:
        """Return the recipe with its stages scaled to `total` epochs, at least one for a stage that has any.

        Raises: RecipeError if there are fewer epochs than stages.
        """
        count = sum(stage.epochs > 0 for stage in self.stages)
        if total < count:
            raise RecipeError(f"{self.model} trains in {count} stages: give --epochs {count} or more, not {total}.")
        shares = [stage.epochs * total / self.epochs for stage in self.stages]
        epochs = [max(1, int(share)) if share else 0 for share in shares]
        while sum(epochs) != total:
            step = 1 if sum(epochs) < total else -1
            open_ = [i for i, share in enumerate(shares) if share and (step > 0 or epochs[i] > 1)]
            epochs[max(open_, key=lambda i: step * (shares[i] - epochs[i]))] += step
        stages = tuple(dataclasses.replace(s, epochs=e) for s, e in zip(self.stages, epochs, strict=True))
        return dataclasses.replace(self, stages=stages)

    def with_lr(self, lr: float) -> Recipe:
        """Return the recipe with its learning rates scaled so that the largest is `lr`."""
        factor = lr / max(stage.lr for stage in self.stages)
        stages = tuple(dataclasses.replace(s, lr=s.lr * factor) for s in self.stages)
        return dataclasses.replace(self, stages=stages)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for `run.json` and for comparing."""
        plain = dataclasses.asdict(self)
        plain["stages"] = [dict(stage) for stage in plain["stages"]]
        return plain


def trainable() -> list[str]:
    """Names of the models that have recipes, sorted."""
    from mitozoo.training import recipes

    return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(recipes.__path__))


def recipe(model: str, preset: str) -> Recipe:
    """Return a model's recipe. Raises: UnknownNameError for a model without recipes or a preset that does not exist."""
    if model not in trainable():
        raise UnknownNameError("model to train", model, trainable())
    presets = importlib.import_module(f"mitozoo.training.recipes.{model.replace('-', '_')}").PRESETS
    if preset not in presets:
        raise UnknownNameError(f"preset of {model}", preset, presets)
    return presets[preset]
