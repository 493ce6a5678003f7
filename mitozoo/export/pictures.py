"""Pictures as bytes: encoding, and the crops of single detections."""

from __future__ import annotations

import base64

import cv2
import numpy as np

from mitozoo.base.errors import OutputError
from mitozoo.base.units import UM_PER_PX_40X, um_to_px

#: What a crop of a detection shows, and its size in the report; 1:1 at 40x.
CROP_UM = 24.0
CROP_PX = 96
_WHITE = 255


def encode(image: np.ndarray, suffix: str, *, quality: int = 88, spent: bool = False) -> bytes:
    """Encode a picture.

    Args: image (H, W, 3) RGB uint8, or (H, W) grey uint8 or uint16 (PNG only); suffix ".png" or ".jpg"; quality of
        JPEG, 0 to 100; spent, nobody needs the pixels of the image after this, which saves a copy.
    Raises: OutputError if it cannot be encoded.
    """
    if image.ndim == 3:
        bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR, dst=image if spent else None)
    else:
        bgr = np.ascontiguousarray(image)
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
    try:
        done, content = cv2.imencode(suffix, bgr, settings)
    except cv2.error as error:
        raise OutputError(f"A picture of {bgr.shape} cannot be encoded as {suffix}: {error}.") from error
    if not done:
        raise OutputError(f"A picture of {bgr.shape} cannot be encoded as {suffix}.")
    return content.tobytes()


def resized(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize (H, W, 3) uint8 to (height, width, 3), averaging where it shrinks."""
    if image.shape[:2] == (height, width):
        return image.copy()
    how = cv2.INTER_AREA if width < image.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(image), (width, height), interpolation=how)


def crop_side_px(um_per_px: float | None) -> int:
    """Side in level-0 pixels of the square of `CROP_UM`."""
    return max(8, round(um_to_px(CROP_UM, um_per_px or UM_PER_PX_40X)))


def crop(image: np.ndarray, x_px: float, y_px: float, side_px: int) -> np.ndarray:
    """Cut the square with a centre; what lies outside the image is white, so that the centre stays the centre.

    Args: image (H, W, 3) uint8; x_px, y_px centre; side_px.
    Returns: (side_px, side_px, 3) uint8.
    """
    left, top = round(x_px - (side_px - 1) / 2), round(y_px - (side_px - 1) / 2)
    square = np.full((side_px, side_px, 3), _WHITE, dtype=np.uint8)
    height, width = image.shape[:2]
    rows = slice(max(top, 0), min(top + side_px, height))
    columns = slice(max(left, 0), min(left + side_px, width))
    if rows.start < rows.stop and columns.start < columns.stop:
        part = image[rows, columns]
        square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = part
    return square


def thumbnail(square: np.ndarray) -> bytes:
    """Encode a square crop as the JPEG of `CROP_PX` that the report shows."""
    return encode(resized(square, CROP_PX, CROP_PX), ".jpg", quality=85)


def data_uri(jpeg: bytes) -> str:
    """A JPEG as the address of a picture that lies inside its page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
