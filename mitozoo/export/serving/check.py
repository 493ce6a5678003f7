"""Does a SavedModel, alone in a fresh process, find what `mitozoo predict` finds?"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mitozoo.base.errors import MitozooError
from mitozoo.base.points import Detection
from mitozoo.data.synthetic import draw_field
from mitozoo.data.synthetic.sample import png_bytes
from mitozoo.inference.predictor import Predictor

#: What may lie between the graph's points and those of `predict`, by precision: pixels and score. Rounding to 16 bits
#: depends on the order of the sums, which a graph may change.
TOLERANCES = {"float32": (0.5, 1e-4), "float16": (1.0, 0.01), "bfloat16": (4.0, 0.08)}
_TIMEOUT_S = 600


class ExportError(MitozooError):
    """A model that was written and does not answer as it must."""


def drawn(um_per_px: float) -> list[np.ndarray]:
    """Images that an export is checked with: a drawn field, and one smaller than the network's window."""
    field = draw_field(512, seed=1, um_per_px=um_per_px).image
    return [field, field[60:110, 240:310]]


def check_saved(folder: Path, predictor: Predictor, precision: str, radius_px: float) -> None:
    """Compare a SavedModel with `predict` on drawn images, at the threshold and at the decoder's cut.

    Args: folder of the SavedModel; predictor of the same weights in the same precision; radius_px, its merge radius.
    Raises: ExportError where it cannot be loaded or run without Keras, or answers otherwise.
    """
    um_per_px = predictor.spec.um_per_px
    images = drawn(um_per_px)
    given = {f"image_{i}": image for i, image in enumerate(images)}
    given |= {f"bytes_{i}": np.frombuffer(png_bytes(image), np.uint8) for i, image in enumerate(images)}
    answers = _run_fresh(folder, {**given, "count": len(images), "threshold": predictor.cut, "radius_px": radius_px})
    for i, image in enumerate(images):
        every = predictor.detections(image, um_per_px)
        for name in ("image_bytes", "image_tensor"):
            for signature, limit in ((name, predictor.threshold), (f"{name}_at", predictor.cut)):
                problem = difference(every, answers[f"{signature}/{i}"], limit, *TOLERANCES[precision])
                if problem:
                    raise ExportError(
                        f"The exported model does not answer as predict does ({signature}, drawn image {i + 1}: "
                        f"{problem}). Nothing was published. Take it as it is with --no-check, or report this."
                    )


def _run_fresh(folder: Path, given: dict) -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as place:
        images, answers = Path(place) / "images.npz", Path(place) / "answers.npz"
        np.savez(images, **given)
        # -P: the files beside the script must not be taken for modules.
        command = [sys.executable, "-P", str(Path(__file__).with_name("fresh.py")), str(folder), images, answers]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=environment, check=False
            )
        except subprocess.TimeoutExpired:
            raise ExportError(
                f"The exported model took more than {_TIMEOUT_S} s for two drawn images. Nothing was published. "
                "Try again on an idle machine, or skip this with --no-check."
            ) from None
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise ExportError(f"The exported model cannot be run alone: {last[0]}. Nothing was published.")
        with np.load(answers) as found:
            return dict(found)


def difference(
    wanted: Sequence[Detection], points: np.ndarray, threshold: float, within_px: float, within_score: float
) -> str | None:
    """Say how points of a graph differ from detections; None where they do not.

    Args: wanted, detections of any score; points (k, 4) of x, y, score, class; threshold that the points were asked
        for with; within_px, within_score, what may differ. One whose score is that near to the threshold may be on
        either side of it.
    """
    free = list(range(len(points)))
    for item in wanted:
        near = [i for i in free if np.hypot(points[i, 0] - item.x_px, points[i, 1] - item.y_px) <= within_px]
        best = min(near, key=lambda i: abs(points[i, 2] - item.score), default=None)
        if best is not None and abs(points[best, 2] - item.score) <= within_score:
            free.remove(best)
        elif item.score >= threshold + within_score:
            return f"{item.score:.4f} at {item.x_px:.1f}, {item.y_px:.1f} px is missing"
    for i in free:
        if points[i, 2] >= threshold + within_score:
            return f"{points[i, 2]:.4f} at {points[i, 0]:.1f}, {points[i, 1]:.1f} px is not there"
    return None
