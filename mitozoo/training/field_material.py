"""Fields to learn from, whole or some of their cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.data.training_fields import TrainingFields
from mitozoo.training.material import Material
from mitozoo.training.recipe import Recipe
from mitozoo.training.repeat import arrays_sha256
from mitozoo.training.tile_lessons import Remine, TileLessons


class FieldMaterial:
    """Fields, as `Material`: what is held out is measured as a detector, after the training."""

    predicts = False

    def __init__(
        self, fields: TrainingFields, remine: Remine | None = None, normaliser: StainNormaliser | None = None
    ) -> None:
        """Prepare.

        Args: fields; remine, from a model and fields to places (k, 2) of each that it takes for mitotic figures and
        that are none; normaliser that the tiles go through, to be kept with the weights.
        """
        self.fields, self.remine, self.normaliser = fields, remine, normaliser
        self.cases = np.asarray(fields.cases)
        # Folds are balanced by how many fields have mitotic figures.
        self.labels = np.array([int(len(points) > 0) for points in fields.points])

    def take(self, mask: np.ndarray) -> FieldMaterial:
        """Some of the fields."""
        return FieldMaterial(self.fields.take(mask), self.remine, self.normaliser)

    def lessons(self, recipe: Recipe, held_out: Material | None) -> TileLessons:
        """Tiles of the fields."""
        if not self.labels.any():
            raise DataError("No field to learn from has a labelled mitotic figure. Give other data with --data.")
        validation = held_out.fields if isinstance(held_out, FieldMaterial) else None
        return TileLessons(recipe, self.fields, validation, self.remine)

    def predict(self, model: keras.Model, recipe: Recipe, path: Path) -> None:
        """Nothing: fields are searched by the decoder, which training does not know."""

    def record(self) -> dict[str, Any]:
        """How many fields and mitotic figures there are, and how many fields have pixel masks."""
        decoder = {} if self.normaliser is None else {"decoder": {"normaliser": self.normaliser.as_json()}}
        return {
            **decoder,
            "fields": len(self.cases),
            "mitotic_figures": int(sum(map(len, self.fields.points))),
            "fields_with_masks": int(self.fields.strong.sum()),
        }

    def digest(self) -> str:
        """Hash of cases, points and some of the pixels."""
        some = [image[::64, ::64] for image in self.fields.images]
        return arrays_sha256([self.cases.astype("U"), *self.fields.points, *some])[:16]

    def sha256(self) -> str:
        """Hash of everything that is learnt from."""
        fields = self.fields
        return arrays_sha256([self.cases.astype("U"), *fields.points, *fields.images, *fields.labels, fields.strong])
