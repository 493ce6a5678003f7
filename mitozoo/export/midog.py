"""Grand Challenge's `mitotic-figures.json`, as the MIDOG challenges take it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mitozoo.base.units import UM_PER_PX_40X, px_to_um
from mitozoo.export.documents import write_json
from mitozoo.inference.result import FieldResult

MITOTIC = "mitotic figure"
NON_MITOTIC = "non-mitotic figure"


def multiple_points(result: FieldResult) -> dict[str, Any]:
    """Return an image's points in mm, those under the threshold as `non-mitotic figure`, which curves need.

    A detection of either kind is a `mitotic figure`; the format has no atypical one.
    """
    spacing = result.um_per_px or UM_PER_PX_40X
    named = [(item, MITOTIC) for item in result.detections] + [(item, NON_MITOTIC) for item in result.below]
    return {
        "type": "Multiple points",
        "points": [
            {
                "point": [*(round(px_to_um(v, spacing) / 1000, 7) for v in (item.x_px, item.y_px)), 0],
                "probability": round(item.score, 6),
                "name": name,
            }
            for item, name in named
        ],
        "version": {"major": 1, "minor": 0},
    }


def write_midog(path: Path, result: FieldResult) -> None:
    """Write `multiple_points`. Raises: OutputError where the file cannot be written."""
    write_json(path, multiple_points(result))
