"""What the tables and the report say of one image: its counts, its hotspot and its score."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mitozoo.base.units import HOTSPOT_MM2
from mitozoo.evaluation.hotspot import Hotspot, hotspot, hotspots, nottingham_score
from mitozoo.inference.result import FieldResult

ASSUMED = "assumed"
#: Hotspots that the report names.
MOST_HOTSPOTS = 3


@dataclass(frozen=True)
class ImageSummary:
    """One image's result with what follows from it.

    Attributes: result; hotspot, or None where the image could not be searched; mitotic_score 1 to 3, or None where the
    searched tissue is smaller than the window or the table does not have its area; more_hotspots, those with the most
    of the figures that the first does not hold.
    """

    result: FieldResult
    hotspot: Hotspot | None = None
    mitotic_score: int | None = None
    more_hotspots: tuple[Hotspot, ...] = ()

    @property
    def per_mm2(self) -> float | None:
        """Mitotic figures per mm² of searched tissue, or None where none was searched."""
        return len(self.result.detections) / self.result.tissue_mm2 if self.result.tissue_mm2 > 0 else None

    @property
    def assumed(self) -> bool:
        """Whether every length and area rests on a spacing that the file does not state."""
        return self.result.spacing_source == ASSUMED


def summarise(result: FieldResult, hotspot_mm2: float = HOTSPOT_MM2) -> ImageSummary:
    """Find the hotspot of an image and score it. Raises: ValueError if hotspot_mm2 is not above 0."""
    if not result.ok or not result.um_per_px or not result.width_px or not result.height_px:
        return ImageSummary(result)
    points = np.array([(item.x_px, item.y_px) for item in result.detections], dtype=np.float64).reshape(-1, 2)
    window = hotspot(points, result.width_px, result.height_px, result.um_per_px, mm2=hotspot_mm2)
    enough = min(window.mm2, result.tissue_mm2) >= hotspot_mm2 * (1 - 1e-9)
    score = nottingham_score(window.count, window.mm2) if enough else None
    size = result.width_px, result.height_px
    more = hotspots(points, *size, result.um_per_px, most=MOST_HOTSPOTS, mm2=hotspot_mm2)[1:]
    return ImageSummary(result, window, score, tuple(more))
