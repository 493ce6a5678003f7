"""Do fewer bits call the same cells?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mitozoo.base.points import Detection
from mitozoo.data.synthetic import draw_field
from mitozoo.evaluation.matching import match, protocol
from mitozoo.inference.predictor import Predictor

#: Share of equal calls under which int8 is refused.
LEAST = 0.95
#: Fields that are drawn where no images are given, and their side.
DRAWN_FIELDS, DRAWN_PX = 6, 768


@dataclass(frozen=True)
class Agreement:
    """How far two precisions agree.

    Attributes: images; same, calls that both make within 7.5 µm; calls, those that either makes; largest_change of a
    score among calls that both make.
    """

    images: int
    same: int
    calls: int
    largest_change: float

    @property
    def share(self) -> float:
        """Share of equal calls; nan where nothing was called."""
        return self.same / self.calls if self.calls else float("nan")

    def __str__(self) -> str:
        if not self.calls:
            return f"no mitotic figure in {self.images} images, with or without fewer bits"
        return (
            f"{self.same} of {self.calls} calls the same ({self.share:.1%}) in {self.images} images, "
            f"largest change of a score {self.largest_change:.4f}"
        )


def drawn(um_per_px: float) -> list[tuple[np.ndarray, float]]:
    """Drawn fields with their spacing."""
    return [(draw_field(DRAWN_PX, seed=seed, um_per_px=um_per_px).image, um_per_px) for seed in range(DRAWN_FIELDS)]


def agreement(first: Predictor, second: Predictor, images: Sequence[tuple[np.ndarray, float]]) -> Agreement:
    """Compare the calls of two predictors at the first one's threshold.

    Args: first, in float32; second, in fewer bits; images with their spacing in µm per pixel.
    """
    same, calls, largest = 0, 0, 0.0
    for pixels, um_per_px in images:
        ours, theirs = (
            [d for d in p.detections(pixels, um_per_px) if d.score >= first.threshold] for p in (first, second)
        )
        pairs = match(_xy(ours), _xy(theirs), _scores(theirs), protocol("default"), um_per_px).true_positive
        changes = np.abs(_scores(theirs)[pairs[:, 0]] - _scores(ours)[pairs[:, 1]])
        same, calls = same + len(pairs), calls + len(ours) + len(theirs) - len(pairs)
        largest = max(largest, float(changes.max(initial=0.0)))
    return Agreement(len(images), same, calls, largest)


def _xy(found: Sequence[Detection]) -> np.ndarray:
    return np.array([(item.x_px, item.y_px) for item in found]).reshape(-1, 2)


def _scores(found: Sequence[Detection]) -> np.ndarray:
    return np.array([item.score for item in found])
