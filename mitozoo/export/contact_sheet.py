"""One picture of many labelled cells, framed by class, to see at a glance what a data set holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mitozoo.base.errors import InputError
from mitozoo.base.files import write_bytes
from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.base.units import UM_PER_PX_40X, px_to_um, um_to_px
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.images import read_image
from mitozoo.data.set_aside import damage_of
from mitozoo.export.colours import COLOURS, NAMES
from mitozoo.export.pictures import crop, encode

#: What a crop shows: 64 px at 40x.
CROP_UM = px_to_um(64, UM_PER_PX_40X)
MOST_CELLS = 48
_COLUMNS, _TILE_PX, _FRAME_PX, _GAP_PX, _MARGIN_PX = 8, 160, 5, 14, 28
_CAPTION_PX, _HEAD_PX = 36, 104
_INK, _FAINT, _PAPER, _OUTSIDE = (28, 28, 32), (112, 112, 120), (255, 255, 255), (214, 214, 218)
_LOOK_ALIKE = (232, 150, 0)
#: For a data set's own classes, in turn.
_OTHERS = ((110, 110, 118), (0, 140, 100), (150, 80, 190), (140, 90, 40))
_ORDER = (MITOTIC_FIGURE, ATYPICAL, NON_MITOTIC)


@dataclass(frozen=True)
class Sheet:
    """A sheet that was drawn. Attributes: pixels uint8 (H, W, 3) RGB; cells on it; skipped, why images are not."""

    pixels: np.ndarray
    cells: int
    skipped: tuple[str, ...] = ()


def choose_cells(fields: Sequence[Field], count: int = MOST_CELLS, *, seed: int = 0) -> list[tuple[Field, Cell]]:
    """Choose cells evenly over classes, and in a class over cases; where a class has few, others fill its places.

    Returns: at most `count`, ordered by class (mitotic figures, atypical ones, look-alikes, others), case and file.
    """
    generator = np.random.default_rng(seed)
    by_class: dict[str, dict[str, list[tuple[Field, Cell]]]] = defaultdict(lambda: defaultdict(list))
    for field in sorted(fields, key=lambda item: (item.case, str(item.path))):
        for cell in field.cells:
            by_class[cell.label][field.case].append((field, cell))
    queues = [_in_turns(list(by_class[label].values()), generator, count) for label in sorted(by_class, key=_rank)]
    chosen = [item for turn in range(count) for queue in queues for item in queue[turn : turn + 1]][:count]
    return sorted(chosen, key=lambda item: (_rank(item[1].label), item[0].case, str(item[0].path)))


def draw_sheet(
    dataset: Dataset,
    *,
    title: str = "",
    seed: int = 0,
    tell: Callable[[int, str], None] = lambda done, note: None,
) -> Sheet | None:
    """Draw crops of labelled cells, each framed in its class's colour over its case and file, with a legend.

    Args: dataset; title, the data set's name where empty; seed of the choice; tell is called with the number of cells
        drawn and the image's name.
    Returns: the sheet, or None where no labelled image can be read.
    """
    chosen = choose_cells([field for field in dataset.fields if field.cells and not damage_of(field.path)], seed=seed)
    crops: dict[int, np.ndarray] = {}
    skipped: list[str] = []
    by_image: dict[Path, list[int]] = defaultdict(list)
    for index, (field, _) in enumerate(chosen):
        by_image[field.path].append(index)
    for path, indices in by_image.items():
        try:
            image = read_image(path)
        except InputError as error:
            skipped.append(str(error))
            continue
        for index in indices:
            field, cell = chosen[index]
            crops[index] = _tile(image.pixels, cell, field.um_per_px or image.um_per_px or UM_PER_PX_40X)
        tell(len(crops), path.name)
    if not crops:
        return None
    shown = [(*chosen[index], crops[index]) for index in sorted(crops)]
    return Sheet(_compose(shown, dataset, title or dataset.name), len(shown), tuple(skipped))


def write_sheet(sheet: Sheet, path: Path) -> None:
    """Write a sheet as PNG, whole or not at all."""
    write_bytes(path, encode(sheet.pixels, ".png"))


def _rank(label: str) -> tuple[int, str]:
    return (_ORDER.index(label) if label in _ORDER else len(_ORDER), label)


def _in_turns(
    groups: list[list[tuple[Field, Cell]]], generator: np.random.Generator, count: int
) -> list[tuple[Field, Cell]]:
    """At most `count` items, one of each group in turn, groups and items shuffled."""
    groups = [[group[i] for i in generator.permutation(len(group))] for group in groups]
    groups = [groups[i] for i in generator.permutation(len(groups))]
    turns = range(min(count, max(map(len, groups))))
    return [item for turn in turns for group in groups for item in group[turn : turn + 1]][:count]


def _tile(pixels: np.ndarray, cell: Cell, um_per_px: float) -> np.ndarray:
    side = max(8, round(um_to_px(CROP_UM, um_per_px)))
    square = crop(pixels, cell.x_px, cell.y_px, side)
    # White would look like glass: what lies outside the image is grey.
    for axis, place in ((0, cell.y_px), (1, cell.x_px)):
        inside = np.arange(side) + round(place - (side - 1) / 2)
        outside = (inside < 0) | (inside >= pixels.shape[axis])
        square[(slice(None),) * axis + (outside,)] = _OUTSIDE
    how = cv2.INTER_AREA if side > _TILE_PX else cv2.INTER_CUBIC
    return cv2.resize(square, (_TILE_PX, _TILE_PX), interpolation=how)


def _colours(labels: Sequence[str]) -> dict[str, tuple[int, int, int]]:
    own = sorted({label for label in labels if label not in CLASSES})
    return {
        **COLOURS,
        NON_MITOTIC: _LOOK_ALIKE,
        **{label: _OTHERS[i % len(_OTHERS)] for i, label in enumerate(own)},
    }


def _compose(shown: Sequence[tuple[Field, Cell, np.ndarray]], dataset: Dataset, title: str) -> np.ndarray:
    colours = _colours([cell.label for _, cell, _ in shown])
    columns = min(_COLUMNS, max(5, len(shown)))
    rows = -(-len(shown) // columns)
    pitch_x, pitch_y = _TILE_PX + 2 * _FRAME_PX + _GAP_PX, _TILE_PX + 2 * _FRAME_PX + _CAPTION_PX + _GAP_PX
    width = 2 * _MARGIN_PX + columns * pitch_x - _GAP_PX
    height = _HEAD_PX + rows * pitch_y - _GAP_PX + _MARGIN_PX
    picture = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(picture)
    _write_head(pen, shown, dataset, title, colours, width)
    for index, (field, cell, tile) in enumerate(shown):
        left = _MARGIN_PX + index % columns * pitch_x
        top = _HEAD_PX + index // columns * pitch_y
        side = _TILE_PX + 2 * _FRAME_PX
        pen.rectangle((left, top, left + side - 1, top + side - 1), fill=colours[cell.label])
        picture.paste(Image.fromarray(tile), (left + _FRAME_PX, top + _FRAME_PX))
        name = field.path.name
        lines = [name] if field.case in (name, field.path.stem) else [field.case, name]
        for row, (line, ink) in enumerate(zip(lines, (_INK, _FAINT), strict=False)):
            pen.text((left, top + side + 3 + 16 * row), _fitted(pen, line, side, _font(12)), fill=ink, font=_font(12))
    return np.asarray(picture)


def _write_head(
    pen: ImageDraw.ImageDraw,
    shown: Sequence[tuple[Field, Cell, np.ndarray]],
    dataset: Dataset,
    title: str,
    colours: dict[str, tuple[int, int, int]],
    width: int,
) -> None:
    room = width - 2 * _MARGIN_PX
    pen.text((_MARGIN_PX, 16), _fitted(pen, title, room, _font(24, bold=True)), fill=_INK, font=_font(24, bold=True))
    total = sum(len(field.cells) for field in dataset.fields)
    cases = len({field.case for field, _, _ in shown})
    said = f"{len(shown)} of {total:,} labelled cells, {cases} of {len(dataset.cases):,} cases; {CROP_UM:g} µm a side"
    pen.text((_MARGIN_PX, 47), _fitted(pen, said, room, _font(14)), fill=_FAINT, font=_font(14))
    x = _MARGIN_PX
    for label, count in sorted(Counter(cell.label for _, cell, _ in shown).items(), key=lambda item: _rank(item[0])):
        name = {**NAMES, NON_MITOTIC: "Look-alike"}.get(label) or label.replace("_", " ").capitalize()
        text = f"{name} ({count} of {dataset.count(label):,})"
        if x + 20 + pen.textlength(text, font=_font(14)) > width - _MARGIN_PX:
            pen.text((x, 73), "…", fill=_INK, font=_font(14))
            return
        pen.rectangle((x, 75, x + 13, 88), fill=colours[label])
        pen.text((x + 20, 73), text, fill=_INK, font=_font(14))
        x += 20 + int(pen.textlength(text, font=_font(14))) + 28


def _fitted(pen: ImageDraw.ImageDraw, text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    """Shorten a text in its middle, where names of files and cases differ least, until it fits."""
    kept = len(text)
    short = text
    while pen.textlength(short, font=font) > width and kept > 4:
        kept -= 1
        short = f"{text[: kept // 2]}…{text[len(text) - (kept - kept // 2) :]}"
    return short


def _font(size_px: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(folder / f"DejaVuSans{'-Bold' if bold else ''}.ttf", size_px)
