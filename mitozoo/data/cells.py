"""Cells to train windows on: each with tissue around it, and negatives mined from nuclei that are not mitotic.

A canvas is a square of `CANVAS_PX` at the model's spacing with the cell at its centre: a window of 128 px fits into it at
any offset of up to 32 px. Patches of 128 px are continued by reflection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.base.points import MITOTIC_CLASSES, NON_MITOTIC
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.candidates import nuclei
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import read_image

CANVAS_PX = 192
#: A nucleus nearer than this to a mitotic figure may be a part of it.
NEIGHBOUR_UM = 7.0
#: Radius of what is pasted over a mitotic figure, and over ordinary nuclei for control.
PASTE_RADIUS_PX = 26


@dataclass(frozen=True)
class Cells:
    """Cells as arrays.

    Attributes: canvases uint8 (n, CANVAS_PX, CANVAS_PX, 3) RGB; labels (n,) numbers into `classes`; cases and origins
    (n,) str; classes, names. An origin is where the cell came from: "labelled", "field" (mined from a field) or
    "neighbour" (mined beside a labelled mitotic figure).
    """

    canvases: np.ndarray
    labels: np.ndarray
    cases: np.ndarray
    origins: np.ndarray
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> Cells:
        """The cells of an index or mask."""
        return Cells(self.canvases[index], self.labels[index], self.cases[index], self.origins[index], self.classes)


def cut_canvas(pixels: np.ndarray, x_px: float, y_px: float, size_px: int = CANVAS_PX) -> np.ndarray:
    """Cut a square around a point, continued by reflection where the image ends.

    Args: pixels uint8 (H, W, 3); x_px, y_px; size_px, even.  Returns: uint8 (size_px, size_px, 3). The point lies
    between the four central pixels to within half a pixel.
    """
    height, width = pixels.shape[:2]
    left, top = (int(np.floor(value + 1)) - size_px // 2 for value in (x_px, y_px))
    x0, x1, y0, y1 = max(left, 0), min(left + size_px, width), max(top, 0), min(top + size_px, height)
    inner = pixels[y0:y1, x0:x1]
    pad = (y0 - top, top + size_px - y1, x0 - left, left + size_px - x1)
    return inner if not any(pad) else cv2.copyMakeBorder(inner, *pad, cv2.BORDER_REFLECT)


def paste_over(
    pixels: np.ndarray, target: tuple[float, float], source: tuple[float, float], radius_px: int = PASTE_RADIUS_PX
) -> np.ndarray:
    """Return a copy in which a feathered disc around `target` is covered by the tissue around `source` (x, y each)."""
    size = 4 * radius_px
    patch = cut_canvas(pixels, *source, size)
    line = np.arange(size) - (size - 1) / 2
    distance = np.hypot(line[:, None], line[None])
    alpha = np.clip((radius_px + 4 - distance) / 8, 0, 1)[..., None]
    border = size
    wide = cv2.copyMakeBorder(pixels, border, border, border, border, cv2.BORDER_REFLECT)
    left, top = (int(np.floor(value + 1)) - size // 2 + border for value in target)
    under = wide[top : top + size, left : left + size]
    wide[top : top + size, left : left + size] = np.round(alpha * patch + (1 - alpha) * under).astype(np.uint8)
    return wide[border:-border, border:-border]


def _pixels(field: Field, um_per_px: float) -> tuple[np.ndarray, float]:
    """Read a field at a spacing; also the factor from its own pixels to these."""
    pixels = read_image(field.path).pixels
    factor = (field.um_per_px or um_per_px) / um_per_px
    if abs(factor - 1) > 0.005:
        mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        pixels = cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=mode)
        return pixels, factor
    return pixels, 1.0


def _labelled(field: Field, pixels: np.ndarray, factor: float, generator: np.random.Generator) -> list[tuple]:
    """Canvases of a field's labelled cells; half of those in small patches get an ordinary nucleus pasted over."""
    out = []
    for cell in field.cells:
        x, y = (cell.x_px + 0.5) * factor - 0.5, (cell.y_px + 0.5) * factor - 0.5
        image = pixels
        if not field.complete and min(pixels.shape[:2]) <= CANVAS_PX and generator.random() < 0.5:
            angle = generator.uniform(0, 2 * np.pi, 2)
            spots = [(x + 48 * np.cos(a), y + 48 * np.sin(a)) for a in angle]
            image = paste_over(pixels, spots[0], spots[1], PASTE_RADIUS_PX - 8)
        out.append((cut_canvas(image, x, y), cell.label, "labelled"))
    return out


def mine_neighbours(field: Field, pixels: np.ndarray, factor: float, most: int) -> list[np.ndarray]:
    """Nuclei beside the mitotic figure of a patch, with the figure pasted over by tissue from the patch's far side."""
    if len(field.mitoses) != 1:
        return []
    centre = (field.mitoses[0] + 0.5) * factor - 0.5
    reach = NEIGHBOUR_UM / UM_PER_PX_40X
    out = []
    for x, y, _ in nuclei(pixels, UM_PER_PX_40X):
        inside = 8 <= x < pixels.shape[1] - 8 and 8 <= y < pixels.shape[0] - 8
        if not inside or np.hypot(x - centre[0], y - centre[1]) < reach:
            continue
        away = centre - (x, y)
        source = centre + away / np.linalg.norm(away) * 44
        out.append(cut_canvas(paste_over(pixels, tuple(centre), tuple(source)), x, y))
        if len(out) == most:
            break
    return out


def mine_field(
    field: Field, pixels: np.ndarray, factor: float, most: int, generator: np.random.Generator
) -> list[np.ndarray]:
    """Nuclei of a field without labels: half the darkest, half at random, none near an excluded place."""
    found = nuclei(pixels, UM_PER_PX_40X)
    for x, y, radius in field.excluded:
        near = np.hypot(found[:, 0] - x * factor, found[:, 1] - y * factor) < radius * factor + CANVAS_PX / 3
        found = found[~near]
    darkest, rest = found[: most // 2], found[most // 2 :]
    chosen = [darkest, rest[generator.permutation(len(rest))[: most - len(darkest)]]]
    return [cut_canvas(pixels, x, y) for x, y, _ in np.concatenate(chosen)]


def collect(
    datasets: Sequence[Dataset],
    negatives: Sequence[Dataset],
    classes: Sequence[str],
    *,
    seed: int,
    per_field: int = 240,
    per_neighbour: int = 2,
    um_per_px: float = UM_PER_PX_40X,
    progress: Callable[[int, int], None] | None = None,
) -> Cells:
    """Gather labelled cells and mine negatives.

    Args:
        datasets: their labelled cells are taken, and nuclei beside mitotic figures in patches.
        negatives: fields whose nuclei are all taken as non-mitotic, `per_field` each at most (scaled by area under 4 Mpx).
        classes: names, in the order of the labels; a labelled cell of another class raises DataError.
        per_neighbour: nuclei beside each labelled mitotic figure of a patch.
        progress: called with done and total fields.
    Raises: DataError for a class without example.
    """
    generator = np.random.default_rng(seed)
    rows: list[tuple[np.ndarray, str, str, str]] = []
    jobs = [(field, False) for data in datasets for field in data.fields]
    jobs += [(field, True) for data in negatives for field in data.fields]
    for done, (field, mined) in enumerate(jobs):
        pixels, factor = _pixels(field, um_per_px)
        if mined:
            most = max(4, round(per_field * min(1.0, pixels.shape[0] * pixels.shape[1] / 4e6)))
            found = [(c, NON_MITOTIC, "field") for c in mine_field(field, pixels, factor, most, generator)]
        else:
            found = _labelled(field, pixels, factor, generator)
            if not field.complete and any(cell.label in MITOTIC_CLASSES for cell in field.cells):
                found += [(c, NON_MITOTIC, "neighbour") for c in mine_neighbours(field, pixels, factor, per_neighbour)]
        rows += [(canvas, label, field.case, origin) for canvas, label, origin in found]
        if progress:
            progress(done + 1, len(jobs))
    return _as_arrays(rows, tuple(classes))


def _as_arrays(rows: list[tuple[np.ndarray, str, str, str]], classes: tuple[str, ...]) -> Cells:
    strange = sorted({row[1] for row in rows} - set(classes))
    if strange:
        raise DataError(f"Class {strange[0]!r} is not one of the model's: {', '.join(classes)}. Choose with --classes.")
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[row[1]] for row in rows], dtype=np.int32)
    for name, i in number.items():
        if not (labels == i).any():
            raise DataError(f"No example of class {name!r}. Add data that has it (--data, --negatives) or drop the class.")
    return Cells(
        canvases=np.stack([row[0] for row in rows]),
        labels=labels,
        cases=np.array([row[2] for row in rows]),
        origins=np.array([row[3] for row in rows]),
        classes=classes,
    )
