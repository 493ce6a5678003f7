"""From a data set's fields to what an evaluation needs to know of each."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from mitozoo.base.errors import DataError, LabelError, UnknownNameError
from mitozoo.base.units import area_mm2
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import read_header
from mitozoo.data.labels import is_inside
from mitozoo.evaluation.fields import FieldFound, FieldTruth
from mitozoo.inference.result import FieldResult

#: Side of the squares that excluded circles are measured with, in pixels.
_GRID_PX = 4


def of_cases(dataset: Dataset, cases: Sequence[str]) -> Dataset:
    """The data set with the named cases alone; all of them where none is named.

    Raises: UnknownNameError for a case that it does not have; DataError if nothing is left.
    """
    known = dataset.cases
    for case in cases:
        if case not in known:
            raise UnknownNameError(f"case in {dataset.name}", case, known)
    kept = tuple(item for item in dataset.fields if not cases or item.case in cases)
    if not kept:
        raise DataError(f"{dataset.name} holds no image. Check the path.")
    return dataclasses.replace(dataset, fields=kept)


def is_patches(dataset: Dataset) -> bool:
    """Whether the data set labels cells one by one, rather than all the mitotic figures of a field.

    Raises: DataError where nobody has labelled anything.
    """
    if not any(item.labelled for item in dataset.fields):
        raise DataError(
            f"None of the {len(dataset.fields)} images of {dataset.name} is labelled, so nothing can be measured. "
            "Give labelled images, or search these with 'mitozoo predict'."
        )
    return not any(item.complete for item in dataset.fields)


def image_names(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """A name, unique among the paths, and the path: the file's name, with as many folders as it needs."""
    deepest = max((len(path.parts) for path in paths), default=0)
    depths = [1] * len(paths)
    for depth in range(1, deepest):
        ends = Counter(path.parts[-depth:] for path in paths)
        depths = [depth + 1 if ends[path.parts[-depth:]] > 1 else old for path, old in zip(paths, depths, strict=True)]
    return [("/".join(path.parts[-depth:]), path) for path, depth in zip(paths, depths, strict=True)]


def check_images(fields: Iterable[Field]) -> None:
    """Look at the headers of all images before any is searched.

    Raises: InputError for one that is missing or no image; LabelError for one that is smaller than its labels say.
    """
    for field in fields:
        width, height, _ = read_header(field.path)
        for cell in field.cells:
            if not is_inside(cell.x_px, cell.y_px, (width, height)):
                raise LabelError(
                    f"{field.path}: the {cell.label} at x {cell.x_px:g}, y {cell.y_px:g} lies outside the image "
                    f"({width} x {height} px). Correct the label file, or check that it belongs to this image."
                )


def field_truth(result: FieldResult, field: Field) -> FieldTruth:
    """What is known of a field that was searched; its area is the tissue less the excluded circles."""
    spacing = result.um_per_px
    area = result.tissue_mm2
    if spacing is not None and field.excluded:
        area -= area_mm2(_excluded_px(result, field.excluded), spacing)
    return FieldTruth(
        name=result.name,
        case=field.case,
        mitoses=field.mitoses,
        um_per_px=spacing,
        area_mm2=max(area, 0.0),
        excluded=field.excluded,
        labelled=field.labelled,
        domain=field.domain,
    )


def unsearched(name: str, field: Field) -> FieldTruth:
    """A field that was left out because its labels are not complete."""
    return FieldTruth(
        name=name, case=field.case, mitoses=field.mitoses, um_per_px=None, labelled=False, domain=field.domain
    )


def field_found(result: FieldResult) -> FieldFound:
    """All that was found in a field, at every score."""
    every = (*result.detections, *result.below)
    points = np.array([(item.x_px, item.y_px) for item in every], dtype=np.float64).reshape(-1, 2)
    return FieldFound(result.name, points, np.array([item.score for item in every], dtype=np.float64))


def _excluded_px(result: FieldResult, circles: Sequence[tuple[float, float, float]]) -> float:
    """Pixels of the image that lie in any of the circles, which may overlap and reach over its edge."""
    down, across = -(-result.height_px // _GRID_PX), -(-result.width_px // _GRID_PX)
    covered = np.zeros((down, across), dtype=bool)
    centre = (_GRID_PX - 1) / 2
    for x_px, y_px, radius_px in circles:
        top, left = (max(int((value - radius_px) // _GRID_PX), 0) for value in (y_px, x_px))
        bottom, right = (max(int((value + radius_px) // _GRID_PX) + 1, 0) for value in (y_px, x_px))
        rows, columns = np.ogrid[top : min(bottom, down), left : min(right, across)]
        apart = (columns * _GRID_PX + centre - x_px) ** 2 + (rows * _GRID_PX + centre - y_px) ** 2
        covered[top:bottom, left:right] |= apart <= radius_px**2
    return float(covered.sum()) * _GRID_PX**2
