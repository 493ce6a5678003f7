"""What a run shows while it goes: pictures of held-out windows for TensorBoard, and everything for MLflow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from mitozoo.base.errors import MitozooError
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.data.cells import Cells
from mitozoo.data.pipeline import test_windows
from mitozoo.models import registry
from mitozoo.training.programs import program
from mitozoo.training.recipe import Recipe

#: Rows of the picture of examples: hits, misses and false alarms, in the colours of their frames.
FRAMES = {"hits": (0, 158, 115), "misses": (230, 159, 0), "false alarms": (213, 94, 0)}
#: Side of a window in the picture, its frame, and how many stand in a row.
TILE_PX, FRAME_PX, COLUMNS = 64, 3, 8
#: Held-out cells that are looked at, half of them mitotic where there are as many.
EXAMPLES = 96
#: Score from which a window counts as mitotic.
THRESHOLD = 0.5
#: Digits of 3 x 5 pixels, row by row.
_DIGITS = {
    "0": "111101101101111", "1": "010110010010111", "2": "111001111100111", "3": "111001111001111",
    "4": "101101111001001", "5": "111100111001111", "6": "111100111101111", "7": "111001001001001",
    "8": "111101111101111", "9": "111101111001111", ".": "000000000000010",
}  # fmt: skip
_ZOOM = 2


def sort_examples(mitotic: np.ndarray, scores: np.ndarray, most: int = COLUMNS) -> dict[str, np.ndarray]:
    """Which windows to show: the narrowest hits, the worst misses and the worst false alarms.

    Args: mitotic (n,) bool; scores (n,); most of each kind.  Returns: row numbers by the names in `FRAMES`.
    """
    found, rising = scores >= THRESHOLD, np.argsort(scores, kind="stable")
    kinds = {"hits": mitotic & found, "misses": mitotic & ~found, "false alarms": ~mitotic & found}
    turned = {"false alarms": rising[::-1]}
    return {name: (order := turned.get(name, rising))[kind[order]][:most] for name, kind in kinds.items()}


def example_grid(
    windows: np.ndarray, mitotic: np.ndarray, scores: np.ndarray, columns: int = COLUMNS, tile_px: int = TILE_PX
) -> np.ndarray:
    """A picture with a row each of hits, misses and false alarms, framed in green, yellow and red, with their scores.

    Args: windows (n, p, p, 3) RGB in [0, 1], p a multiple of tile_px; mitotic (n,) bool; scores (n,) of being so.
    Returns: uint8 (3 * side, columns * side, 3) where a side is tile_px and two frames; empty places are grey.
    """
    side = tile_px + 2 * FRAME_PX
    picture = np.full((len(FRAMES) * side, columns * side, 3), 224, np.uint8)
    for row, (name, chosen) in enumerate(sort_examples(mitotic, scores, columns).items()):
        for column, index in enumerate(chosen):
            tile = np.empty((side, side, 3), np.uint8)
            tile[:] = FRAMES[name]
            inner = tile[FRAME_PX:-FRAME_PX, FRAME_PX:-FRAME_PX]
            inner[:] = _reduced(windows[index], tile_px)
            _write(inner, f"{scores[index]:.2f}")
            picture[row * side : (row + 1) * side, column * side : (column + 1) * side] = tile
    return picture


def _reduced(window: np.ndarray, tile_px: int) -> np.ndarray:
    """The window as uint8 at the size of a tile: blocks of pixels are averaged."""
    factor = len(window) // tile_px
    blocks = np.asarray(window, np.float64).reshape(tile_px, factor, tile_px, factor, 3)
    return np.round(np.clip(blocks.mean(axis=(1, 3)), 0, 1) * 255).astype(np.uint8)


def _write(tile: np.ndarray, text: str) -> None:
    """Write digits in black on white into the lower left corner of a tile."""
    glyphs = [np.array(list(_DIGITS[sign]), np.uint8).reshape(5, 3) for sign in text]
    line = np.concatenate([np.pad(glyph, ((1, 1), (1, 0))) for glyph in glyphs] + [np.zeros((7, 1), np.uint8)], axis=1)
    label = np.kron(1 - line, np.full((_ZOOM, _ZOOM), 255, np.uint8)).astype(np.uint8)
    tile[-label.shape[0] :, : label.shape[1]] = label[:, : tile.shape[1], None]


def examples(model: keras.Model, recipe: Recipe, validation: Cells) -> np.ndarray | None:
    """The picture of what a model says of some held-out cells, the same ones at every call.

    Returns: as `example_grid`; None for a model without class scores.
    """
    spec = registry.spec(recipe.model)
    cells = validation.take(_some(validation, recipe.seed))
    windows = program(model, spec, recipe, replace(recipe.stages[-1], part="whole")).windows
    shown, scores = [], []
    kinds = [index for index, name in enumerate(spec.classes) if name in MITOTIC_CLASSES]
    # The whole window is shown and judged, whatever part of it the last stage sees.
    whole = replace(windows, window_px=spec.input_px, pool=1)
    for window, _ in test_windows(cells, whole, batch_size=32, seed=recipe.seed):
        found = model(window, training=False)
        if not isinstance(found, Mapping) or "logits" not in found:
            return None
        scores.append(tf.reduce_sum(tf.gather(tf.nn.softmax(tf.cast(found["logits"], tf.float32)), kinds, axis=1), 1))
        shown.append(window)
    mitotic = np.isin(cells.labels, kinds)
    tile_px = next((size for size in (TILE_PX, 48, 32) if spec.input_px % size == 0), spec.input_px)
    return example_grid(np.concatenate(shown), mitotic, np.concatenate(scores), tile_px=tile_px)


def _some(cells: Cells, seed: int) -> np.ndarray:
    """Rows of at most `EXAMPLES` cells, half of them mitotic where there are as many."""
    order = np.random.default_rng(seed).permutation(len(cells))
    kinds = [index for index, name in enumerate(cells.classes) if name in MITOTIC_CLASSES]
    mitotic = np.isin(cells.labels[order], kinds)
    half = EXAMPLES // 2
    return np.sort(np.concatenate([order[mitotic][:half], order[~mitotic][:half]]))


def write_examples(stage: str, model: keras.Model, recipe: Recipe, validation: Cells | None) -> None:
    """Write the picture of examples into the summary that is open, under the name of the stage."""
    picture = examples(model, recipe, validation) if validation is not None and len(validation) else None
    if picture is not None:
        tf.summary.image(f"{stage}/hits, misses, false alarms", picture[None])


class MlflowLog:
    """A run of MLflow that is open; made by `mlflow_run`."""

    def __init__(self, mlflow: Any) -> None:
        """Args: mlflow, the module."""
        self._mlflow = mlflow

    def epoch(self, epoch: int, losses: Mapping[str, float], prefix: str = "") -> None:
        """Log the losses of an epoch, counted from 1."""
        self._mlflow.log_metrics({f"{prefix}{name}": float(value) for name, value in losses.items()}, step=epoch)

    def metrics(self, values: Mapping[str, float]) -> None:
        """Log numbers of the whole run; what is not a number is left out."""
        self._mlflow.log_metrics({name: float(value) for name, value in values.items() if np.isfinite(value)})

    def artifacts(self, out: Path) -> None:
        """Log run.json, the histories, plots and reports of a run's folder, with their places in it; no weights."""
        for path in sorted(out.rglob("*")):
            if path.is_file() and path.suffix in (".json", ".csv", ".png", ".html"):
                place = path.parent.relative_to(out).as_posix()
                self._mlflow.log_artifact(str(path), None if place == "." else place)


def import_mlflow() -> Any:
    """The module. Raises: MitozooError saying how to install it."""
    try:
        import mlflow
    except ImportError:
        raise MitozooError("--mlflow needs the package mlflow: pip install 'mitozoo[mlflow]'.") from None
    return mlflow


@contextlib.contextmanager
def mlflow_run(uri: str | None, name: str, params: Callable[[], Mapping[str, Any]]) -> Iterator[MlflowLog | None]:
    """Open a run of the experiment "mitozoo" at a tracking server or folder; None where no URI is given.

    It ends as failed where an exception leaves the block. Args: uri; name of the run; params, called once it is open.
    Raises: MitozooError if mlflow is not installed, or what it says where the URI does not work.
    """
    if uri is None:
        yield None
        return
    if "://" not in uri or uri.startswith("file:"):
        # MLflow would rather have a data base by now, and refuses folders unless it is told.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow = import_mlflow()
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment("mitozoo")
        run = mlflow.start_run(run_name=name)
    except Exception as error:
        raise MitozooError(f"MLflow cannot write to {uri}: {error}") from error
    with run:
        mlflow.log_params(flat(params()))
        yield MlflowLog(mlflow)


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level of names with dots, for tables of parameters; lists by their places."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            found |= flat(value, f"{key}.")
        elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
            found |= flat({str(index): item for index, item in enumerate(value)}, f"{key}.")
        else:
            # MLflow refuses longer ones.
            found[key] = str(value)[:500]
    return found
