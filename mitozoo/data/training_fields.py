"""Whole fields to train on, in memory at one spacing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mitozoo.base.points import NON_MITOTIC
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.augment import stain_statistics
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.field_masks import field_mask
from mitozoo.data.images import read_image
from mitozoo.data.targets import IGNORED, with_ignored

#: Two spacings that differ by less than this share are one.
_SAME = 0.005


@dataclass(frozen=True, eq=False)
class TrainingFields:
    """Fields as arrays.

    Attributes: images, uint8 (H, W, 3) RGB each; labels, uint8 (H, W) each: 1 mitotic chromatin, 0 not, `IGNORED`
    where the image is damaged; strong (n,), whether a field's labels come from a pixel mask, or it has no mitotic
    figure; points, float64 (k, 2) each, x and y of the mitotic figures; excluded, float64 (k, 3) each, x, y and radius
    of damaged places; cases (n,) str; stains float32 (n, 6), see `augment.stain_statistics`; hard, float64 (k, 2) each,
    places where negative tiles are centred first; look_alikes, float64 (k, 2) each, cells that are labelled as not
    mitotic, or nothing at all.
    """

    images: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]
    strong: np.ndarray
    points: tuple[np.ndarray, ...]
    excluded: tuple[np.ndarray, ...]
    cases: np.ndarray
    stains: np.ndarray
    hard: tuple[np.ndarray, ...]
    look_alikes: tuple[np.ndarray, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def take(self, mask: np.ndarray) -> TrainingFields:
        """The fields of a mask (n,) or index."""
        index = np.flatnonzero(mask) if np.asarray(mask).dtype == bool else np.asarray(mask)

        def of(items: tuple) -> tuple:
            return tuple(items[i] for i in index)

        return TrainingFields(
            of(self.images), of(self.labels), self.strong[index], of(self.points), of(self.excluded),
            self.cases[index], self.stains[index], of(self.hard), of(self.look_alikes) if self.look_alikes else (),
        )  # fmt: skip

    def with_hard(self, places: Sequence[np.ndarray]) -> TrainingFields:
        """The same fields with places (k, 2) of each, x and y, on which negative tiles are centred first."""
        return replace(self, hard=tuple(np.asarray(item, np.float64).reshape(-1, 2) for item in places))


def read_training_fields(
    data: Sequence[Dataset],
    negatives: Sequence[Dataset] = (),
    *,
    um_per_px: float = UM_PER_PX_40X,
    progress: Callable[[int, int], None] | None = None,
) -> TrainingFields:
    """Read fields into memory.

    Args: data, labelled fields; fields that nobody has looked at are left out; negatives, fields without mitotic
        figures, labelled or not; um_per_px that all are brought to; progress, called with done and total fields.
    Raises: InputError, LabelError for a damaged image or mask.
    """
    wanted = [(field, False) for item in data for field in item.fields if field.labelled]
    wanted += [(field, True) for item in negatives for field in item.fields]
    parts = []
    for done, (field, negative) in enumerate(wanted, start=1):
        parts.append(_read(field, um_per_px, negative))
        if progress is not None:
            progress(done, len(wanted))
    columns = list(zip(*parts, strict=True)) or [()] * 6
    images = columns[0]
    stains = np.concatenate([_stain(image) for image in images]) if images else np.zeros((0, 6), np.float32)
    return TrainingFields(
        images=images,
        labels=columns[1],
        strong=np.array(columns[2], bool),
        points=columns[3],
        excluded=columns[4],
        cases=np.array([field.case for field, _ in wanted], dtype="U"),
        stains=stains,
        hard=tuple(np.zeros((0, 2)) for _ in images),
        look_alikes=columns[5],
    )


def _read(field: Field, um_per_px: float, negative: bool) -> tuple:
    pixels = read_image(field.path).pixels
    mask = np.zeros(pixels.shape[:2], bool) if negative else field_mask(field, pixels)
    factor = (field.um_per_px or um_per_px) / um_per_px
    if abs(factor - 1) > _SAME:
        mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=mode)
        if mask is not None:
            size = pixels.shape[1], pixels.shape[0]
            mask = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    else:
        factor = 1.0
    # Pixel centres are at integers, so the image's corner is half a pixel before its first.
    points = (field.mitoses + 0.5) * factor - 0.5 if not negative else np.zeros((0, 2))
    others = [(cell.x_px, cell.y_px) for cell in field.cells if cell.label == NON_MITOTIC]
    look_alikes = (np.asarray(others, np.float64).reshape(-1, 2) + 0.5) * factor - 0.5
    excluded = np.asarray(field.excluded, np.float64).reshape(-1, 3)
    excluded = np.column_stack([(excluded[:, :2] + 0.5) * factor - 0.5, excluded[:, 2] * factor])
    strong = mask is not None
    drawn = np.zeros(pixels.shape[:2], np.uint8) if mask is None else mask.astype(np.uint8)
    return np.ascontiguousarray(pixels), with_ignored(drawn, excluded), strong, points, excluded, look_alikes


def _stain(image: np.ndarray) -> np.ndarray:
    """Statistics (1, 6) of a field's stain, from every second line: a field has plenty."""
    return stain_statistics(image[None, ::2, ::2])


__all__ = ["IGNORED", "TrainingFields", "read_training_fields"]
