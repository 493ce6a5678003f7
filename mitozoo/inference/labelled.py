"""Labelled cells through a model: patches to class probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.data.cells import cut_canvas
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import read_image
from mitozoo.inference.ensemble import in_classes, turned
from mitozoo.inference.resampling import at_spacing
from mitozoo.models.zoo import LoadedModel

_BATCH = 256


@dataclass(frozen=True)
class Patches:
    """Probabilities (n, classes), labels (n,) class numbers and cases (n,) of labelled cells."""

    probabilities: np.ndarray
    labels: np.ndarray
    cases: np.ndarray


def patch_probabilities(
    loaded: LoadedModel,
    dataset: Dataset,
    *,
    um_per_px: float | None = None,
    progress: Callable[[int], None] = lambda _: None,
    tta: int = 1,
) -> Patches:
    """Classify every labelled cell of a data set in a window around it, continued by reflection where its image ends.

    Args: loaded, a model that classifies windows; dataset; um_per_px, in place of what the data set says (the model's
    spacing where neither says); progress, called with the number of fields done; tta, views of each cell whose
    probabilities are averaged.
    Raises: DataError for a model that does not classify windows, a class that it does not know, or no labelled cell.
    """
    spec = loaded.spec
    if "logits" not in spec.outputs:
        raise DataError(f"{loaded.name} does not classify patches. Measure it on fields with complete labels.")
    waiting: list[np.ndarray] = []
    probabilities: list[np.ndarray] = []
    labels: list[int] = []
    cases: list[str] = []
    for done, field in enumerate(dataset.fields, start=1):
        if field.cells and field.labelled:
            waiting += _windows(loaded, field, um_per_px if um_per_px is not None else field.um_per_px)
            labels += [spec.classes.index(cell.label) for cell in field.cells]
            cases += [field.case] * len(field.cells)
        while len(waiting) >= _BATCH or (waiting and done == len(dataset.fields)):
            probabilities.append(_probabilities(loaded, waiting[:_BATCH], tta))
            del waiting[:_BATCH]
        progress(done)
    if not labels:
        raise DataError(f"{dataset.name} has no labelled cell to measure on. Check it with another --data-format.")
    return Patches(np.concatenate(probabilities), np.array(labels), np.array(cases))


def _windows(loaded: LoadedModel, field: Field, um_per_px: float | None) -> list[np.ndarray]:
    """The model's windows, uint8, around the cells of a field."""
    spec = loaded.spec
    for cell in field.cells:
        if cell.label not in spec.classes:
            raise DataError(
                f"{field.path}: class {cell.label!r} is not one of {loaded.name}'s: {', '.join(spec.classes)}."
            )
    pixels, ratio = at_spacing(read_image(field.path).pixels, um_per_px or spec.um_per_px, spec.um_per_px)
    points = (np.array([(cell.x_px, cell.y_px) for cell in field.cells]) + 0.5) * ratio - 0.5
    return [cut_canvas(pixels, x, y, spec.input_px) for x, y in points]


def _probabilities(loaded: LoadedModel, windows: list[np.ndarray], tta: int) -> np.ndarray:
    return np.mean([_view(loaded, [turned(item, view) for item in windows]) for view in range(tta)], axis=0)


def _view(loaded: LoadedModel, windows: list[np.ndarray]) -> np.ndarray:
    batch = np.stack(windows).astype(np.float32) / 255.0
    logits = np.asarray(loaded.model(batch, training=False)["logits"], np.float64)
    logits /= loaded.decoder.get("temperature", 1.0)
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def mean_of(parts: Sequence[Patches], classes: Sequence[Sequence[str]], wanted: Sequence[str]) -> Patches:
    """The mean of several models on the same cells.

    Args: parts, what each found; classes, names in the order of each one's probabilities; wanted, names of the result's
    classes: those that all models tell, so that all cells are labelled with one of them.
    """
    rows = [in_classes(part.probabilities, own, wanted) for part, own in zip(parts, classes, strict=True)]
    labels = np.array([list(wanted).index(classes[0][label]) for label in parts[0].labels])
    return Patches(np.mean(rows, axis=0), labels, parts[0].cases)
