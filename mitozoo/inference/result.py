"""What prediction gives for one image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mitozoo.base.points import ATYPICAL, Detection

#: Status of an image that was read and searched.
OK = "ok"
#: How the status of a slide begins of which a part could not be read; what was found in the rest counts.
INCOMPLETE = "incomplete"


@dataclass(frozen=True)
class FieldResult:
    """The detections of one image, or the reason why there are none.

    Attributes:
        name: path relative to the folder that was asked for, with `/`; unique in a run; names the output files.
        path: the file.
        width_px, height_px: size of the file at level 0 (0 where it could not be read).
        um_per_px: spacing used, or None where the image could not be read.
        spacing_source: "file", "flag" or "assumed".
        tissue_mm2: area that was searched, in mm².
        detections: at or above the threshold, by falling score, in level-0 pixels of the file.
        below: detections under the threshold that are still worth listing (MIDOG output, curves).
        threshold: score from which a detection counts, or None where nobody said.
        look_again: score from which one under the threshold is doubtful, or None where nobody said.
        seconds: from decoded pixels to points.
        status: "ok", or one line that says what failed; it begins with "incomplete" where only a part did.
        notes: what was converted or assumed, one line each.
    """

    name: str
    path: Path
    width_px: int = 0
    height_px: int = 0
    um_per_px: float | None = None
    spacing_source: str = ""
    tissue_mm2: float = 0.0
    detections: tuple[Detection, ...] = ()
    below: tuple[Detection, ...] = ()
    seconds: float = 0.0
    status: str = OK
    notes: tuple[str, ...] = ()
    threshold: float | None = None
    look_again: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the image was searched, at least a part of it."""
        return self.status == OK or self.status.startswith(INCOMPLETE)

    @property
    def complete(self) -> bool:
        """Whether all of it was searched."""
        return self.status == OK

    @property
    def doubtful(self) -> tuple[Detection, ...]:
        """Detections that do not count but are worth a second look, by falling score."""
        look_again = self.look_again
        return () if look_again is None else tuple(item for item in self.below if item.score >= look_again)

    @property
    def atypical(self) -> int:
        """How many detections are labelled atypical."""
        return sum(item.label == ATYPICAL for item in self.detections)
