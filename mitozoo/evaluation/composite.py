"""A detector measured where no field has both: recall on patches of mitotic figures, false positives on fields without.

F1 = 2 r N / (r N + FP + N): r is the recall on patches (a detection within 30 px of the centre), N the mitotic figures
that the fields had before they were painted over, and FP the false positives on the fields' area at the *worse* of two
densities: on those fields, and in the patches themselves beyond 40 px of the centre. Taking the worse one, a detector
that knows the fields' scanner by heart gains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mitozoo.base.errors import DataError

HIT_RADIUS_PX = 30.0
CLEAR_RADIUS_PX = 40.0
#: Recalls at which false positives are listed.
RECALLS = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Composite:
    """Scores gathered for the measure.

    Attributes: hits (p,) best score within the radius, 0 where there is none, one a patch; around, scores of all
    detections beyond the clear radius in the patches; around_mm2; fields, scores of all false positives on the fields;
    fields_mm2; mitoses, N.
    Raises: DataError without a patch, or without an area to count false positives on.
    """

    hits: np.ndarray
    around: np.ndarray
    around_mm2: float
    fields: np.ndarray
    fields_mm2: float
    mitoses: int

    def __post_init__(self) -> None:
        if not len(self.hits) or self.around_mm2 <= 0 or self.fields_mm2 <= 0:
            raise DataError("The measure needs at least one patch and fields, with an area. Give both.")

    def at(self, threshold: float) -> dict[str, float]:
        """Recall, false positives per mm² in both places, and F1, at a threshold."""
        recall = float((self.hits >= threshold).mean())
        around = float((self.around >= threshold).sum() / self.around_mm2)
        fields = float((self.fields >= threshold).sum() / self.fields_mm2)
        false = max(around, fields) * self.fields_mm2
        found = recall * self.mitoses
        return {
            "threshold": float(threshold),
            "recall": recall,
            "fp_per_mm2_fields": fields,
            "fp_per_mm2_patches": around,
            "f1": 2 * found / (found + false + self.mitoses),
        }

    def best(self) -> dict[str, float]:
        """The threshold with the highest F1, of 199 between 0 and 1."""
        return max((self.at(t) for t in np.linspace(0.005, 0.995, 199)), key=lambda row: row["f1"])

    def at_recalls(self, recalls: Sequence[float] = RECALLS) -> list[dict[str, float]]:
        """The highest threshold that reaches each recall; recalls that none reaches are left out."""
        ordered = np.sort(self.hits)[::-1]
        rows = []
        for recall in recalls:
            # Less a trifle: 0.55 of 100 patches are 55, although 0.55 * 100 is a little more.
            needed = int(np.ceil(recall * len(ordered) - 1e-9))
            threshold = ordered[max(needed - 1, 0)]
            if threshold > 0:
                rows.append(self.at(float(threshold)))
        return rows


def patch_scores(xy: np.ndarray, scores: np.ndarray, centre: Sequence[float]) -> tuple[float, np.ndarray]:
    """Best score within the hit radius of a patch's centre (0 without one), and the scores beyond the clear radius.

    Args: xy (n, 2) and scores (n,) of the detections; centre x, y in pixels at 0.25 µm.
    """
    distance = np.hypot(*(np.asarray(xy, float).reshape(-1, 2) - np.asarray(centre, float)).T)
    values = np.asarray(scores, float).reshape(-1)
    near = values[distance <= HIT_RADIUS_PX]
    return float(near.max()) if len(near) else 0.0, values[distance > CLEAR_RADIUS_PX]


def patch_rest_mm2(width_px: int, height_px: int, um_per_px: float) -> float:
    """Area of a patch beyond the clear radius of its centre."""
    return (width_px * height_px - np.pi * CLEAR_RADIUS_PX**2) * (um_per_px**2) * 1e-6


def combine(parts: Sequence[Composite]) -> Composite:
    """Put the folds together."""
    return Composite(
        hits=np.concatenate([part.hits for part in parts]),
        around=np.concatenate([part.around for part in parts]),
        around_mm2=sum(part.around_mm2 for part in parts),
        fields=np.concatenate([part.fields for part in parts]),
        fields_mm2=sum(part.fields_mm2 for part in parts),
        mitoses=sum(part.mitoses for part in parts),
    )
