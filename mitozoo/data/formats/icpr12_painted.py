"""ICPR 2012 fields whose mitotic figures are painted solid yellow: fields without positives.

Layout: `A00_00.jpg` … (A = Aperio, 0.2456 µm per pixel, H = Hamamatsu, 0.2273) beside `mitoses.csv`
(`file,x,y,major_axis_px,minor_axis_px,um_per_px`).
Source: Roux et al. 2013 (MITOS), painted by fsalmasri/Mitosis_final.
Case: the slide, `00` of `A00_08.jpg`. The two scanners show the *same* slides, so they share a case.
Traps: the painted nuclei are gone, so nothing is counted within 40 px (10 µm) of a painted centre; all the rest is
expert-checked tissue without mitotic figures.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from mitozoo.base.errors import LabelError
from mitozoo.data.dataset import Dataset, Field, MaskSource
from mitozoo.data.labels import header_of, number, table_rows

TITLE = "painted ICPR 2012 fields (mitoses.csv with file,x,y,major_axis_px)"
#: Radius around a painted centre in which detections are ignored.
EXCLUDED_RADIUS_PX = 40.0
_COLUMNS = ("file", "x", "y", "major_axis_px")
_SCANNERS = {"A": ("Aperio", 0.2456), "H": ("Hamamatsu", 0.2273)}


def recognises(path: Path) -> bool:
    """Whether `path` is a folder of this layout."""
    return header_of(path / "mitoses.csv") >= set(_COLUMNS)


def read(path: Path) -> Dataset:
    """Read the folder. Raises: LabelError for a malformed row, a missing image or a name that fits no scanner."""
    circles: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for line, row in table_rows(path / "mitoses.csv", _COLUMNS):
        x, y = (number(row[name], f"{path}/mitoses.csv line {line}") for name in ("x", "y"))
        circles[row["file"]].append((x, y, EXCLUDED_RADIUS_PX))
    for name in circles:
        if not (path / name).is_file():
            raise LabelError(f"{path}/mitoses.csv names {name}, which does not exist. Remove its rows or add the file.")
    fields = []
    for image in sorted(path.glob("*.jpg")):
        if image.name[0] not in _SCANNERS or image.name[3:4] != "_":
            raise LabelError(f"{image}: the name does not start with a scanner and slide like A00_ or H00_.")
        scanner, um_per_px = _SCANNERS[image.name[0]]
        fields.append(
            Field(
                path=image,
                case=f"ICPR12/{image.name[1:3]}",
                um_per_px=um_per_px,
                excluded=tuple(circles[image.name]),
                domain=scanner,
                mask=MaskSource(image, "painted"),
            )
        )
    return Dataset(name="ICPR12 painted", fields=tuple(fields), source="Roux et al. 2013, painted by fsalmasri")


def painted_mask(pixels: np.ndarray) -> np.ndarray:
    """Return the mask of the solid yellow.

    Args: pixels uint8 (H, W, 3) RGB.  Returns: bool (H, W). JPEG blurs the paint's rim: the mask is cut a little wide.
    """
    red, green, blue = (pixels[..., i].astype(np.int16) for i in range(3))
    return (red > 170) & (green > 170) & (blue < 110) & (np.abs(red - green) < 70)
