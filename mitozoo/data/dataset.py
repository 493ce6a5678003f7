"""A labelled data set: fields (or patches) with cells, by case."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mitozoo.base.points import MITOTIC_CLASSES, Cell


@dataclass(frozen=True)
class MaskSource:
    """What says which pixels of an image are mitotic: `mitozoo.data.field_masks` reads it.

    Attributes: path; kind: "image" (a mask image, white is mitotic), "marked" (a marked copy of the field), "painted"
    (the field itself is painted over: its paint is where mitotic figures *were*) or "pixels" (an ICPR 2012 CSV).
    """

    path: Path
    kind: str


@dataclass(frozen=True)
class Field:
    """One image with its labels.

    Attributes:
        path: the image file.
        case: slide or patient; folds and splits never divide one.
        cells: labelled cells.
        um_per_px: spacing, or None where the data set does not say.
        complete: every mitotic figure of the image is labelled, so that any other detection is a false positive. False
            for a patch around one cell and for an unlabelled image.
        labelled: False where nobody has looked (MIDOG21 151-200): never to be counted as negative.
        excluded: circles (x_px, y_px, radius_px) where the image is damaged (painted over) and nothing is counted.
        domain: scanner, tumour type or source, for tables by domain.
        mask: what says which pixels are mitotic, or None where only centres are labelled.
    """

    path: Path
    case: str
    cells: tuple[Cell, ...] = ()
    um_per_px: float | None = None
    complete: bool = True
    labelled: bool = True
    excluded: tuple[tuple[float, float, float], ...] = ()
    domain: str = ""
    mask: MaskSource | None = None

    @property
    def mitoses(self) -> np.ndarray:
        """Centres of the mitotic figures, float (n, 2) as x, y in pixels."""
        points = [(cell.x_px, cell.y_px) for cell in self.cells if cell.label in MITOTIC_CLASSES]
        return np.asarray(points, dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class Dataset:
    """Fields of one source, with what a report must say of it."""

    name: str
    fields: tuple[Field, ...]
    licence: str = ""
    source: str = ""
    notes: tuple[str, ...] = field(default=())

    @property
    def cases(self) -> list[str]:
        """Names of the cases, sorted."""
        return sorted({item.case for item in self.fields})

    def count(self, label: str) -> int:
        """How many cells carry `label`."""
        return sum(cell.label == label for item in self.fields for cell in item.cells)
