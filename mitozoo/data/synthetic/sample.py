"""Write synthetic fields as a folder that reads like a public data set: PNG, masks, MIDOG.json.

The pictures are for demos and tests: they show that the tools work, never how accurate a model is.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mitozoo.base.errors import OutputError
from mitozoo.base.files import make_folder, write_bytes, write_text
from mitozoo.base.points import MITOTIC_CLASSES, Cell
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.synthetic.field import draw_field

#: MIDOG's boxes are squares of this side about the centre of a cell.
BOX_PX = 50
CATEGORIES = [{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "hard negative"}]

README = """Synthetic H&E fields drawn by `mitozoo sample`.

Every pixel is computed: no patient, no slide. The fields are for trying the tools and for tests. They say nothing about
how accurate a model is on real tissue; do not train on them or quote a number from them as a result.

field_0001.png ...             RGB, {um_per_px:g} um per pixel (also in the PNG's pHYs chunk)
masks/field_0001.mask.png ...  255 on the chromatin of mitotic figures, 0 elsewhere
MIDOG.json                     labels: bbox is x1, y1, x2, y2 in pixels, 50 x 50 about the centre of the cell;
                               category 1 mitotic figure, 2 look-alike. Atypical mitotic figures are in category 1.

Drawn with seed {seed}: the same command draws the same fields.
"""


def png_bytes(image: NDArray[np.uint8], um_per_px: float | None = None) -> bytes:
    """Encode uint8 (H, W) or RGB (H, W, 3) as PNG, with the spacing in a pHYs chunk (pixels per metre) if given.

    Source: PNG specification, third edition, 11.3.4.3.
    """
    code = cv2.imencode(".png", image if image.ndim == 2 else image[..., ::-1])[1].tobytes()
    if um_per_px is None:
        return code
    per_metre = round(1e6 / um_per_px)
    chunk = b"pHYs" + struct.pack(">IIB", per_metre, per_metre, 1)
    # The signature takes 8 bytes and the header chunk, always first, 25; pHYs must come before the pixels.
    return code[:33] + struct.pack(">I", 9) + chunk + struct.pack(">I", zlib.crc32(chunk)) + code[33:]


def _annotation(cell: Cell, number: int, image_id: int) -> dict[str, Any]:
    x, y = round(cell.x_px), round(cell.y_px)
    half = BOX_PX // 2
    return {
        "id": number,
        "image_id": image_id,
        "category_id": 1 if cell.label in MITOTIC_CLASSES else 2,
        "bbox": [x - half, y - half, x + half, y + half],
        "labels": [{"label": cell.label}],
    }


def midog_json(images: Mapping[str, tuple[int, int, Sequence[Cell]]]) -> dict[str, Any]:
    """Labels in the form of the MIDOG challenges: bbox is x1, y1, x2, y2 in px.

    Args: images, width, height and cells of each by its file's name.
    """
    rows: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, (name, (width, height, cells)) in enumerate(images.items(), start=1):
        rows.append({"id": image_id, "file_name": name, "width": width, "height": height})
        annotations += [_annotation(cell, len(annotations) + k, image_id) for k, cell in enumerate(cells, 1)]
    info = {"description": "Synthetic H&E fields drawn by mitozoo sample; not for accuracy claims."}
    return {"info": info, "images": rows, "categories": CATEGORIES, "annotations": annotations}


def check_free(targets: Sequence[Path], *, overwrite: bool) -> None:
    """Raises: OutputError if one of the files is there already and is not to be replaced."""
    taken = [path for path in targets if path.exists()]
    if taken and not overwrite:
        others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise OutputError(f"Already there: {taken[0]}{others}. Choose another folder, or replace with --overwrite.")


def write_sample(
    folder: Path,
    count: int,
    size_px: int,
    seed: int,
    *,
    um_per_px: float = UM_PER_PX_40X,
    overwrite: bool = False,
) -> list[Path]:
    """Draw `count` square fields into `folder`, with masks, `MIDOG.json` and a README.txt.

    Args: folder, made if missing; count of fields; size_px side; seed >= 0 of the whole sample; um_per_px spacing;
        overwrite replaces files of these names.
    Returns: paths of the fields.
    Raises: OutputError if a file is there already; nothing is written then. DataError for a field that is too small.
    """
    names = [f"field_{number:04d}.png" for number in range(1, count + 1)]
    # Whoever searches the folder leaves files of such names out.
    masks = [f"masks/field_{number:04d}.mask.png" for number in range(1, count + 1)]
    check_free([folder / name for name in [*names, *masks, "MIDOG.json", "README.txt"]], overwrite=overwrite)
    make_folder(folder / "masks")
    fields = {}
    for number, name in enumerate(names):
        # Seeds of neighbouring samples must not share fields.
        own_seed = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        field = draw_field(size_px, seed=own_seed, um_per_px=um_per_px)
        write_bytes(folder / name, png_bytes(field.image, um_per_px))
        write_bytes(folder / masks[number], png_bytes(np.asarray(field.mask * 255, np.uint8)))
        fields[name] = (size_px, size_px, field.cells)
    write_text(folder / "MIDOG.json", json.dumps(midog_json(fields), indent=1) + "\n")
    write_text(folder / "README.txt", README.format(um_per_px=um_per_px, seed=seed))
    return [folder / name for name in names]
