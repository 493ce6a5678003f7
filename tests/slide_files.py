"""Small slides for tests: tiled TIFFs that OpenSlide reads, and an oracle in place of a network.

The oracle finds every red disc and gives it the score that its blue says, so every answer is known beforehand.
"""

from types import SimpleNamespace

import numpy as np
import tifffile
from scipy import ndimage

from mitozoo.base.points import CLASSES
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.predictor import Predictor

PINK = (225, 150, 190)
GLASS = (245, 245, 246)
TILE_PX = 256


def write_slide(path, pixels, um_per_px=0.25, levels=()):
    """Write pixels (h, w, 3) as a tiled TIFF; levels are reduced by these factors, by the mean."""
    per_cm = None if um_per_px is None else (1e4 / um_per_px,) * 2
    settings = {"tile": (TILE_PX, TILE_PX), "photometric": "rgb", "compression": "zlib", "metadata": None}
    if per_cm:
        settings |= {"resolution": per_cm, "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        writer.write(pixels, **settings)
        for factor in levels:
            height, width = (side // factor for side in pixels.shape[:2])
            small = pixels[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
            writer.write(np.round(small.mean((1, 3))).astype(np.uint8), subfiletype=1, **settings)
    return path


def tissue(height, width, island, seed=0):
    """Glass with a rectangle (x0, y0, x1, y1) of mottled pink."""
    pixels = np.full((height, width, 3), GLASS, np.uint8)
    x0, y0, x1, y1 = island
    noise = np.random.default_rng(seed).integers(-12, 13, (y1 - y0, x1 - x0, 1))
    pixels[y0:y1, x0:x1] = np.clip(np.array(PINK) + noise, 0, 255)
    return pixels


def put(pixels, x, y, blue=0, radius=5):
    """A red disc with its centre exactly at x, y."""
    rows, columns = np.mgrid[y - radius : y + radius + 1, x - radius : x + radius + 1]
    disc = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    pixels[y - radius : y + radius + 1, x - radius : x + radius + 1][disc] = (255, 0, blue)


class Oracle(Predictor):
    """Finds red discs; score 0.95 less what blue takes away."""

    def __init__(self, um_per_px=0.25, threshold=0.5):
        self.spec = SimpleNamespace(um_per_px=um_per_px, classes=CLASSES)
        self.loaded = SimpleNamespace(name="oracle", spec=self.spec)
        self.members, self.classes = [self.loaded], CLASSES
        self.threshold, self.look_again, self.max_px, self.tta = threshold, 0.3, 10**9, 1
        self.every_settings = [{"merge_px": 30.0, "cut": 0.05}]
        self.asked, self.decoders = 0, []

    def candidates(self, pixels, um_per_px, tell=lambda: None):
        self.asked += 1
        red = (pixels[..., 0] > 200) & (pixels[..., 1] < 90)
        labels, count = ndimage.label(red)
        xy = np.array(ndimage.center_of_mass(red, labels, range(1, count + 1))).reshape(-1, 2)[:, ::-1]
        blue = np.array(ndimage.minimum(pixels[..., 2], labels, range(1, count + 1))).reshape(-1)
        score = 0.95 - blue / 255
        keep = score > 0.05
        rows = np.column_stack([1 - score, score, 0 * score])[keep]
        return Candidates(xy[keep], rows)
