"""Measuring predictions that were read: which labelled image each belongs to, and what is known of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.base.units import area_mm2
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import image_header
from mitozoo.data.spacing import um_per_px_of
from mitozoo.evaluation.fields import FieldFound, FieldTruth
from mitozoo.evaluation.predictions import Predicted, Predictions
from mitozoo.evaluation.truths import check_images, field_truth, image_names, unsearched
from mitozoo.inference.result import OK, FieldResult

#: How many names a message lists.
_NAMED = 5


@dataclass(frozen=True, eq=False)
class Measurable:
    """Truths and detections of the same images, and what a report should say of where they came from."""

    truths: tuple[FieldTruth, ...]
    found: tuple[FieldFound, ...]
    about: Mapping[str, str]


def named(names: Sequence[str]) -> str:
    """The first few names, for a message."""
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def images(number: int) -> str:
    """How many images, for a message."""
    return "1 image" if number == 1 else f"{number} images"


def measurable(
    dataset: Dataset,
    wanted: Dataset,
    predictions: Predictions,
    *,
    um_per_px: float | None = None,
    ignore_unknown: bool = False,
) -> Measurable:
    """Bring predictions and labels together.

    Args: dataset, all images that the labels know; wanted, those to be measured; predictions; um_per_px, in place of
        what labels and files say; ignore_unknown, leave out predictions of images that the labels do not know.
    Raises: DataError for predictions of unknown images, a labelled image of which nothing says that it was searched,
        names that fit several images, or points in mm of an image without a known spacing; InputError, LabelError as
        `check_images`.
    """
    belongs, unknown = assign(predictions, [item.path for item in dataset.fields])
    if unknown and not ignore_unknown:
        raise DataError(
            f"{predictions.path} has predictions of {images(len(unknown))} that the labels do not know: "
            f"{named(unknown)}. Correct the names, or leave them out with --ignore-unknown."
        )
    by_path = {dataset.fields[index].path: image for index, image in belongs.items()}
    names = image_names([item.path for item in wanted.fields])
    listed = [(name, item) for (name, _), item in zip(names, wanted.fields, strict=True)]
    counted = [(name, item) for name, item in listed if item.labelled and item.complete]
    _check_searched(predictions, [name for name, item in counted if item.path not in by_path])
    check_images(item for _, item in counted if item.path.is_file())
    truths = [unsearched(name, item) for name, item in listed if not (item.labelled and item.complete)]
    found = []
    for name, item in counted:
        truth, detections = _image(name, item, by_path[item.path], um_per_px)
        truths.append(truth)
        if detections is not None:
            found.append(detections)
    about = {"predictions": f"{predictions.path.name} ({predictions.kind})"}
    if unknown:
        about["left out"] = f"Predictions of {images(len(unknown))} that the labels do not know: {named(unknown)}"
    scores = np.concatenate([np.zeros(0), *(item.scores for item in found)])
    if len(scores):
        about["listed scores"] = f"{scores.min():g} and above; the curves end there"
    return Measurable(tuple(truths), tuple(found), about)


def assign(predictions: Predictions, paths: Sequence[Path]) -> tuple[dict[int, Predicted], list[str]]:
    """Which of the images each prediction belongs to, and the names that belong to none.

    An image belongs where its whole relative path fits, else where its file's name is unique, else where its name
    without the ending is. A prediction without a name belongs to the image where there is one alone.

    Returns: predictions by the number of their image; unknown names. Raises: DataError where two images, or two
        predictions, fit.
    """
    by_name: dict[str, list[int]] = {}
    for index, path in enumerate(paths):
        for key in {path.name, path.stem}:
            by_name.setdefault(key, []).append(index)
    belongs: dict[int, Predicted] = {}
    unknown: list[str] = []
    absolute = [path.absolute() for path in paths]
    depth = len(Path(os.path.commonpath([path.parent for path in absolute])).parts)
    for image in predictions.images:
        fitting = _fitting(image.name, absolute, depth, by_name)
        if not fitting:
            unknown.append(image.name)
            continue
        if len(fitting) > 1:
            raise DataError(
                f"{predictions.path}: {image.name or 'points without a name'} could be of "
                f"{named([str(paths[index]) for index in fitting])}. Name images by their path in the folder."
            )
        if fitting[0] in belongs:
            raise DataError(
                f"{predictions.path}: {belongs[fitting[0]].name} and {image.name} are both predictions of "
                f"{paths[fitting[0]]}. Keep one of them."
            )
        belongs[fitting[0]] = image
    return belongs, unknown


def _fitting(name: str, paths: Sequence[Path], depth: int, by_name: Mapping[str, list[int]]) -> list[int]:
    """Numbers of the images that a name fits; `depth` is how many folders their paths have in common."""
    if not name:
        return list(range(len(paths)))
    parts = tuple(part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "."))
    alike = by_name.get(parts[-1], []) if parts else []
    bare = {index: paths[index].with_suffix("") for index in alike}
    for whole in (
        # 1.png is the one at the top, where there is a more/1.png too.
        [index for index in alike if parts in (paths[index].parts[depth:], bare[index].parts[depth:])],
        [index for index in alike if paths[index].parts[-len(parts) :] == parts],
        [index for index in alike if bare[index].parts[-len(parts) :] == parts],
    ):
        if whole:
            return whole
    return [index for index in alike if paths[index].name == parts[-1]] or alike


def _check_searched(predictions: Predictions, missing: Sequence[str]) -> None:
    if not missing:
        return
    if predictions.lists_searched:
        why = "do not say that they searched"
        hint = "Search them too, or measure the others alone with --case."
    else:
        why = "have nothing in"
        hint = "Put the summary.csv of the run beside it, which says whether they were searched, or use --case."
    raise DataError(
        f"The predictions of {predictions.path} {why} {len(missing)} labelled image{'s' if len(missing) > 1 else ''}: "
        f"{named(missing)}. {hint}"
    )


def _image(name: str, field: Field, image: Predicted, um_per_px: float | None) -> tuple[FieldTruth, FieldFound | None]:
    """What is known of one image, and what was predicted in it; None where it was not searched."""
    if image.status != OK:
        truth = FieldTruth(
            f"{name}: {image.status}", field.case, field.mitoses, None, domain=field.domain, searched=False
        )
        return truth, None
    header = image_header(field.path) if field.path.is_file() else None
    from_file = um_per_px_of(header) if header else None
    spacing = next((value for value in (um_per_px, field.um_per_px, from_file, image.um_per_px) if value), None)
    width, height = (header.width, header.height) if header else (0, 0)
    tissue_mm2 = image.tissue_mm2
    if np.isnan(tissue_mm2) and spacing and header:
        tissue_mm2 = area_mm2(width * height, spacing)
    result = FieldResult(name, field.path, width, height, um_per_px=spacing, tissue_mm2=tissue_mm2)
    truth = field_truth(result, field)
    return truth, FieldFound(name, _pixels(name, image, spacing), image.scores)


def _pixels(name: str, image: Predicted, spacing: float | None) -> np.ndarray:
    """Centres (n, 2) in pixels."""
    if not image.in_mm or not len(image.xy):
        return image.xy
    spacing = image.um_per_px or spacing
    if spacing is None:
        raise DataError(
            f"The points of {name} are in mm, but the spacing of the image is not known. "
            "Give it with --um-per-px (0.25 is usual at 40x)."
        )
    return image.xy * 1000 / spacing
