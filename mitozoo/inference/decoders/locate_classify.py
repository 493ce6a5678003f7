"""Windows that say where their cell is (theta) and what it is: a spatial transformer as a detector.

The windows stand at a stride of at most half their size, so that every cell lies, for some window, within the offsets
that the network was trained on. The localizer's convolutions have no padding and run once over each block of the field:
its features at a window are the very numbers that the window alone would give. Then every hit is looked at once more
with the window centred on it, and classified turned and mirrored in eight ways, which sharpens place and class.
"""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from mitozoo.inference.decoders import Candidates
from mitozoo.inference.merging import merge_hits
from mitozoo.models.architectures.stn import CELL_PX, TRUNK_STRIDE_PX
from mitozoo.models.layers.sampler import sampling_points

#: The eight ways to turn and mirror a square; the first is the identity.
TURNS = [
    [[1, 0], [0, 1]],
    [[-1, 0], [0, -1]],
    [[0, -1], [1, 0]],
    [[0, 1], [-1, 0]],
    [[-1, 0], [0, 1]],
    [[1, 0], [0, -1]],
    [[0, 1], [1, 0]],
    [[0, -1], [-1, 0]],
]


class LocateClassify:
    """Decoder of "locate-classify" models."""

    def __init__(
        self,
        model: keras.Model,
        *,
        stride_px: int = 64,
        cut: float = 0.05,
        merge_px: float = 30.0,
        turns: int = 8,
        first_weight: float = 0.33,
        block_windows: int = 17,
        batch_size: int = 512,
    ) -> None:
        """Prepare.

        Args:
            model: with the layers localizer (trunk, head), and classifier.
            stride_px between windows, a multiple of the trunk's stride and at most half the window.
            cut: hits with at least this probability of a mitotic figure are looked at again; the others are dropped.
            merge_px: hits nearer than this are one cell (7.5 µm: the plates of a telophase count once).
            turns: in how many of the eight ways a hit is turned and mirrored at the second look, 1 to 8.
            first_weight: share of the first look in the score, the rest is the second's.
            block_windows: windows a side of the blocks that the convolutions run over, which bounds memory.
            batch_size: cells classified at a time.
        """
        if stride_px % TRUNK_STRIDE_PX or stride_px > model.input_shape[1] // 2:
            raise ValueError(f"stride_px must be a multiple of {TRUNK_STRIDE_PX} and at most half the window.")
        localizer = model.get_layer("localizer")
        self.trunk, self.head = localizer.get_layer("trunk"), localizer.get_layer("head")
        self.localizer, self.classifier = localizer, model.get_layer("classifier")
        self.window_px = model.input_shape[1]
        self.stride_px, self.cut, self.merge_px = stride_px, cut, merge_px
        self.turns, self.first_weight = turns, first_weight
        self.block_windows, self.batch_size = block_windows, batch_size
        self._locate = tf.function(self.locate_block, reduce_retracing=True)
        self._classify = tf.function(self.classify_cells, reduce_retracing=True)
        self._again = tf.function(self.look_again, reduce_retracing=True)

    def __call__(self, field: np.ndarray) -> Candidates:
        """Find candidates in a field, uint8 (H, W, 3)."""
        height, width = field.shape[:2]
        rim = (self.window_px - self.stride_px) // 2
        across, down = -(-width // self.stride_px), -(-height // self.stride_px)
        pad_right = (across - 1) * self.stride_px + self.window_px - width - rim
        pad_down = (down - 1) * self.stride_px + self.window_px - height - rim
        padded = np.pad(field, ((rim, pad_down), (rim, pad_right), (0, 0)), mode="symmetric")
        image = tf.constant(padded)
        theta, corners = self._locate_all(image, across, down)
        probabilities = self._in_batches(lambda c, t: self._classify(image, c, t), corners, theta)
        keep = 1.0 - probabilities[:, 0] >= self.cut
        theta, corners, probabilities = theta[keep], corners[keep], probabilities[keep]
        if not len(theta):
            return Candidates(np.zeros((0, 2)), np.zeros((0, probabilities.shape[1])))
        xy = centres(theta, corners, self.window_px)
        groups = merge_hits(xy, 1.0 - probabilities[:, 0], self.merge_px / 2)
        xy = np.stack([xy[group[0]] for group in groups])
        first = np.stack([probabilities[group].mean(axis=0) for group in groups])
        xy, second = self._refine(image, xy)
        candidates = self._merge(xy - rim, self.first_weight * first + (1 - self.first_weight) * second)
        inside = ((candidates.xy > -1) & (candidates.xy < [width, height])).all(axis=1)
        return Candidates(np.clip(candidates.xy[inside], 0, [width - 1, height - 1]), candidates.probabilities[inside])

    def _locate_all(self, image: tf.Tensor, across: int, down: int) -> tuple[np.ndarray, np.ndarray]:
        thetas, corners = [], []
        for top in range(0, down, self.block_windows):
            for left in range(0, across, self.block_windows):
                rows, columns = min(self.block_windows, down - top), min(self.block_windows, across - left)
                y, x = top * self.stride_px, left * self.stride_px
                extent = [(n - 1) * self.stride_px + self.window_px for n in (rows, columns)]
                thetas.append(self._locate(image[y : y + extent[0], x : x + extent[1]]).numpy())
                grid_y, grid_x = np.mgrid[:rows, :columns]
                corners.append(np.stack([x + grid_x * self.stride_px, y + grid_y * self.stride_px], -1).reshape(-1, 2))
        return np.concatenate(thetas), np.concatenate(corners).astype(np.float32)

    def locate_block(self, block: tf.Tensor) -> tf.Tensor:
        """Theta (n, 2, 3) of all windows of a block uint8 (h, w, 3), row by row."""
        features = self.trunk(tf.cast(block[None], tf.float32) / 255.0, training=False)
        side, channels = self.head.input_shape[1], self.head.input_shape[3]
        step = self.stride_px // TRUNK_STRIDE_PX
        patches = tf.image.extract_patches(features, [1, side, side, 1], [1, step, step, 1], [1, 1, 1, 1], "VALID")
        return self.head(tf.reshape(patches, (-1, side, side, channels)), training=False)

    def _cells(self, image: tf.Tensor, corners: tf.Tensor, theta: tf.Tensor) -> tf.Tensor:
        """Cells float (n, CELL_PX, CELL_PX, 3) in [0, 1] that the transforms of windows at `corners` (n, 2) cut out."""
        return self._sample(image, corners, theta, CELL_PX)

    def _sample(self, image: tf.Tensor, corners: tf.Tensor, theta: tf.Tensor, out_px: int) -> tf.Tensor:
        x, y = sampling_points(theta, out_px, (self.window_px, self.window_px))
        height, width = tf.shape(image)[0], tf.shape(image)[1]
        x, y = x + corners[:, 0, None, None], y + corners[:, 1, None, None]
        return _gather(image, x, y, tf.cast(height, tf.float32), tf.cast(width, tf.float32))

    def classify_cells(self, image: tf.Tensor, corners: tf.Tensor, theta: tf.Tensor) -> tf.Tensor:
        """Class probabilities (n, classes) of the cells that the transforms of windows at `corners` (n, 2) cut out."""
        return tf.nn.softmax(self.classifier(self._cells(image, corners, theta), training=False))

    def look_again(self, image: tf.Tensor, corners: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Theta of windows at any place, and the mean probabilities of their cells turned and mirrored in all ways."""
        whole = tf.tile(tf.constant([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (tf.shape(corners)[0], 1, 1))
        theta = self.localizer(self._sample(image, corners, whole, self.window_px), training=False)
        turns = tf.constant(TURNS[: self.turns], tf.float32)
        linear = tf.einsum("nij,kjl->nkil", theta[:, :, :2], turns)
        place = tf.tile(theta[:, None, :, 2:], (1, self.turns, 1, 1))
        turned = tf.reshape(tf.concat([linear, place], axis=-1), (-1, 2, 3))
        probabilities = self.classify_cells(image, tf.repeat(corners, self.turns, axis=0), turned)
        shape = (-1, self.turns, tf.shape(probabilities)[1])
        return theta, tf.reduce_mean(tf.reshape(probabilities, shape), axis=1)

    def _refine(self, image: tf.Tensor, xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Look again with the window centred on each point: better place and class."""
        corners = (xy - (self.window_px - 1) / 2).astype(np.float32)
        theta, probabilities = [], []
        step = max(1, self.batch_size // 8)
        for start in range(0, len(corners), step):
            t, p = self._again(image, corners[start : start + step])
            theta.append(t.numpy())
            probabilities.append(p.numpy())
        return centres(np.concatenate(theta), corners, self.window_px), np.concatenate(probabilities)

    def _in_batches(self, function, corners: np.ndarray, theta: np.ndarray) -> np.ndarray:
        steps = range(0, len(corners), self.batch_size)
        return np.concatenate(
            [function(corners[s : s + self.batch_size], theta[s : s + self.batch_size]).numpy() for s in steps]
        )

    def _merge(self, xy: np.ndarray, probabilities: np.ndarray) -> Candidates:
        groups = merge_hits(xy, 1.0 - probabilities[:, 0], self.merge_px)
        first = [group[0] for group in groups]
        return Candidates(xy[first], probabilities[first])


def centres(theta: np.ndarray, corners: np.ndarray, window_px: int) -> np.ndarray:
    """Where the transforms point, in pixels of the image that holds the windows."""
    return corners + (theta[:, :, 2] + 1.0) * (window_px / 2) - 0.5


def _gather(image: tf.Tensor, x: tf.Tensor, y: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    """Bilinear samples in [0, 1] of a uint8 image (H, W, 3) of any size at points (n, h, w)."""
    x = tf.clip_by_value(x, 0.0, width - 1.001)
    y = tf.clip_by_value(y, 0.0, height - 1.001)
    left, top = tf.floor(x), tf.floor(y)
    wx, wy = (x - left)[..., None] / 255.0, (y - top)[..., None]
    step = tf.cast(width, tf.int32)
    base = tf.cast(top, tf.int32) * step + tf.cast(left, tf.int32)
    flat = tf.reshape(image, (-1, 3))

    def value(offset: tf.Tensor | int) -> tf.Tensor:
        return tf.cast(tf.gather(flat, base + offset), tf.float32)

    upper = value(0) * (1 / 255.0 - wx) + value(1) * wx
    lower = value(step) * (1 / 255.0 - wx) + value(step + 1) * wx
    return upper * (1 - wy) + lower * wy
