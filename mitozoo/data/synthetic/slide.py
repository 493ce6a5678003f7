"""Draw whole slides: islands of tissue with exact labels on glass, with pen marks and dust.

Every part is drawn by itself from the seed, so that a tile looks the same in whatever order tiles are asked for, and
glass costs nothing. For demos and tests: slides show that the tools work, never how accurate a model is.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mitozoo.base.errors import DataError
from mitozoo.base.files import write_text
from mitozoo.base.points import Cell
from mitozoo.base.units import UM_PER_PX_40X, area_mm2, check_um_per_px
from mitozoo.data.pyramid import JPEG_QUALITY, TILE_PX, write_pyramid
from mitozoo.data.slides import Box
from mitozoo.data.synthetic.canvas import COARSE_UM, Canvas, step
from mitozoo.data.synthetic.field import COARSEST_UM_PER_PX, paint_tissue
from mitozoo.data.synthetic.lobules import FADE_UM, Lobule, lay_lobules, overlap
from mitozoo.data.synthetic.look import Look, draw_look, photograph
from mitozoo.data.synthetic.marks import Mark, draw_dust, draw_pen_marks
from mitozoo.data.synthetic.placing import SEAM_PX, Places, place_figures
from mitozoo.data.synthetic.sample import check_free, midog_json
from mitozoo.data.synthetic.tissue import Points, lay_ground

#: Tissue where the caller does not say, at most, and as a part of the slide.
TISSUE_MM2, TISSUE_SHARE = 4.0, 0.2
#: Figures per mm² of tissue where the caller does not say.
MITOSES_PER_MM2, LOOK_ALIKES_PER_MM2 = 50.0, 60.0
#: Smaller slides have no room for an island.
SMALLEST_UM = 250.0
#: Drawn lobules that are kept for the next row of tiles.
_KEPT_BYTES = 256 * 2**20

README = """A synthetic whole slide of H&E tissue drawn by `mitozoo sample --slide`.

Every pixel is computed: no patient, no scanner. The slide is for trying the tools and for tests. It says nothing about
how accurate a model is on real tissue; do not train on it or quote a number from it as a result.

{name}  {width} x {height} px, {um_per_px:g} um per pixel, {tissue_mm2:.3g} mm2 of tissue, pyramidal TIFF
MIDOG.json      labels in pixels of the full size: bbox is x1, y1, x2, y2, 50 x 50 about the centre of the cell;
                category 1 mitotic figure, 2 look-alike. Atypical mitotic figures are in category 1.

Drawn with seed {seed}: the same command draws the same slide.
"""


@dataclass(frozen=True)
class _Part:
    """A lobule to draw: its box and its figures, (n, 2) each, x and y in px of the slide."""

    lobule: Lobule
    box: Box
    mitoses: Points
    look_alikes: Points


@dataclass(frozen=True)
class _Drawn:
    """A drawn lobule: RGB uint8 (h, w, 3) with glass around, bool (h, w) where it is not glass."""

    image: NDArray[np.uint8]
    shown: NDArray[np.bool_]


class SyntheticSlide:
    """A slide that is drawn where it is looked at.

    Attributes: width_px, height_px, um_per_px; tissue_mm2, as drawn; glass, RGB of empty glass; on_seams, mitoses that
    lie where tiles meet.
    """

    def __init__(
        self,
        width_px: int,
        height_px: int,
        *,
        seed: int,
        um_per_px: float = UM_PER_PX_40X,
        tissue_mm2: float | None = None,
        mitoses: int | None = None,
        look_alikes: int | None = None,
        seams: bool = False,
        marks: bool = True,
    ) -> None:
        """Lay the slide out; nothing is drawn yet. Arguments and errors as of `write_slide`."""
        _check(width_px, height_px, check_um_per_px(um_per_px))
        self.width_px, self.height_px, self.um_per_px = width_px, height_px, um_per_px
        if tissue_mm2 is None:
            tissue_mm2 = min(TISSUE_MM2, TISSUE_SHARE * area_mm2(width_px * height_px, um_per_px))
        self.look = draw_look(np.random.default_rng([seed, 0]))
        self.glass: tuple[int, int, int] = tuple(np.rint(self.look.glass).astype(int).tolist())
        pen = draw_pen_marks(width_px, height_px, um_per_px, seed) if marks else []
        seam_px = SEAM_PX if seams and min(width_px, height_px) > SEAM_PX else 0
        lobules = lay_lobules(width_px, height_px, um_per_px, tissue_mm2, seed, [mark.box for mark in pen], seam_px)
        self.tissue_mm2 = sum(area_mm2(int((i.depth_um > 0).sum()) * i.step_px**2, um_per_px) for i in lobules)
        if mitoses is None:
            mitoses = round(self.tissue_mm2 * MITOSES_PER_MM2)
        if look_alikes is None:
            look_alikes = round(self.tissue_mm2 * LOOK_ALIKES_PER_MM2)
        places = Places(lobules, width_px, height_px, um_per_px, seed)
        first, second, self.on_seams = place_figures(places, mitoses, look_alikes, seams=seams)
        self._parts = [_Part(*item) for item in zip(lobules, [i.box for i in lobules], first, second, strict=True)]
        taken = [part.box for part in self._parts] + [mark.box for mark in pen]
        dust = draw_dust(width_px, height_px, um_per_px, seed, taken) if marks else []
        self._marks: list[Mark] = [*pen, *dust]
        self._kept: OrderedDict[int, _Drawn] = OrderedDict()
        self._cells: dict[int, list[Cell]] = {}

    @property
    def cells(self) -> list[Cell]:
        """Every figure and look-alike at the centre of its chromatin, in px of the slide, in an order of their own.

        What was not looked at yet is drawn for it.
        """
        for number in range(len(self._parts)):
            if number not in self._cells:
                self._drawn(number)
        return [cell for number in range(len(self._parts)) for cell in self._cells[number]]

    def read(self, box: Box) -> NDArray[np.uint8] | None:
        """RGB uint8 (box.height, box.width, 3) of a part of the slide, or None where there is nothing but glass."""
        parts = [number for number, part in enumerate(self._parts) if overlap(part.box, box)]
        marks = [mark for mark in self._marks if mark.touches(box)]
        if not parts and not marks:
            return None
        image = np.empty((box.height, box.width, 3), np.uint8)
        image[:] = self.glass
        for number in parts:
            _paste(image, box, self._drawn(number), self._parts[number].box)
        for mark in marks:
            _cover(image, box, mark)
        return image

    def tiles(self, tile_px: int, tell: Callable[[int], None] | None = None) -> Iterator[NDArray[np.uint8] | None]:
        """Tiles row by row, as `write_pyramid` takes them. `tell` hears how many are done."""
        count = 0
        for top in range(0, self.height_px, tile_px):
            for left in range(0, self.width_px, tile_px):
                size = min(tile_px, self.width_px - left), min(tile_px, self.height_px - top)
                yield self.read(Box(left, top, *size))
                count += 1
                if tell is not None:
                    tell(count)

    def _drawn(self, number: int) -> _Drawn:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        drawn, cells = _draw(self._parts[number], self.look, self.um_per_px, self.glass)
        self._kept[number], self._cells[number] = drawn, cells
        while len(self._kept) > 1 and sum(item.shown.size for item in self._kept.values()) * 4 > _KEPT_BYTES:
            self._kept.popitem(last=False)
        return drawn


def _check(width_px: int, height_px: int, um_per_px: float) -> None:
    if um_per_px > COARSEST_UM_PER_PX:
        raise DataError(
            f"At {um_per_px:g} µm per pixel a mitotic figure is too small to draw. "
            f"Ask for {COARSEST_UM_PER_PX:g} µm per pixel or finer."
        )
    if min(width_px, height_px) * um_per_px < SMALLEST_UM:
        raise DataError(
            f"A slide of {width_px}×{height_px} px at {um_per_px:g} µm per pixel is too small to draw. "
            f"Ask for at least {int(np.ceil(SMALLEST_UM / um_per_px))} px a side."
        )


def _draw(part: _Part, look: Look, um_per_px: float, glass: tuple[int, int, int]) -> tuple[_Drawn, list[Cell]]:
    """Draw a lobule in the slide's stain, with a habit of its own."""
    box = part.box
    rng = np.random.default_rng(part.lobule.seed)
    own = draw_look(rng)
    look = replace(look, tumour=own.tumour, gaps=own.gaps, inflamed=own.inflamed, fibre_angle=own.fibre_angle)
    canvas = Canvas(box.height, box.width, um_per_px, rng)
    mitoses, look_alikes = (places - (box.x, box.y) for places in (part.mitoses, part.look_alikes))
    ground = lay_ground(canvas, look, np.concatenate([mitoses, look_alikes]))
    cells = paint_tissue(canvas, look, ground, mitoses, look_alikes)
    depth_um = part.lobule.depth_in_box()
    cover = step(-depth_um - canvas.textures[COARSE_UM], 1.0)
    canvas.haematoxylin *= cover
    canvas.eosin *= cover
    # The photograph of empty glass has grain, the slide's has none: it is clean where nothing is drawn.
    near = np.clip((depth_um + FADE_UM) / (0.5 * FADE_UM), 0, 1)[..., None]
    image = photograph(canvas, look)
    empty = np.array(glass, np.float32)
    mixed = np.rint(empty + near * (image - empty)).astype(np.uint8)
    moved = [Cell(cell.x_px + box.x, cell.y_px + box.y, cell.label) for cell in cells]
    return _Drawn(mixed, near[..., 0] > 0), moved


def _paste(image: NDArray[np.uint8], box: Box, drawn: _Drawn, place: Box) -> None:
    """Lay what is shown of a drawn lobule, which lies at `place`, into the picture of `box`."""
    left, top = max(box.x, place.x), max(box.y, place.y)
    right = min(box.x + box.width, place.x + place.width)
    bottom = min(box.y + box.height, place.y + place.height)
    into = image[top - box.y : bottom - box.y, left - box.x : right - box.x]
    area = slice(top - place.y, bottom - place.y), slice(left - place.x, right - place.x)
    shown = drawn.shown[area]
    into[shown] = drawn.image[area][shown]


def _cover(image: NDArray[np.uint8], box: Box, mark: Mark) -> None:
    """Lay a mark over the picture of `box`."""
    left, top = max(box.x, mark.box.x), max(box.y, mark.box.y)
    right = min(box.x + box.width, mark.box.x + mark.box.width)
    bottom = min(box.y + box.height, mark.box.y + mark.box.height)
    into = image[top - box.y : bottom - box.y, left - box.x : right - box.x]
    cover = mark.cover(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))[..., None]
    into[:] = np.rint(into + cover * (np.array(mark.colour, np.float32) - into))


def write_slide(
    folder: Path,
    *,
    width_px: int,
    height_px: int,
    tissue_mm2: float | None = None,
    mitoses: int | None = None,
    look_alikes: int | None = None,
    seed: int = 0,
    um_per_px: float = UM_PER_PX_40X,
    seams: bool = False,
    marks: bool = True,
    tile_px: int = TILE_PX,
    compression: str = "jpeg",
    quality: int = JPEG_QUALITY,
    overwrite: bool = False,
    tell: Callable[[int], None] | None = None,
) -> Path:
    """Draw one slide into `folder` as `slide_0001.tif`, with `MIDOG.json` and README.txt.

    The same arguments give the same bytes.

    Args:
        folder: made if missing.
        width_px, height_px: size of the slide.
        tissue_mm2: area of tissue; by default 4, at most a fifth of the slide; 0 for glass alone.
        mitoses, look_alikes: how many; by default 50 and 60 per mm² of tissue.
        seed: >= 0.
        um_per_px: spacing.
        seams: half of the mitoses lie where tiles of 1024 px meet, some on the corners of tiles.
        marks: three pen marks in corners (green, blue, black) and specks of dust.
        tile_px, compression, quality: as `write_pyramid`; the compression "deflate" keeps every pixel as drawn.
        overwrite: replaces files of these names.
        tell: hears how many tiles are done.
    Returns: path of the slide.
    Raises: OutputError if a file is there already, nothing is written then; DataError where tissue or figures do not
        fit; InputError for an implausible spacing.
    """
    path = folder / "slide_0001.tif"
    check_free([path, folder / "MIDOG.json", folder / "README.txt"], overwrite=overwrite)
    slide = SyntheticSlide(
        width_px,
        height_px,
        seed=seed,
        um_per_px=um_per_px,
        tissue_mm2=tissue_mm2,
        mitoses=mitoses,
        look_alikes=look_alikes,
        seams=seams,
        marks=marks,
    )
    write_pyramid(
        path,
        slide.tiles(tile_px, tell),
        width_px=width_px,
        height_px=height_px,
        um_per_px=um_per_px,
        tile_px=tile_px,
        compression=compression,
        quality=quality,
        blank=slide.glass,
    )
    labels = midog_json({path.name: (width_px, height_px, slide.cells)})
    write_text(folder / "MIDOG.json", json.dumps(labels, indent=1) + "\n")
    facts = {"name": path.name, "width": width_px, "height": height_px, "um_per_px": um_per_px, "seed": seed}
    write_text(folder / "README.txt", README.format(**facts, tissue_mm2=slide.tissue_mm2))
    return path
