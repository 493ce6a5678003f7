"""Checkpoints: weights, optimizer state and place in the recipe, in one file without pickle."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import RecipeError, WeightsError
from mitozoo.base.files import whole_file

NAME = "checkpoint.npz"


def fingerprint(plain: dict[str, Any]) -> str:
    """A hash of a recipe and its data, to refuse resuming with another."""
    return hashlib.sha256(json.dumps(plain, sort_keys=True, default=str).encode()).hexdigest()[:16]


def save(
    folder: Path,
    *,
    model,
    optimizer,
    stage: int,
    epoch: int,
    mark: str,
    history: list[dict],
    average: Sequence[np.ndarray] = (),
) -> None:
    """Write a checkpoint, whole or not at all: `epoch` epochs of `stage` are done; `average` is of the weights."""
    arrays = {f"w{i}": np.asarray(value) for i, value in enumerate(model.get_weights())}
    if optimizer is not None:
        arrays |= {f"o{i}": np.asarray(variable) for i, variable in enumerate(optimizer.variables)}
    arrays |= {f"a{i}": value for i, value in enumerate(average)}
    state = json.dumps({"stage": stage, "epoch": epoch, "mark": mark, "history": history})
    with whole_file(folder / NAME) as temporary, temporary.open("wb") as stream:
        np.savez(stream, state=np.frombuffer(state.encode(), np.uint8), **arrays)


def load(folder: Path, *, model, mark: str) -> tuple[dict[str, Any], list[np.ndarray], list[np.ndarray]] | None:
    """Set the model's weights from a checkpoint.

    Returns: the state (stage, epoch, history), the optimizer's arrays and those of the average, or None where there is
    no checkpoint.
    Raises: RecipeError if it was made with another recipe or other data; WeightsError if it is damaged.
    """
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            state = json.loads(stored["state"].tobytes())
            if state["mark"] != mark:
                raise RecipeError(
                    f"{folder} was trained with another recipe or other data. "
                    "Resume with the same options, or choose another --out."
                )
            weights = [stored[f"w{i}"] for i in range(len(model.get_weights()))]
            optimizer, average = (
                [stored[f"{letter}{i}"] for i in range(sum(name.startswith(letter) for name in stored.files))]
                for letter in "oa"
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path} is damaged ({error}). Delete it to start this fold anew.") from error
    model.set_weights(weights)
    return state, optimizer, average
