"""Reading detections that were made earlier, by mitozoo or by another program.

Read are: our `detections.csv` (with `summary.csv` beside it, which tells the images that were searched) or any CSV with
the columns image, x_px, y_px, score; Grand Challenge's json of multiple points, a file an image; COCO json with scores.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import NON_MITOTIC
from mitozoo.data.labels import class_of, number, read_text, table_rows
from mitozoo.data.listing import nearest_sibling
from mitozoo.inference.result import OK

DETECTIONS, SUMMARY, RUN = "detections.csv", "summary.csv", "run.json"
#: Ending of Grand Challenge's file of one image, and the whole name where there is one image alone.
POINTS_SUFFIX, POINTS_FILE = ".mitotic-figures.json", "mitotic-figures.json"
_COLUMNS = ("image", "x_px", "y_px", "score")
#: Numbers of COCO's categories where the file does not name them, as in MIDOG: 2 is not a mitotic figure.
_NOT_MITOTIC = 2


@dataclass(frozen=True, eq=False)
class Predicted:
    """What was predicted in one image.

    Attributes: name, path of the image as the predictions have it, or "" where they do not say; xy (n, 2) centres in
    pixels, or in mm; scores (n,); in_mm; status, "ok" or why the image was not searched; um_per_px and tissue_mm2
    searched, where known.
    """

    name: str
    xy: np.ndarray
    scores: np.ndarray
    in_mm: bool = False
    status: str = OK
    um_per_px: float | None = None
    tissue_mm2: float = float("nan")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of any number of images.

    Attributes: path as given; kind, in words; images; run, what the run.json beside them says, or empty;
    lists_searched, whether searched images without a detection are among `images`.
    """

    path: Path
    kind: str
    images: tuple[Predicted, ...]
    run: Mapping[str, Any] = field(default_factory=dict)
    lists_searched: bool = True

    @property
    def threshold(self) -> float | None:
        """The threshold of the run that made them, or None where nothing tells it."""
        value = self.run.get("threshold")
        known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if known and isinstance(value, int | float) else None


def read_predictions(path: Path) -> Predictions:
    """Read a file of predictions, or a folder that `mitozoo predict` wrote.

    Raises: DataError if it does not exist, is of no known kind, or says of an image that it failed and what was found
    in it; LabelError, naming file and line, where it is malformed or a score is missing.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"No such file or folder: {path}. {nearest_sibling(path)}".rstrip())
    if path.is_dir():
        return _of_folder(path)
    if path.suffix.lower() == ".csv":
        return _of_csv(path)
    content = _json(path)
    if isinstance(content, dict) and content.get("type") == "Multiple points":
        return _of_points(path, path.parent, [_points(path, content, _image_of(path.name))])
    if isinstance(content, list) or (isinstance(content, dict) and "annotations" in content):
        return Predictions(path, "COCO json", tuple(_coco(path, content)), _run_beside(path.parent))
    raise DataError(
        f"{path} holds no predictions of a known kind. Give a detections.csv, a Grand Challenge json (multiple points) "
        "or a COCO json with scores."
    )


def _of_folder(folder: Path) -> Predictions:
    if (folder / DETECTIONS).is_file():
        return _of_csv(folder / DETECTIONS)
    files = sorted(file for file in folder.rglob("*.json") if file.name.endswith((POINTS_SUFFIX, POINTS_FILE)))
    if not files:
        raise DataError(f"{folder} holds no {DETECTIONS} and no *{POINTS_SUFFIX}. Give the file itself.")
    images = [_points(file, _json(file), _image_of(file.relative_to(folder).as_posix())) for file in files]
    return _of_points(folder, folder, images)


def _of_points(path: Path, folder: Path, images: list[Predicted]) -> Predictions:
    """With spacing and area from a summary.csv in the folder, and the images that it says failed."""
    if (folder / SUMMARY).is_file():
        listed = {row.name: row for row in _summary(folder / SUMMARY, {})}
        images = [
            replace(image, um_per_px=row.um_per_px, tissue_mm2=row.tissue_mm2)
            if (row := listed.pop(image.name, None))
            else image
            for image in images
        ]
        images += [row for row in listed.values() if row.status != OK]
    return Predictions(path, "Grand Challenge json", tuple(images), _run_beside(folder))


def _image_of(name: str) -> str:
    """The image that a file of points is of, by its name: ours add an ending, others change `.tiff` to `.json`."""
    if Path(name).name == POINTS_FILE:
        return ""
    return name[: -len(POINTS_SUFFIX)] if name.endswith(POINTS_SUFFIX) else name[: -len(".json")]


def _run_beside(folder: Path) -> Mapping[str, Any]:
    file = folder / RUN
    if not file.is_file():
        return {}
    try:
        content = json.loads(read_text(file))
    except (ValueError, LabelError):
        return {}
    return content if isinstance(content, dict) else {}


def _json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise LabelError(f"{path} is not valid JSON ({error}). Export it again.") from error


def _arrays(points: list[tuple[float, float, float]]) -> tuple[np.ndarray, np.ndarray]:
    table = np.asarray(points, dtype=np.float64).reshape(-1, 3)
    return table[:, :2], table[:, 2]


def _of_csv(path: Path) -> Predictions:
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for line, row in table_rows(path, _COLUMNS):
        where = f"{path} line {line}"
        if not row["score"]:
            raise LabelError(f"{where}: there is no score. Every detection needs one.")
        points = found[row["image"]]
        if class_of(row.get("label", "")) != NON_MITOTIC:
            points.append((number(row["x_px"], where), number(row["y_px"], where), number(row["score"], where)))
    summary = path.parent / SUMMARY
    if not summary.is_file():
        images = [Predicted(name, *_arrays(points)) for name, points in found.items()]
        return Predictions(path, "CSV", tuple(images), _run_beside(path.parent), lists_searched=False)
    searched = {image.name: image for image in _summary(summary, found)}
    for name in found:
        if name not in searched or searched[name].status != OK:
            says = "does not list it" if name not in searched else "says that it was not searched"
            raise DataError(f"{path} has detections in {name!r}, but {summary} {says}. Give two files of the same run.")
    return Predictions(path, "CSV", tuple(searched.values()), _run_beside(path.parent))


def _summary(path: Path, found: Mapping[str, list[tuple[float, float, float]]]) -> list[Predicted]:
    images = []
    for line, row in table_rows(path, ("image", "status")):
        known = {
            name: number(row[name], f"{path} line {line}") for name in ("um_per_px", "tissue_mm2") if row.get(name)
        }
        xy, scores = _arrays(found.get(row["image"], []))
        images.append(
            Predicted(
                name=row["image"],
                xy=xy,
                scores=scores,
                status=row["status"] or "no status",
                um_per_px=known.get("um_per_px"),
                tissue_mm2=known.get("tissue_mm2", float("nan")),
            )
        )
    return images


def _points(path: Path, content: Any, name: str) -> Predicted:
    """Points in mm; those called non-mitotic are candidates under the threshold, which the curves need."""
    points = []
    try:
        for item in content["points"]:
            if item.get("probability") is None:
                raise LabelError(f"{path}: a point has no probability. Every detection needs a score.")
            x_mm, y_mm = item["point"][:2]
            points.append((float(x_mm), float(y_mm), float(item["probability"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(f"{path}: {error!r} is missing or wrong in its points. Export it again.") from error
    return Predicted(name, *_arrays(points), in_mm=True)


def _coco(path: Path, content: Any) -> list[Predicted]:
    """Boxes x, y, w, h; an image without any was searched. A bare list of results must name its images' files."""
    found: dict[Any, list[tuple[float, float, float]]] = {}
    try:
        listed = content.get("images", []) if isinstance(content, dict) else []
        images = {item["id"]: item for item in listed}
        categories = {item["id"]: str(item["name"]) for item in content.get("categories", ())} if listed else {}
        found = {uid: [] for uid in images}
        for item in content["annotations"] if isinstance(content, dict) else content:
            uid = item["image_id"]
            if uid not in images and (images or not isinstance(uid, str)):
                raise LabelError(f"{path}: image {uid} is not in its images, so its file is not known. Add it.")
            if item.get("score") is None:
                raise LabelError(f"{path}: a box has no score. Give predictions, not labels.")
            x, y, width, height = (float(value) for value in item["bbox"])
            point = (x + width / 2, y + height / 2)
            _check_box(path, images.get(uid, {}), item["bbox"], point)
            category = item.get("category_id")
            name = categories.get(category)
            points = found.setdefault(uid, [])
            if class_of(name) != NON_MITOTIC if name is not None else category != _NOT_MITOTIC:
                points.append((*point, float(item["score"])))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(f"{path}: {error!r} is missing or wrong. Export it again as COCO json.") from error
    return [
        Predicted(str(images[uid]["file_name"]) if uid in images else str(uid), *_arrays(points))
        for uid, points in found.items()
    ]


def _check_box(path: Path, image: Mapping[str, Any], box: Any, centre: tuple[float, float]) -> None:
    """Boxes that are x1,y1,x2,y2 would have their centres in the wrong place."""
    if "width" in image and not (centre[0] <= float(image["width"]) and centre[1] <= float(image["height"])):
        raise LabelError(
            f"{path}: the box {box} of {image['file_name']} has its centre outside the image ({image['width']} x "
            f"{image['height']} px). It should be x, y, width, height."
        )
