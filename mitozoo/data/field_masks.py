"""The pixel mask of a field, whatever it was drawn with: a mask image, a marked copy, paint or a list of pixels."""

from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from mitozoo.base.errors import LabelError
from mitozoo.data.dataset import Field
from mitozoo.data.formats.icpr12_painted import painted_mask
from mitozoo.data.images import read_image
from mitozoo.data.labels import number_rows
from mitozoo.data.masks import LEAST_AREA_PX, mask_from_pair
from mitozoo.data.targets import pixel_lists

#: A mask image is 1 where it is at least half as bright as it can be.
_MASK_LEVEL = 128


def field_mask(field: Field, pixels: np.ndarray | None = None) -> np.ndarray | None:
    """Return where the mitotic figures of a field are, or None where nobody has drawn them.

    Paint is no mitotic figure any more, so a painted field has an empty mask; `painted_mask_of` gives its paint. A
    field whose labels are complete and name no mitotic figure needs no mask: it is empty too.

    Args: pixels uint8 (H, W, 3) of the field's image, where they are read already.
    Returns: bool (H, W) at the image's own spacing.
    Raises: LabelError for a mask of another size than its image, or pixels outside it; InputError for a damaged file.
    """
    source = field.mask
    if source is None or source.kind == "painted":
        if field.complete and field.labelled and not len(field.mitoses):
            return np.zeros((_pixels(field, pixels)).shape[:2], bool)
        return None
    height, width = _pixels(field, pixels).shape[:2]
    if source.kind == "pixels":
        lists = [row[: len(row) // 2 * 2] for _, row in number_rows(source.path)]
        try:
            return pixel_lists(height, width, lists)
        except ValueError as error:
            raise LabelError(f"{source.path}: {error} Check that it belongs to {field.path.name}.") from None
    drawn = read_image(source.path).pixels
    if drawn.shape[:2] != (height, width):
        raise LabelError(
            f"{source.path} has {drawn.shape[1]} x {drawn.shape[0]} px, but {field.path} has {width} x {height} px. "
            "Give a mask of the image's size."
        )
    if source.kind == "image":
        return np.asarray(drawn[..., 0] >= _MASK_LEVEL)
    parts, count = ndimage.label(mask_from_pair(drawn, _pixels(field, pixels)), structure=np.ones((3, 3), bool))
    areas = np.bincount(parts.ravel(), minlength=count + 1)
    # Smaller ones are what JPEG changed: the reader takes no mitotic figure from them either.
    return np.asarray((areas >= LEAST_AREA_PX)[parts] & (parts > 0))


def painted_mask_of(field: Field, pixels: np.ndarray) -> np.ndarray:
    """Return where a field is painted over: all False where its labels do not say that it is.

    Args: pixels uint8 (H, W, 3) of the field at any spacing.  Returns: bool (H, W).
    """
    if field.mask is None or field.mask.kind != "painted":
        return np.zeros(pixels.shape[:2], bool)
    yellow = painted_mask(pixels).astype(np.uint8)
    # Single yellow pixels are noise of JPEG, not paint.
    return cv2.morphologyEx(yellow, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def _pixels(field: Field, pixels: np.ndarray | None) -> np.ndarray:
    return read_image(field.path).pixels if pixels is None else pixels
