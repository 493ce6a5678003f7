"""The cells whose scores are nearest to the threshold, on both sides of it, with their pictures."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mitozoo.base.points import Detection
from mitozoo.inference.doubtful import distance, log_odds
from mitozoo.inference.result import FieldResult

#: Pictures that a report shows of them.
MOST = 60
_ROUNDING = 1e-9


@dataclass(frozen=True)
class DoubtfulCell:
    """A cell near the threshold.

    Attributes: image, its name; detection; counts, whether it is at or above the threshold; picture, JPEG or None.
    """

    image: str
    detection: Detection
    counts: bool
    picture: bytes | None = None


class Gallery:
    """Gathers, over the images of a run, the cells nearest to the threshold.

    In it belong the doubtful cells, and the detections no farther above the threshold than doubtful ones may be below.
    """

    def __init__(self, most: int = MOST) -> None:
        """Args: most, cells that are kept with their pictures; the others are only counted."""
        self.most = most
        self.below = 0
        self.above = 0
        # By falling distance, then falling number: the first of the heap is the one to give up.
        self._heap: list[tuple[float, int, DoubtfulCell]] = []

    @property
    def total(self) -> int:
        """How many belong here."""
        return self.below + self.above

    @property
    def cells(self) -> list[DoubtfulCell]:
        """Those kept, nearest to the threshold first; of equal ones the first that came."""
        return [cell for _, _, cell in sorted(self._heap, key=lambda item: item[:2], reverse=True)]

    def add(self, result: FieldResult, picture: Callable[[Detection], bytes] | None = None) -> None:
        """Take those of one image. Args: result; picture, makes the JPEG of a cell that is kept."""
        for item, counts in _near(result):
            self.above += counts
            self.below += not counts
            key = (-distance(item.score, result.threshold or 0.0), -self.total)
            full = len(self._heap) >= self.most
            if full and key <= self._heap[0][:2]:
                continue
            cell = DoubtfulCell(result.name, item, counts, picture(item) if picture else None)
            (heapq.heappushpop if full else heapq.heappush)(self._heap, (*key, cell))


def _near(result: FieldResult) -> Iterator[tuple[Detection, bool]]:
    if result.threshold is None or result.look_again is None or result.look_again >= result.threshold:
        return
    highest = 2 * log_odds(result.threshold) - log_odds(result.look_again)
    yield from ((item, True) for item in result.detections if log_odds(item.score) <= highest + _ROUNDING)
    yield from ((item, False) for item in result.doubtful)
