"""Rounds of mining, the same after a kill as without one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from mitozoo.base.files import whole_file
from mitozoo.training.recipe import Recipe, Stage


class Miner:
    """Mines before the stages that want it, with the weights that the model had when the stage began.

    They are kept in the run's folder until it is done, so that a resumed run mines what an unbroken one does.
    """

    def __init__(self, folder: Path, recipe: Recipe, remine: Callable[[keras.Model, str], Any] | None) -> None:
        """Args: folder of the run; its recipe; remine, from a model and what to mine to what it finds, or None."""
        self.folder, self.remine = folder, remine
        self.numbers = [i for i, s in enumerate(recipe.stages) if s.mine != "none" and s.epochs]

    def _kept(self, number: int) -> Path:
        return self.folder / f"mined_by_{number}.weights.h5"

    def __call__(self, model: keras.Model, stage: Stage, number: int) -> Any:
        """What is mined before a stage, or None for a stage that mines nothing; the model stays as it is."""
        if self.remine is None or number not in self.numbers:
            return None
        path = self._kept(number)
        if not path.exists():
            with whole_file(path) as temporary:
                model.save_weights(str(temporary))
            return self.remine(model, stage.mine)
        now = model.get_weights()
        try:
            model.load_weights(str(path))
            return self.remine(model, stage.mine)
        finally:
            model.set_weights(now)

    def clear(self) -> None:
        """Remove the weights that were kept."""
        for number in self.numbers:
            self._kept(number).unlink(missing_ok=True)
