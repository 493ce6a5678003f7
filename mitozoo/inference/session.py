"""A search: one loaded model over many images, with its settings on record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import RecipeError
from mitozoo.base.units import check_um_per_px
from mitozoo.data.images import MAX_PX
from mitozoo.inference.memory import largest_image_px, limit_gpus
from mitozoo.inference.predictor import Predictor, predict_images
from mitozoo.inference.result import FieldResult
from mitozoo.models.zoo import LoadedModel


class Search:
    """A model and the settings that images are searched with."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        threshold: float | None = None,
        um_per_px: float | None = None,
        batch_size: int | None = None,
        limit_memory_mb: float | None = None,
        cut: float | None = None,
    ) -> None:
        """Check the settings and prepare the model.

        Args: as `mitozoo.predict`; cut, score under which candidates are dropped, in place of the decoder's own.
        Raises: RecipeError, InputError for settings that make no sense.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise RecipeError(f"--threshold is a score between 0 and 1, got {threshold:g}.")
        if batch_size is not None and batch_size < 1:
            raise RecipeError(f"--batch-size must be 1 or more, got {batch_size}.")
        if um_per_px is not None:
            check_um_per_px(um_per_px)
        self.max_px = MAX_PX
        if limit_memory_mb is not None:
            self.max_px = min(MAX_PX, largest_image_px(limit_memory_mb))
            limit_gpus(limit_memory_mb)
        self.um_per_px = um_per_px
        settings: dict[str, Any] = {}
        if batch_size is not None:
            settings["batch_size"] = batch_size
        if cut is not None:
            settings["cut"] = cut
        self.loaded = loaded
        self.predictor = Predictor(loaded, threshold=threshold, decoder_settings=settings)

    def images(
        self, images: Sequence[tuple[str, Path]], *, spacing: Mapping[Path, float | None] | None = None
    ) -> Iterator[tuple[FieldResult, np.ndarray | None]]:
        """Search (name, path) pairs in order; `spacing` by path serves where no flag was given. See `predict_images`."""
        known = spacing or {}
        return predict_images(
            self.predictor,
            images,
            um_per_px=lambda path: self.um_per_px if self.um_per_px is not None else known.get(path),
            max_px=self.max_px,
        )

    def record(self) -> dict[str, Any]:
        """What `run.json` says of the search."""
        loaded = self.loaded
        return {
            "model": loaded.name,
            "architecture": loaded.spec.name,
            "weights": loaded.weights.name,
            "weights_sha256": loaded.sha256,
            "threshold": self.predictor.threshold,
            "decoder": self.predictor.settings,
            "model_um_per_px": loaded.spec.um_per_px,
            "um_per_px_flag": self.um_per_px,
        }
