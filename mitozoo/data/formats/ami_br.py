"""AMi-Br: 128x128 PNG patches, each centred on one mitotic figure, normal or atypical, of human breast cancer.

Layout: `index.csv` (`file,label,dataset,slide,x,y,phase_expert1,phase_expert2`) beside `patches/` with the PNGs, about
0.25 µm per pixel. `label` is `normal` or `atypical`.
Licence: MIT. Source: Bertram et al. 2025; benchmark split by Banerjee et al. 2025, arXiv:2506.21444.
Traps: split by slide (`dataset` and `slide` together name one; the stitched parts `06_stitched1.tif` of a TUPAC16 case
are one slide, `TUPAC16/06`), never by patch; a few patches have black padding at an
edge; nothing but the central cell is labelled, so a patch is not complete. `x` and `y`, where they are given, are the
cell's place in its slide: 72 patches of the training split show another mitotic figure, which has a patch of its own;
its place is excluded, so that it is neither mined as non-mitotic nor counted as a false positive.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from pathlib import Path

from mitozoo.base.errors import LabelError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, Cell
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.labels import header_of, number, table_rows

TITLE = "AMi-Br patches (index.csv with file,label,dataset,slide)"
PATCH_PX = 128
_LABELS = {"normal": MITOTIC_FIGURE, "atypical": ATYPICAL}
_COLUMNS = ("file", "label", "dataset", "slide")
#: Radius of the place of another mitotic figure in a patch: 7.5 µm.
_OTHER_RADIUS_PX = 30.0


def _case(dataset: str, slide: str) -> str:
    """The case's name as in the data set itself: TUPAC16 numbers its cases with two digits."""
    digits = re.match(r"\d+", slide) if dataset == "TUPAC16" else None
    return f"{dataset}/{digits.group()}" if digits else f"{dataset}/{slide}"


def _others(rows: list[dict[str, str]], where: str) -> list[tuple[tuple[float, float, float], ...]]:
    """For every row, where other rows' mitotic figures lie in its patch, as (x_px, y_px, radius_px)."""
    if not rows or not {"x", "y"} <= rows[0].keys():
        return [()] * len(rows)
    by_slide: dict[tuple[str, str], list[tuple[int, float, float]]] = defaultdict(list)
    for i, row in enumerate(rows):
        by_slide[row["dataset"], row["slide"]].append((i, number(row["x"], where), number(row["y"], where)))
    found: list[tuple[tuple[float, float, float], ...]] = [()] * len(rows)
    centre, reach = (PATCH_PX - 1) / 2, PATCH_PX / 2 + _OTHER_RADIUS_PX
    for cells in by_slide.values():
        for i, x, y in cells:
            apart = [(u - x, v - y) for j, u, v in cells if j != i]
            near = [(a, b) for a, b in apart if max(abs(a), abs(b)) < reach and math.hypot(a, b) > 0]
            found[i] = tuple((centre + a, centre + b, _OTHER_RADIUS_PX) for a, b in near)
    return found


def recognises(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return header_of(path / "index.csv") >= set(_COLUMNS)


def read(path: Path) -> Dataset:
    """Read the folder. Raises: LabelError for a malformed row, an unknown label or a row without its patch."""
    fields = []
    rows = list(table_rows(path / "index.csv", _COLUMNS))
    others = _others([row for _, row in rows], str(path / "index.csv"))
    for (line, row), excluded in zip(rows, others, strict=True):
        if row["label"] not in _LABELS:
            raise LabelError(f"{path}/index.csv line {line}: label {row['label']!r} is neither normal nor atypical.")
        image = path / "patches" / row["file"]
        if not image.is_file():
            raise LabelError(f"{path}/index.csv line {line}: {image} does not exist. Remove the row or add the file.")
        centre = (PATCH_PX - 1) / 2
        fields.append(
            Field(
                path=image,
                case=_case(row["dataset"], row["slide"]),
                cells=(Cell(centre, centre, _LABELS[row["label"]]),),
                um_per_px=UM_PER_PX_40X,
                complete=False,
                excluded=excluded,
                domain=row["dataset"],
            )
        )
    return Dataset(
        name="AMi-Br",
        fields=tuple(fields),
        licence="MIT",
        source="Bertram et al. 2025; Banerjee et al. 2025, arXiv:2506.21444",
    )
