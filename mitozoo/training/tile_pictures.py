"""Pictures of held-out tiles for TensorBoard: what is labelled and what the network says."""

from __future__ import annotations

import cv2
import keras
import numpy as np
import tensorflow as tf

#: Colours of what is labelled, of what the network says, and between the tiles.
LABELLED, FOUND, GAP = (0, 158, 115), (213, 94, 0), 224
#: Tiles in the picture, and pixels between two.
MOST, GAP_PX = 8, 4
#: Chance from which a pixel or a box is drawn.
LEVEL = 0.5


def masks_of(outputs: dict[str, np.ndarray], side_px: tuple[int, int]) -> np.ndarray:
    """What the network takes for mitotic figures, bool (B, H, W): the mean of its maps, or its boxes.

    Args: outputs, "mask" logits (B, H, W), two-class logits (B, H, W, 2) of other names, or "boxes" (B, n, 4) x1, y1,
    x2, y2 with "scores" (B, n); side_px, height and width of a tile.
    """
    if "boxes" in outputs:
        found = np.zeros((len(outputs["boxes"]), *side_px), bool)
        for mask, boxes, scores in zip(found, outputs["boxes"], outputs["scores"], strict=True):
            for x1, y1, x2, y2 in np.round(boxes[scores >= LEVEL]).astype(int).clip(0):
                mask[y1:y2, x1:x2] = True
        return found
    maps = [value if value.ndim == 3 else value[..., 1] - value[..., 0] for value in outputs.values()]
    chances = [1 / (1 + np.exp(-np.asarray(value, np.float64))) for value in maps]
    return np.asarray(np.mean(chances, axis=0) >= LEVEL)


def pictured(images: np.ndarray, labels: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Tiles above, and under each the same with the outlines of what is labelled and of what was found.

    Args: images (B, H, W, 3) RGB in [0, 1]; labels uint8 (B, H, W), 1 mitotic; found bool (B, H, W).
    Returns: uint8 (2 H + GAP_PX, B W + (B - 1) GAP_PX, 3).
    """
    count, height, width = images.shape[:3]
    picture = np.full((2 * height + GAP_PX, count * width + (count - 1) * GAP_PX, 3), GAP, np.uint8)
    for number, (image, label, mask) in enumerate(zip(images, labels, found, strict=True)):
        plain = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
        drawn = plain.copy()
        for colour, region in ((LABELLED, label == 1), (FOUND, mask)):
            inner = cv2.erode(region.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0)
            drawn[region & (inner == 0)] = colour
        left = number * (width + GAP_PX)
        picture[:height, left : left + width] = plain
        picture[-height:, left : left + width] = drawn
    return picture


def write_tiles(stage: str, model: keras.Model, tiles: tf.data.Dataset) -> None:
    """Write a picture of the first tiles into the summary that is open. Args: tiles, batches of images and targets."""
    images, labels, found = [], [], []
    for batch, targets in tiles:
        outputs = model(batch, training=False)
        outputs = outputs if isinstance(outputs, dict) else {"mask": outputs}
        plain = {name: keras.ops.convert_to_numpy(value) for name, value in outputs.items()}
        side_px = (int(batch.shape[1]), int(batch.shape[2]))
        images.append(batch.numpy())
        labels.append(np.where(targets["strong"].numpy()[:, None, None] > 0, targets["mask"], targets["weak"]))
        found.append(masks_of(plain, side_px))
        if sum(len(part) for part in images) >= MOST:
            break
    if images:
        shown = (np.concatenate(part)[:MOST] for part in (images, labels, found))
        tf.summary.image(f"{stage}/labelled, found", pictured(*shown)[None])
