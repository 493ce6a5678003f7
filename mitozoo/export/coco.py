"""COCO json of a whole run: images, and a box around every detection."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE
from mitozoo.base.units import UM_PER_PX_40X, um_to_px
from mitozoo.export.documents import write_json
from mitozoo.inference.result import FieldResult

#: Side of a box: 50 px at 40x, as in the MIDOG labels.
BOX_UM = 12.5
#: 2 stays free: in the MIDOG labels it is a cell that is *not* a mitotic figure.
CATEGORIES = {MITOTIC_FIGURE: (1, "mitotic figure"), ATYPICAL: (3, "atypical mitotic figure")}


def coco(results: Iterable[FieldResult]) -> dict[str, Any]:
    """Return the run as COCO.

    Boxes are `[x, y, width, height]` in level-0 pixels with x + width / 2 the detection's x; they are not cut at the
    border, so that the centre stays. Failed images are left out; searched ones without detections stay.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for result in results:
        if not result.ok:
            continue
        image_id = len(images) + 1
        images.append(
            {"id": image_id, "file_name": result.name, "width": result.width_px, "height": result.height_px},
        )
        side = round(um_to_px(BOX_UM, result.um_per_px or UM_PER_PX_40X), 2)
        for item in result.detections:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": CATEGORIES[item.label][0],
                    "bbox": [round(item.x_px - side / 2, 3), round(item.y_px - side / 2, 3), side, side],
                    "area": round(side * side, 2),
                    "iscrowd": 0,
                    "score": round(item.score, 6),
                }
            )
    categories = [{"id": number, "name": name} for number, name in CATEGORIES.values()]
    return {"images": images, "categories": categories, "annotations": annotations}


def write_coco(path: Path, results: Iterable[FieldResult]) -> None:
    """Write `coco`. Raises: OutputError where the file cannot be written."""
    write_json(path, coco(results))
