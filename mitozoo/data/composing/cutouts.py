"""What is placed: mitotic figures from the middle of patches, and ordinary nuclei for control."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np

from mitozoo.base.points import MITOTIC_CLASSES, NON_MITOTIC
from mitozoo.base.units import UM_PER_PX_40X
from mitozoo.data.candidates import nuclei
from mitozoo.data.cells import cut_canvas
from mitozoo.data.chromatin import chromatin
from mitozoo.data.composing.blending import WINDOW_PX, Densities, densities
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import read_image
from mitozoo.data.stain import optical_density

#: How much tissue a control shows around its nucleus at least.
CONTROL_ROOM_PX = 25
#: Between a control's nucleus and a mitotic figure, and how far around its chromatin nothing is taken.
_APART_PX, _RIM_PX = 32.0, 4
#: Wanted of a patch; a smaller one shows too little around its figure.
_LEAST_PX = 2 * 40
#: Controls of one patch: the darkest nuclei.
_MOST_CONTROLS = 2
_BLACK = 16
#: Glass near a cell takes no stain, and would shine in tissue: share of the pixels within a radius.
_GLASS_DENSITY, _GLASS_RADIUS_PX, _MOST_GLASS = 0.09, 25, 0.04


@dataclass(frozen=True)
class Cutout:
    """One cell with tissue around it.

    Attributes: pixels uint8 (WINDOW_PX, WINDOW_PX, 3) with the cell in the centre; mask bool (WINDOW_PX, WINDOW_PX),
    its chromatin, empty for a control; kept_out bool, what must not be seen: a mitotic figure beside a control; found,
    see `Chromatin`; room_px, distance to the nearest side of the image that
    it was cut from; tissue, densities of that image; label; case; kind, "patch" for a mitotic figure, "neighbour" for
    a nucleus beside one, "field" for one of a field; source, the image's name.
    """

    pixels: np.ndarray
    mask: np.ndarray
    kept_out: np.ndarray
    found: bool
    room_px: float
    tissue: Densities
    label: str
    case: str
    kind: str
    source: str

    def turned(self, generator: np.random.Generator) -> Cutout:
        """The cutout in one of its eight orientations, at random; nothing is interpolated."""
        quarters, mirrored = int(generator.integers(4)), bool(generator.integers(2))
        step = -1 if mirrored else 1
        pixels, mask, kept_out = (
            np.ascontiguousarray(np.rot90(image, quarters)[:, ::step])
            for image in (self.pixels, self.mask, self.kept_out)
        )
        return replace(self, pixels=pixels, mask=mask, kept_out=kept_out)


def at_40x(field: Field) -> tuple[np.ndarray, float]:
    """Read a field at 0.25 µm per pixel; also the factor from its own pixels to these."""
    pixels = read_image(field.path).pixels
    factor = (field.um_per_px or UM_PER_PX_40X) / UM_PER_PX_40X
    if abs(factor - 1) <= 0.005:
        return pixels, 1.0
    mode = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=mode), factor


def patch_cutouts(
    datasets: Sequence[Dataset], progress: Callable[[int, int], None] | None = None
) -> tuple[list[Cutout], list[Cutout]]:
    """Cut the mitotic figures of patches, and the nuclei beside them.

    Patches with black padding near the figure, and figures too near to the patch's side, are left out.
    Returns: mitotic figures, controls.
    """
    figures: list[Cutout] = []
    controls: list[Cutout] = []
    fields = [field for data in datasets for field in data.fields if len(field.mitoses)]
    for done, field in enumerate(fields):
        pixels, factor = at_40x(field)
        if min(pixels.shape[:2]) >= _LEAST_PX:
            figures += _figures(field, pixels, factor)
            controls += _neighbours(field, pixels, factor)
        if progress:
            progress(done + 1, len(fields))
    return figures, controls


def _figures(field: Field, pixels: np.ndarray, factor: float) -> Iterator[Cutout]:
    for cell in field.cells:
        if cell.label not in MITOTIC_CLASSES:
            continue
        x, y = (cell.x_px + 0.5) * factor - 0.5, (cell.y_px + 0.5) * factor - 0.5
        if _room(pixels, x, y) < 40 or _is_spoilt(pixels, x, y):
            continue
        seen = chromatin(pixels, x, y)
        yield _cutout(field, pixels, (x, y), "patch", mask=seen.mask, label=cell.label, found=seen.found)


def _neighbours(field: Field, pixels: np.ndarray, factor: float) -> Iterator[Cutout]:
    """Nuclei of a patch that are whole and no part of a mitotic figure."""
    places = [((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5) for x, y in field.mitoses]
    figures = np.zeros(pixels.shape[:2], bool)
    for x, y in places:
        figures |= chromatin(pixels, x, y).mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _RIM_PX + 1,) * 2)
    kept_out = cv2.dilate(figures.astype(np.uint8), disc)
    for x, y, radius in field.excluded:
        cv2.circle(kept_out, (round(x * factor), round(y * factor)), round(radius * factor), 1, -1)
    places += [(x * factor, y * factor) for x, y, _ in field.excluded]
    count = 0
    for x, y, _ in nuclei(pixels, UM_PER_PX_40X):
        far = all(np.hypot(x - u, y - v) >= _APART_PX for u, v in places)
        if far and _room(pixels, x, y) >= CONTROL_ROOM_PX and not _is_spoilt(pixels, x, y):
            yield _cutout(field, pixels, (x, y), "neighbour", kept_out=kept_out > 0)
            count += 1
        if count == _MOST_CONTROLS:
            return


def field_controls(
    field: Field, pixels: np.ndarray, allowed: Callable[[float, float], bool], most: int, generator: np.random.Generator
) -> list[Cutout]:
    """Nuclei of a field at 0.25 µm per pixel, at random places that are allowed."""
    out: list[Cutout] = []
    found = nuclei(pixels, UM_PER_PX_40X)
    for x, y, _ in found[generator.permutation(len(found))]:
        if len(out) == most:
            break
        if _room(pixels, x, y) >= WINDOW_PX / 2 and allowed(x, y) and not _is_spoilt(pixels, x, y):
            out.append(_cutout(field, pixels, (x, y), "field"))
    return out


def _is_spoilt(pixels: np.ndarray, x: float, y: float) -> bool:
    """Whether black padding or glass is near a cell."""
    window = cut_canvas(pixels, x, y, 2 * _GLASS_RADIUS_PX)
    line = np.arange(2 * _GLASS_RADIUS_PX) - (_GLASS_RADIUS_PX - 0.5)
    near = np.hypot(line[:, None], line[None]) <= _GLASS_RADIUS_PX
    glass = cv2.GaussianBlur(optical_density(window).mean(axis=2), (0, 0), 1.0) < _GLASS_DENSITY
    black = (window < _BLACK).all(axis=2)
    return bool((glass & near).sum() > _MOST_GLASS * near.sum() or black.sum() > 10)


def _room(pixels: np.ndarray, x: float, y: float) -> float:
    return float(min(x, y, pixels.shape[1] - 1 - x, pixels.shape[0] - 1 - y))


def _cutout(
    field: Field,
    pixels: np.ndarray,
    at: tuple[float, float],
    kind: str,
    *,
    mask: np.ndarray | None = None,
    kept_out: np.ndarray | None = None,
    label: str = NON_MITOTIC,
    found: bool = False,
) -> Cutout:
    x, y = at
    near = pixels
    if kind == "field":
        left, top = (max(int(value) - WINDOW_PX, 0) for value in at)
        near = pixels[top : top + 2 * WINDOW_PX, left : left + 2 * WINDOW_PX]
    masks = [
        np.zeros((WINDOW_PX, WINDOW_PX), bool) if one is None else cut_canvas(one.astype(np.uint8), x, y, WINDOW_PX) > 0
        for one in (mask, kept_out)
    ]
    return Cutout(
        pixels=np.ascontiguousarray(cut_canvas(pixels, x, y, WINDOW_PX)),
        mask=masks[0],
        kept_out=masks[1],
        found=found,
        room_px=_room(pixels, x, y),
        tissue=densities(near),
        label=label,
        case=field.case,
        kind=kind,
        source=field.path.name,
    )
