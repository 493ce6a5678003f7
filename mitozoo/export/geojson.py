"""GeoJSON for QuPath: one point a detection.

`objectType` and `measurements` lie inside `properties`, where QuPath looks for them.
"""

from __future__ import annotations

import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from mitozoo.base.points import Detection
from mitozoo.export.colours import COLOURS, NAMES
from mitozoo.export.documents import utf8, write_json
from mitozoo.inference.result import FieldResult

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "mitozoo")


def _feature(item: Detection, identifier: str, origin_px: tuple[float, float]) -> dict[str, Any]:
    measurements = {"probability": round(item.score, 6)}
    if item.atypical_score is not None:
        measurements["atypical probability"] = round(item.atypical_score, 6)
    x, y = item.x_px - origin_px[0], item.y_px - origin_px[1]
    return {
        "type": "Feature",
        "id": identifier,
        "geometry": {"type": "Point", "coordinates": [round(x, 3), round(y, 3)]},
        "properties": {
            "objectType": "detection",
            "classification": {"name": NAMES[item.label], "color": list(COLOURS[item.label])},
            "measurements": measurements,
        },
    }


def feature_collection(result: FieldResult, *, origin_px: tuple[float, float] = (0.0, 0.0)) -> dict[str, Any]:
    """Return the detections of an image as a FeatureCollection.

    The same image and coordinates give the same UUIDs in every run, so that a second import finds its objects again.

    Args: result; origin_px, the level-0 pixel that the reader counts from (the bounds of a slide in QuPath).
    """
    seen: Counter[str] = Counter()
    features = []
    for item in result.detections:
        key = f"{result.name}|{item.x_px:.3f}|{item.y_px:.3f}"
        seen[key] += 1
        identifier = uuid.uuid5(_NAMESPACE, utf8(f"{key}|{seen[key]}").decode())
        features.append(_feature(item, str(identifier), origin_px))
    return {"type": "FeatureCollection", "features": features}


def write_geojson(path: Path, result: FieldResult, *, origin_px: tuple[float, float] = (0.0, 0.0)) -> None:
    """Write `feature_collection`. Raises: OutputError where the file cannot be written."""
    write_json(path, feature_collection(result, origin_px=origin_px))
