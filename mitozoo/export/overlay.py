"""The image with rings around its detections, their scores, and the hotspot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from mitozoo.base.points import ATYPICAL, Detection
from mitozoo.base.units import UM_PER_PX_40X, um_to_px
from mitozoo.evaluation.hotspot import Hotspot
from mitozoo.export.colours import COLOURS, HOTSPOT_COLOUR
from mitozoo.export.pictures import encode, resized
from mitozoo.inference.result import FieldResult

#: Larger images become JPEG of at most this many pixels.
MAX_PNG_PX = 20_000_000
RING_UM = 9.0
_SMALLEST_SIDE_PX = 512
_WHITE = (255, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_PX = 27  # height of a capital at scale 1

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Pen:
    """Sizes that stay legible on a picture: line and text grow with its shorter side."""

    line_px: int
    text_px: int
    ring_px: int

    @classmethod
    def of(cls, height: int, width: int, ring_px: float) -> Pen:
        """Args: size of the picture; ring_px, the ring's radius by the spacing."""
        side = min(height, width)
        line = max(2, round(side / 420))
        return cls(line, max(15, round(side / 70)), round(min(max(ring_px, 5 * line), side / 5)))


def overlay_suffix(result: FieldResult) -> str:
    """`.overlay.png`, or `.overlay.jpg` for an image above `MAX_PNG_PX`."""
    return ".overlay.jpg" if result.width_px * result.height_px > MAX_PNG_PX else ".overlay.png"


def encode_overlay(image: np.ndarray, result: FieldResult, window: Hotspot | None) -> bytes:
    """Draw the overlay of `draw_overlay` and encode it by `overlay_suffix`."""
    return encode(draw_overlay(image, result, window), overlay_suffix(result)[-4:], quality=90, spent=True)


def draw_overlay(
    image: np.ndarray,
    result: FieldResult,
    window: Hotspot | None,
    *,
    max_px: int = MAX_PNG_PX,
    min_side_px: int = _SMALLEST_SIDE_PX,
    labels: bool = True,
) -> np.ndarray:
    """Draw rings, scores and the hotspot on a copy of the image.

    Args:
        image: (H, W, 3) RGB uint8; may be a smaller copy of the file.
        result: its detections, in level-0 pixels.
        window: the hotspot, drawn where it holds a detection.
        max_px: a larger picture is scaled down to it.
        min_side_px: a smaller picture is enlarged, so that its labels can be read.
        labels: write scores.
    Returns: (h, w, 3) RGB uint8. A score for which there is no room beside its ring is left out.
    """
    height, width = image.shape[:2]
    factor = min(math.sqrt(max_px / (height * width)), max(1, math.ceil(min_side_px / min(height, width))))
    picture = resized(image, max(1, math.floor(width * factor)), max(1, math.floor(height * factor)))
    scale = picture.shape[1] / (result.width_px or width)
    ring = um_to_px(RING_UM, result.um_per_px or UM_PER_PX_40X) * scale
    pen = Pen.of(*picture.shape[:2], ring)
    centres = [(round((d.x_px + 0.5) * scale - 0.5), round((d.y_px + 0.5) * scale - 0.5)) for d in result.detections]
    reach = round(pen.ring_px * 0.8)
    rings = [(x - reach, y - reach, x + reach, y + reach) for x, y in centres]
    shown = window if window is not None and window.count else None
    frame = _draw_window(picture, shown, scale, pen) if shown else None
    for detection, centre in zip(result.detections, centres, strict=True):
        cv2.circle(picture, centre, pen.ring_px, _WHITE, 3 * pen.line_px, cv2.LINE_AA)
        cv2.circle(picture, centre, pen.ring_px, COLOURS[detection.label], pen.line_px, cv2.LINE_AA)
    if labels:
        # After the rings, so that none runs through a label.
        taken = [_label_window(picture, shown, frame, pen, rings)] if shown and frame else []
        for detection, centre in zip(result.detections, centres, strict=True):
            _draw_score(picture, detection, centre, pen, taken, rings)
    return picture


def _draw_window(picture: np.ndarray, window: Hotspot, scale: float, pen: Pen) -> Box:
    height, width = picture.shape[:2]
    # A window as large as the image is drawn just inside it.
    left, top = (max(pen.line_px, round((v + 0.5) * scale)) for v in (window.left_px, window.top_px))
    right = min(width - 1 - pen.line_px, round((window.left_px + window.width_px + 0.5) * scale))
    bottom = min(height - 1 - pen.line_px, round((window.top_px + window.height_px + 0.5) * scale))
    cv2.rectangle(picture, (left, top), (right, bottom), _WHITE, 3 * pen.line_px)
    cv2.rectangle(picture, (left, top), (right, bottom), HOTSPOT_COLOUR, pen.line_px)
    return left, top, right, bottom


def _label_window(picture: np.ndarray, window: Hotspot, frame: Box, pen: Pen, rings: list[Box]) -> Box:
    """Write the count into the first corner of the frame that is free of rings, and return the label's box."""
    text = f"Hotspot: {window.count} in {window.mm2:.3g} mm2"
    box_width, box_height = _box_size(text, pen)
    gap = 2 * pen.line_px
    xs = (frame[0] + gap, frame[2] - gap - box_width)
    ys = (frame[1] + gap, frame[3] - gap - box_height)
    corners = [_pushed_inside(picture, x, y, box_width, box_height) for y in ys for x in xs]
    free = [box for box in corners if not any(_overlap(box, ring) for ring in rings)]
    box = (free or corners)[0]
    _write(picture, text, box, HOTSPOT_COLOUR, pen)
    return box


def _draw_score(
    picture: np.ndarray,
    detection: Detection,
    centre: tuple[int, int],
    pen: Pen,
    taken: list[Box],
    rings: list[Box],
) -> None:
    text = f"{detection.score:.2f}" + (" atypical" if detection.label == ATYPICAL else "")
    box_width, box_height = _box_size(text, pen)
    (x, y), far, near = centre, pen.ring_px + 2 * pen.line_px, round(pen.ring_px * 0.75)
    corners = (
        (x + far, y - box_height // 2),
        (x - far - box_width, y - box_height // 2),
        (x - box_width // 2, y - far - box_height),
        (x - box_width // 2, y + far),
        (x + near, y - near - box_height),
        (x + near, y + near),
        (x - near - box_width, y - near - box_height),
        (x - near - box_width, y + near),
    )
    for left, top in corners:
        box = _pushed_inside(picture, left, top, box_width, box_height)
        if not any(_overlap(box, other) for other in (*taken, *rings)):
            taken.append(box)
            _write(picture, text, box, COLOURS[detection.label], pen)
            return


def _pushed_inside(picture: np.ndarray, left: int, top: int, box_width: int, box_height: int) -> Box:
    height, width = picture.shape[:2]
    left, top = max(0, min(left, width - box_width)), max(0, min(top, height - box_height))
    return left, top, left + box_width, top + box_height


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _text_style(pen: Pen) -> tuple[float, int]:
    return pen.text_px / _FONT_PX, max(1, round(pen.text_px / 12))


def _box_size(text: str, pen: Pen) -> tuple[int, int]:
    scale, stroke = _text_style(pen)
    (width, height), below = cv2.getTextSize(text, _FONT, scale, stroke)
    pad = max(3, pen.text_px // 4)
    return width + 2 * pad, height + below + 2 * pad


def _write(picture: np.ndarray, text: str, box: Box, colour: tuple[int, int, int], pen: Pen) -> None:
    """Dark text on a white plate with a coloured border: legible on any stain."""
    scale, stroke = _text_style(pen)
    (_, height), _ = cv2.getTextSize(text, _FONT, scale, stroke)
    pad = max(3, pen.text_px // 4)
    cv2.rectangle(picture, box[:2], (box[2] - 1, box[3] - 1), _WHITE, cv2.FILLED)
    cv2.rectangle(picture, box[:2], (box[2] - 1, box[3] - 1), colour, max(1, pen.line_px // 2))
    cv2.putText(picture, text, (box[0] + pad, box[1] + pad + height), _FONT, scale, (20, 20, 20), stroke, cv2.LINE_AA)
