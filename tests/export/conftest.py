"""A fake stained field and what a model might have found in it."""

from pathlib import Path

import numpy as np
import pytest

from mitozoo.base.points import ATYPICAL, Detection
from mitozoo.inference.result import FieldResult


def draw_field(width=640, height=480, seed=0):
    """Pink ground with violet nuclei, (height, width, 3) uint8."""
    rng = np.random.default_rng(seed)
    image = np.array([226, 170, 200]) + rng.normal(0, 8, (height, width, 1))
    rows, columns = np.mgrid[:height, :width]
    for x, y, radius in zip(rng.uniform(0, width, 60), rng.uniform(0, height, 60), rng.uniform(8, 16, 60), strict=True):
        image[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = (105, 60, 140)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.fixture
def field():
    return draw_field()


@pytest.fixture
def result():
    """Three detections (one atypical) in 640 x 480 px at 0.25 um, one candidate under the threshold."""
    return FieldResult(
        name="slides/A1.png",
        path=Path("slides/A1.png"),
        width_px=640,
        height_px=480,
        um_per_px=0.25,
        spacing_source="file",
        tissue_mm2=0.0192,
        detections=(
            Detection(100.0, 200.0, 0.93, atypical_score=0.1),
            Detection(300.5, 40.25, 0.8, ATYPICAL, 0.75),
            Detection(639.0, 479.0, 0.55),
        ),
        below=(Detection(8.0, 16.0, 0.2),),
        seconds=1.5,
    )


@pytest.fixture
def failed():
    return FieldResult(name="broken.tif", path=Path("broken.tif"), status="The file ends early. Copy it again.")
