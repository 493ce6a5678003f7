"""Compose a folder of training fields, whole or not at all."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.base.files import make_folder, whole_folder
from mitozoo.base.points import MITOTIC_CLASSES
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.composing.compose import Composed, Stock, compose_field
from mitozoo.data.composing.cutouts import at_40x, patch_cutouts
from mitozoo.data.composing.ground import Ground
from mitozoo.data.dataset import Dataset, Field

CELLS_FILE, RECORD_FILE = "cells.csv", "composed.json"
#: Columns of the table of cells.
COLUMNS = ("image", "x", "y", "label", "case", "origin", "source", "radius", "strong")
#: What is told while it runs: what is done now, how much of it, of how much.
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class ComposeSettings:
    """Attributes: per_mm2, mitotic figures for each mm² of tissue; rounds, how often every field is used anew; seed;
    strong, share of the fields that keep their pixel masks, the others have centres only.
    """

    per_mm2: float = 60.0
    rounds: int = 1
    seed: int = 0
    strong: float = 1.0


def of_part(datasets: Sequence[Dataset], cases: Sequence[str]) -> list[Dataset]:
    """The data sets with only the fields of some cases; sets of which nothing is left are dropped."""
    wanted = set(cases)
    kept = [replace(item, fields=tuple(field for field in item.fields if field.case in wanted)) for item in datasets]
    return [item for item in kept if item.fields]


def compose_folder(
    patches: Sequence[Dataset],
    fields: Sequence[Dataset],
    out: Path,
    settings: ComposeSettings,
    *,
    tell: Tell | None = None,
    **record: Any,
) -> dict[str, int]:
    """Compose every field `rounds` times and write `images/`, `masks/`, `cells.csv` and `composed.json`.

    Args: patches, whose mitotic figures and other nuclei are placed; fields, that they are placed into; out, a folder
        that does not exist; tell; record, more entries of `composed.json`.
    Returns: counts: fields, mitotic_figures, controls, strong_fields, flagged (chromatin not found), uncovered.
    Raises: DataError where the patches have no mitotic figure that can be cut out, or there is no field; OutputError.
    """
    tell = tell or (lambda _what, _done, _total: None)
    generator = np.random.default_rng([settings.seed, 0])
    figures, controls = patch_cutouts(patches, lambda done, total: tell("Patches", done, total))
    if not figures:
        raise DataError(
            "The patches hold no mitotic figure with 10 µm of tissue on every side. Give others with --patches, or "
            "another --part."
        )
    grounds = [field for data in fields for field in data.fields]
    if not grounds:
        raise DataError(
            "There is no field to place mitotic figures into. Give others with --fields, or another --part."
        )
    stocks = Stock(figures, generator), Stock(controls, generator) if controls else None
    total = settings.rounds * len(grounds)
    strong = generator.permutation(total) < round(settings.strong * total)
    rows: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    with whole_folder(out) as folder:
        make_folder(folder / "images")
        make_folder(folder / "masks")
        for number in range(total):
            field = grounds[number % len(grounds)]
            name = f"{field.path.stem}_{number // len(grounds) + 1}_{number % len(grounds):03}.png"
            ground = Ground.of(field, *at_40x(field))
            done = compose_field(ground, *stocks, settings.per_mm2, np.random.default_rng([settings.seed, 1, number]))
            if done.cells or field.labelled:
                _write_images(folder, name, done, bool(strong[number]))
                rows += _rows(name, done)
                images.append(_entry(name, field, done, bool(strong[number])))
            tell("Fields", number + 1, total)
        counts = _counts(rows, images)
        _write_tables(folder, rows, images, {**record, "settings": asdict(settings), "counts": counts})
    return counts


def _write_images(folder: Path, name: str, done: Composed, strong: bool) -> None:
    cv2.imwrite(str(folder / "images" / name), done.pixels[..., ::-1])
    if strong:
        cv2.imwrite(str(folder / "masks" / name), done.mask)


def _rows(name: str, done: Composed) -> list[dict[str, Any]]:
    return [
        {
            "image": name,
            "x": round(cell.x_px, 2),
            "y": round(cell.y_px, 2),
            "label": cell.label,
            "case": cell.case,
            "origin": cell.origin,
            "source": cell.source,
            "radius": round(cell.radius_px, 2),
            "strong": int(cell.strong),
        }
        for cell in done.cells
    ]


def _entry(name: str, field: Field, done: Composed, strong: bool) -> dict[str, Any]:
    return {
        "image": name,
        "case": field.case,
        "domain": field.domain,
        "ground": field.path.name,
        "complete": field.complete and field.labelled,
        "strong": strong,
        "excluded": [[round(value, 2) for value in circle] for circle in done.excluded],
    }


def _counts(rows: Sequence[Mapping[str, Any]], images: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    mitotic = [row for row in rows if row["label"] in MITOTIC_CLASSES]
    return {
        "fields": len(images),
        "strong_fields": sum(image["strong"] for image in images),
        "mitotic_figures": len(mitotic),
        "controls": len(rows) - len(mitotic),
        "flagged": sum(not row["strong"] for row in mitotic),
        "uncovered": sum(len(image["excluded"]) for image in images),
        **{f"origin {origin}": count for origin, count in sorted(Counter(row["origin"] for row in rows).items())},
    }


def _write_tables(
    folder: Path, rows: list[dict[str, Any]], images: list[dict[str, Any]], record: dict[str, Any]
) -> None:
    with (folder / CELLS_FILE).open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    content = {"um_per_px": UM_PER_PX_40X, **record, "images": images}
    (folder / RECORD_FILE).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
