"""From a data set's fields to what an evaluation needs to know of each."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.base.units import area_mm2
from mitozoo.data.dataset import Dataset, Field
from mitozoo.evaluation.fields import FieldTruth
from mitozoo.inference.result import FieldResult


def of_cases(dataset: Dataset, cases: Sequence[str]) -> Dataset:
    """The data set with the named cases alone; all of them where none is named.

    Raises: UnknownNameError for a case that it does not have; DataError if nothing is left.
    """
    for case in cases:
        if case not in dataset.cases:
            raise UnknownNameError(f"case in {dataset.name}", case, dataset.cases)
    kept = tuple(item for item in dataset.fields if not cases or item.case in cases)
    if not kept:
        raise DataError(f"{dataset.name} holds no image. Check the path.")
    return dataclasses.replace(dataset, fields=kept)


def image_names(dataset: Dataset) -> list[tuple[str, Path]]:
    """A name, unique in the set, and the path of every field: its file name, with as many folders as it needs."""
    paths = [item.path for item in dataset.fields]
    out = []
    for path in paths:
        depth = 1
        while sum(other.parts[-depth:] == path.parts[-depth:] for other in paths) > 1 and depth < len(path.parts):
            depth += 1
        out.append(("/".join(path.parts[-depth:]), path))
    return out


def field_truth(result: FieldResult, field: Field) -> FieldTruth:
    """What is known of a field that was searched; its area is the tissue less the excluded circles."""
    spacing = result.um_per_px
    area = result.tissue_mm2
    if spacing is not None:
        area -= sum(area_mm2(math.pi * radius**2, spacing) for _, _, radius in field.excluded)
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
