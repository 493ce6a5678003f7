"""A search: one loaded model over many images, with its settings on record."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitozoo.base.errors import RecipeError
from mitozoo.base.units import HOTSPOT_MM2, check_um_per_px
from mitozoo.data.images import MAX_PX
from mitozoo.inference.doubtful import check_look_again
from mitozoo.inference.ensemble import check_views, identity
from mitozoo.inference.journal import RunJournal, fingerprint
from mitozoo.inference.many import predict_images
from mitozoo.inference.memory import largest_image_px
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.result import FieldResult
from mitozoo.inference.slide_search import TileProgress
from mitozoo.inference.speed import Speed, set_up
from mitozoo.inference.view import View
from mitozoo.models.precision import in_precision
from mitozoo.models.zoo import LoadedModel

#: Task of a model that stands for one at a server, which computes as it likes.
SERVED = "served"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a user may set for a search; it checks itself, so that nonsense is found before any work.

    Attributes: threshold on the score, in place of the tuned one; um_per_px, in place of what the files say;
    batch_size, cells or windows at a time; limit_memory_mb; hotspot_mm2, area of the hotspot's window; cut, score under
    which candidates are dropped, in place of the decoder's own; tta, views of each image that are searched; look_again,
    score from which detections under the threshold are doubtful; speed, how the networks compute.
    Raises: RecipeError, InputError for settings that make no sense.
    """

    threshold: float | None = None
    um_per_px: float | None = None
    batch_size: int | None = None
    limit_memory_mb: float | None = None
    hotspot_mm2: float = HOTSPOT_MM2
    cut: float | None = None
    tta: int = 1
    look_again: float | None = None
    speed: Speed = Speed()

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise RecipeError(f"--threshold is a score between 0 and 1, got {self.threshold:g}.")
        if self.batch_size is not None and self.batch_size < 1:
            raise RecipeError(f"--batch-size must be 1 or more, got {self.batch_size}.")
        if not math.isfinite(self.hotspot_mm2) or self.hotspot_mm2 <= 0:
            raise RecipeError(f"--hotspot-mm2 is an area above 0, got {self.hotspot_mm2:g}.")
        if self.um_per_px is not None:
            check_um_per_px(self.um_per_px)
        check_views(self.tta)
        if self.look_again is not None:
            check_look_again(self.look_again, self.threshold)
        if self.limit_memory_mb is not None:
            largest_image_px(self.limit_memory_mb, self.tta)

    @property
    def max_px(self) -> int:
        """The largest image that one model searches, in pixels."""
        return self.max_px_of(1)

    def max_px_of(self, models: int) -> int:
        """The largest image that so many models search together, in pixels. Raises: InputError if there is none."""
        if self.limit_memory_mb is None:
            return MAX_PX
        return min(MAX_PX, largest_image_px(self.limit_memory_mb, self.tta, models))

    def decoder(self) -> dict[str, Any]:
        """What the decoder shall do in another way than by its own settings."""
        given = {"batch_size": self.batch_size, "cut": self.cut}
        return {key: value for key, value in given.items() if value is not None}


class Search:
    """A model, or several together, and the settings that images are searched with."""

    def __init__(self, loaded: LoadedModel | Sequence[LoadedModel], settings: Settings | None = None) -> None:
        """Args: loaded model or models; settings, those of the weights where none are given."""
        self.settings = settings or Settings()
        served = isinstance(loaded, LoadedModel) and loaded.spec.task == SERVED
        self.speed = None if served else self.settings.speed
        members = [loaded] if isinstance(loaded, LoadedModel) else list(loaded)
        if self.speed is not None:
            set_up(self.speed)
            members = [in_precision(item, self.speed.precision) for item in members]
        self.predictor = Predictor(
            members[0] if isinstance(loaded, LoadedModel) else members,
            threshold=self.settings.threshold,
            decoder_settings=self.settings.decoder(),
            max_px=self.settings.max_px_of(1 if isinstance(loaded, LoadedModel) else len(loaded)),
            tta=self.settings.tta,
            look_again=self.settings.look_again,
        )
        self.loaded = self.predictor.loaded

    def images(
        self,
        images: Sequence[tuple[str, Path]],
        *,
        spacing: Mapping[Path, float | None] | None = None,
        tell: Callable[[], None] = lambda: None,
        tell_tile: Callable[[TileProgress], None] = lambda _: None,
        journal: RunJournal | None = None,
    ) -> Iterator[tuple[FieldResult, View | None]]:
        """Search (name, path) pairs in order, as `predict_images`; `spacing` by path serves where no flag was given."""
        known, flag = spacing or {}, self.settings.um_per_px
        return predict_images(
            self.predictor,
            images,
            um_per_px=lambda path: flag if flag is not None else known.get(path),
            tell=tell,
            tell_tile=tell_tile,
            journal=journal,
        )

    def mark(self) -> str:
        """A hash of all that the results follow from, but the images."""
        from mitozoo import __version__

        return fingerprint({**without_time(self.record()), "mitozoo": __version__})

    def record(self) -> dict[str, Any]:
        """What `run.json` says of the search; of several models, each one under "ensemble"."""
        members = self.predictor.members
        every = [
            {
                "model": item.name,
                "weights": item.weights.name,
                "weights_sha256": item.sha256,
                "threshold": item.threshold,
                "decoder": settings,
            }
            for item, settings in zip(members, self.predictor.every_settings, strict=True)
        ]
        # A threshold that was given was not chosen on any case.
        cases = sorted({case for item in members for case in item.tuned_on if self.settings.threshold is None})
        return {
            "model": _joined(item.name for item in members),
            "architecture": _joined(item.spec.name for item in members),
            "weights": _joined(item.weights.name for item in members),
            "weights_sha256": identity(members),
            "threshold": self.predictor.threshold,
            **({"tuned_on": cases} if cases else {}),
            "look_again": self.predictor.look_again,
            "decoder": self.predictor.settings,
            **({"ensemble": every} if len(every) > 1 else {}),
            **({"tta": self.settings.tta} if self.settings.tta > 1 else {}),
            "model_um_per_px": self.loaded.spec.um_per_px,
            "um_per_px_flag": self.settings.um_per_px,
            "limit_memory_mb": self.settings.limit_memory_mb,
            **({"speed": self.speed.record()} if self.speed is not None else {}),
        }


def without_time(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record without what only time follows from: threads, and why they were chosen."""
    speed = record.get("speed")
    return {**record, "speed": speed and {"precision": speed["precision"], "xla": speed["xla"]}}


def _joined(names: Iterable[str]) -> str:
    """Names of the models, each once."""
    return " + ".join(dict.fromkeys(names))
