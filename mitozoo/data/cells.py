"""Cells to train windows on: each with tissue around it, and negatives mined from nuclei that are not mitotic.

A canvas is a square of `CANVAS_PX` at the model's spacing with the cell at its centre: a window of 128 px fits into it
at any offset of up to 32 px. A patch of 128 px is continued by tissue of another patch of its case, feathered, so that
no mirror image tells where the cell is; a share of the cells from whole fields is treated alike, so that no seam tells
the class. Only where a case has one patch is it continued by reflection.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from mitozoo.base.errors import DataError
from mitozoo.base.points import MITOTIC_CLASSES, NON_MITOTIC
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.candidates import nuclei
from mitozoo.data.canvases import Canvases
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import read_image

CANVAS_PX = 192
#: A nucleus nearer than this to a mitotic figure may be a part of it, or of what is pasted over it.
NEIGHBOUR_UM = 8.5
#: Raised when other cells are cut from the same data, so that no cache serves the old ones.
MINING = 2
#: Images that are read ahead.
READERS = 4
#: Radius of what is pasted over a mitotic figure, and over ordinary nuclei for control.
PASTE_RADIUS_PX = 26


#: From an image at 0.25 µm per pixel to places (n, 3): x_px, y_px, score, by falling score.
Places = Callable[[np.ndarray], np.ndarray]


def nuclei_40x(pixels: np.ndarray) -> np.ndarray:
    """Dark nuclei of an image at 0.25 µm per pixel."""
    return nuclei(pixels, UM_PER_PX_40X)


@dataclass(frozen=True)
class Cells:
    """Cells as arrays.

    Attributes: canvases uint8 (n, CANVAS_PX, CANVAS_PX, 3) RGB, one array or several; labels (n,) numbers into
    `classes`; cases and origins (n,) str; classes, names. An origin is where the cell came from: "labelled", "field"
    (mined from a field) or "neighbour" (mined beside a labelled mitotic figure), or these with "hard" before them where
    a network proposed the place; stains (n, 6), see `augment.stain_statistics`, or None where nobody has needed them.
    """

    canvases: np.ndarray | Canvases
    labels: np.ndarray
    cases: np.ndarray
    origins: np.ndarray
    classes: tuple[str, ...]
    stains: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: np.ndarray) -> Cells:
        """The cells of an index or mask; their canvases are not copied."""
        stains = None if self.stains is None else self.stains[index]
        canvases = Canvases.of(self.canvases).take(index)
        return Cells(canvases, self.labels[index], self.cases[index], self.origins[index], self.classes, stains)

    def joined(self, other: Cells) -> Cells:
        """These cells and others of the same classes; the canvases are not copied."""
        stains = None
        if self.stains is not None and other.stains is not None:
            stains = np.concatenate([self.stains, other.stains])
        return Cells(
            canvases=Canvases.of(self.canvases).joined(Canvases.of(other.canvases)),
            labels=np.concatenate([self.labels, other.labels]),
            cases=np.concatenate([self.cases, other.cases]),
            origins=np.concatenate([self.origins, other.origins]),
            classes=self.classes,
            stains=stains,
        )


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
    # A copy: a view of a few kilobytes would keep all of the image in memory.
    return inner.copy() if not any(pad) else cv2.copyMakeBorder(inner, *pad, cv2.BORDER_REFLECT)


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


def surround(
    pixels: np.ndarray, x_px: float, y_px: float, background: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Cut a canvas around a point whose outer part is another image.

    Args: pixels uint8 (H, W, 3); x_px, y_px; background uint8 (h, w, 3) of the same stain, repeated to fill the canvas.
    Returns: uint8 (CANVAS_PX, CANVAS_PX, 3): the image's own pixels to 44 to 64 px on each side as far as it reaches,
    feathered over 6 px, the background beyond.
    """
    half = CANVAS_PX // 2
    height, width = pixels.shape[:2]
    left, top = (int(np.floor(value + 1)) - half for value in (x_px, y_px))
    margin = generator.integers(44, 65, 4)
    low_x, low_y = max(half - margin[0], -left), max(half - margin[1], -top)
    high_x, high_y = min(half + margin[2], width - left), min(half + margin[3], height - top)
    line = np.arange(CANVAS_PX)
    ramp_x = np.minimum(line - low_x, high_x - 1 - line)[None]
    ramp_y = np.minimum(line - low_y, high_y - 1 - line)[:, None]
    alpha = np.clip((np.minimum(ramp_x, ramp_y) + 1) / 6, 0, 1)[..., None]
    shift = generator.integers(0, background.shape[0], 2)
    repeats = -(-CANVAS_PX // min(background.shape[:2]))
    outer = np.tile(np.roll(background, tuple(shift), (0, 1)), (repeats, repeats, 1))[:CANVAS_PX, :CANVAS_PX]
    return np.round(alpha * cut_canvas(pixels, x_px, y_px) + (1 - alpha) * outer).astype(np.uint8)


def _far_side(centre: np.ndarray, generator: np.random.Generator) -> tuple[float, float]:
    """A point 44 px from a centre, at a random angle."""
    angle = generator.uniform(0, 2 * np.pi)
    return centre[0] + 44 * np.cos(angle), centre[1] + 44 * np.sin(angle)


def _without_mitosis(field: Field, pixels: np.ndarray, factor: float, generator: np.random.Generator) -> np.ndarray:
    """The patch with its mitotic figures pasted over."""
    for point in field.mitoses:
        centre = (point + 0.5) * factor - 0.5
        pixels = paste_over(pixels, tuple(centre), _far_side(centre, generator))
    return pixels


def _labelled(
    field: Field, pixels: np.ndarray, factor: float, background: np.ndarray | None, generator: np.random.Generator
) -> list[tuple]:
    """Canvases of a field's labelled cells; in half of the small patches an ordinary place is pasted over."""
    out = []
    for cell in field.cells:
        x, y = (cell.x_px + 0.5) * factor - 0.5, (cell.y_px + 0.5) * factor - 0.5
        image, small = pixels, min(pixels.shape[:2]) < CANVAS_PX
        if small and generator.random() < 0.5:
            centre = np.array([x, y])
            image = paste_over(pixels, _far_side(centre, generator), _far_side(centre, generator), PASTE_RADIUS_PX - 8)
        canvas = cut_canvas(image, x, y) if background is None else surround(image, x, y, background, generator)
        out.append((canvas, cell.label, "labelled"))
    return out


def mine_neighbours(
    field: Field,
    pixels: np.ndarray,
    factor: float,
    most: int,
    background: np.ndarray | None,
    generator: np.random.Generator,
    places: Places = nuclei_40x,
) -> list[np.ndarray]:
    """Nuclei beside the mitotic figure of a patch, with the figure pasted over by tissue from the patch's far side.

    Only nuclei at least 24 px inside the patch are taken, so that the cell itself is whole, and none where the field is
    excluded (another mitotic figure).
    """
    if len(field.mitoses) != 1:
        return []
    centre = (field.mitoses[0] + 0.5) * factor - 0.5
    reach, rim = NEIGHBOUR_UM / UM_PER_PX_40X, 24
    out: list[np.ndarray] = []
    found = places(pixels)
    for place_x, place_y, radius in field.excluded:
        apart = np.hypot(found[:, 0] - place_x * factor, found[:, 1] - place_y * factor)
        found = found[apart > radius * factor]
    for x, y, _ in found:
        inside = rim <= x < pixels.shape[1] - rim and rim <= y < pixels.shape[0] - rim
        if not inside or np.hypot(x - centre[0], y - centre[1]) < reach:
            continue
        away = centre - (x, y)
        source = centre + away / np.linalg.norm(away) * 44
        clean = paste_over(pixels, tuple(centre), tuple(source))
        out.append(cut_canvas(clean, x, y) if background is None else surround(clean, x, y, background, generator))
        if len(out) == most:
            break
    return out


def mine_field(
    field: Field,
    pixels: np.ndarray,
    factor: float,
    most: int,
    generator: np.random.Generator,
    places: Places = nuclei_40x,
) -> list[np.ndarray]:
    """Nuclei of a field without labels: half the darkest, half at random, none whose canvas shows an excluded place.

    A third get the surroundings of another nucleus of the field, as patches do.
    """
    found = places(pixels)
    for x, y, radius in field.excluded:
        apart = np.maximum(np.abs(found[:, 0] - x * factor), np.abs(found[:, 1] - y * factor))
        found = found[apart > CANVAS_PX / 2 + radius * factor]
    darkest, rest = found[: most // 2], found[most // 2 :]
    chosen = np.concatenate([darkest, rest[generator.permutation(len(rest))[: most - len(darkest)]]])
    out = []
    for x, y, _ in chosen:
        if generator.random() < 1 / 3:
            other = chosen[generator.integers(len(chosen))]
            out.append(surround(pixels, x, y, cut_canvas(pixels, other[0], other[1], 128), generator))
        else:
            out.append(cut_canvas(pixels, x, y))
    return out


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
    places: Places = nuclei_40x,
    labelled: bool = True,
) -> Cells:
    """Gather labelled cells and mine negatives.

    Args:
        datasets: their labelled cells are taken, and nuclei beside mitotic figures in patches.
        negatives: fields whose nuclei are all taken as non-mitotic, `per_field` each at most (less under 4 Mpx).
        classes: names, in the order of the labels; a labelled cell of another class raises DataError.
        per_neighbour: nuclei beside each labelled mitotic figure of a patch.
        progress: called with done and total fields.
        places: what proposes negatives in an image at 0.25 µm per pixel: (n, 3) of x, y and score, by falling score.
        labelled: whether labelled cells are wanted too, or only what is mined.
    Raises: DataError for a class without example, where labelled cells are wanted.
    """
    generator = np.random.default_rng(seed)
    rows: list[tuple[np.ndarray, str, str, str]] = []
    jobs = [(field, False) for data in datasets for field in data.fields]
    jobs += [(field, True) for data in negatives for field in data.fields]
    backgrounds: dict[str, np.ndarray] = {}
    for done, ((field, mined), (pixels, factor)) in enumerate(zip(jobs, _read_ahead(jobs, um_per_px), strict=True)):
        if mined:
            most = max(4, round(per_field * min(1.0, pixels.shape[0] * pixels.shape[1] / 4e6)))
            found = [(c, NON_MITOTIC, "field") for c in mine_field(field, pixels, factor, most, generator, places)]
        else:
            patch = not field.complete and min(pixels.shape[:2]) < CANVAS_PX
            behind = backgrounds.get(field.case) if patch else None
            found = _labelled(field, pixels, factor, behind, generator) if labelled else []
            if patch and any(cell.label in MITOTIC_CLASSES for cell in field.cells):
                beside = mine_neighbours(field, pixels, factor, per_neighbour, behind, generator, places)
                found += [(canvas, NON_MITOTIC, "neighbour") for canvas in beside]
            if patch:
                backgrounds[field.case] = _without_mitosis(field, pixels, factor, generator)
        rows += [(canvas, label, field.case, origin) for canvas, label, origin in found]
        if progress:
            progress(done + 1, len(jobs))
    return _as_arrays(rows, tuple(classes), complete=labelled)


def _read_ahead(jobs: Sequence[tuple[Field, bool]], um_per_px: float) -> Iterator[tuple[np.ndarray, float]]:
    """Read fields in order, a few ahead in threads."""
    with ThreadPoolExecutor(READERS) as readers:
        waiting = deque(readers.submit(_pixels, field, um_per_px) for field, _ in jobs[:READERS])
        for i in range(len(jobs)):
            current = waiting.popleft()
            if i + READERS < len(jobs):
                waiting.append(readers.submit(_pixels, jobs[i + READERS][0], um_per_px))
            yield current.result()


def _as_arrays(rows: list[tuple[np.ndarray, str, str, str]], classes: tuple[str, ...], complete: bool) -> Cells:
    strange = sorted({row[1] for row in rows} - set(classes))
    if strange:
        raise DataError(f"Class {strange[0]!r} is not one of the model's: {', '.join(classes)}. Leave its cells out.")
    number = {name: i for i, name in enumerate(classes)}
    labels = np.array([number[row[1]] for row in rows], dtype=np.int32)
    for name, i in number.items():
        if complete and not (labels == i).any():
            raise DataError(
                f"No example of class {name!r}. Add data that has it (--data, --negatives) or drop the class."
            )
    return Cells(
        canvases=np.stack([row[0] for row in rows]) if rows else np.zeros((0, CANVAS_PX, CANVAS_PX, 3), np.uint8),
        labels=labels,
        cases=np.array([row[2] for row in rows]),
        origins=np.array([row[3] for row in rows]),
        classes=classes,
    )
