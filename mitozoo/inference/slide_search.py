"""Searching a whole slide: tiles are read ahead in threads and searched, and what they find becomes one list."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mitozoo.base.errors import InputError
from mitozoo.base.units import um_to_px
from mitozoo.data.slides import SAME_SPACING, Box, Slide
from mitozoo.data.spacing import resolve_spacing
from mitozoo.data.tissue_map import TissueMap, tissue_map
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.journal import Found, ImageJournal
from mitozoo.inference.merging import merge_hits
from mitozoo.inference.predictor import COARSE, Predictor
from mitozoo.inference.result import INCOMPLETE, OK, FieldResult
from mitozoo.inference.tiles import CORE_PX, GRID_PX, HALO_PX, Tile, tile_around, tiles_of
from mitozoo.inference.view import View

#: Threads that read tiles, and tiles that are read ahead; they bound memory.
READERS, AHEAD = 2, 3
#: Longest side of the copy of a slide that pictures are drawn on.
PICTURE_SIDE_PX = 4000


@dataclass(frozen=True)
class TileProgress:
    """Where the search of a slide is: tiles and mm² of tissue that are done, and of how many; seconds left."""

    tiles: int
    of_tiles: int
    mm2: float
    of_mm2: float
    seconds_left: float


@dataclass
class SlidePlan:
    """A slide that is about to be searched.

    Attributes: slide; um_per_px and source of its spacing; downsample from level 0 to the model's spacing; tissue;
    tiles, those that hold tissue; notes.
    """

    slide: Slide
    um_per_px: float
    source: str
    downsample: float
    tissue: TissueMap
    tiles: list[Tile]
    notes: list[str] = field(default_factory=list)

    def at_level_0(self, box: Box) -> Box:
        """A box of the model's pixels in those of level 0."""
        d = self.downsample
        left, top = math.floor(box.x * d), math.floor(box.y * d)
        right, bottom = math.ceil((box.x + box.width) * d), math.ceil((box.y + box.height) * d)
        return Box(left, top, right - left, bottom - top)


def plan_slide(
    slide: Slide,
    model_um_per_px: float,
    um_per_px: float | None = None,
    *,
    core_px: int = CORE_PX,
    halo_px: int = HALO_PX,
    shift_px: int = 0,
) -> SlidePlan:
    """Find spacing and tissue of a slide, and the tiles to search.

    Args: slide; model_um_per_px; um_per_px, the user's in place of the file's; the others as in `tiles_of`.
    Raises: InputError for a slide that states no spacing where the user gives none: a wrong guess would spoil counts
    and areas without a sign.
    """
    if slide.um_per_px is None and um_per_px is None:
        said = f" {' '.join(slide.notes)}" if slide.notes else ""
        raise InputError(
            f"{slide.path} does not state its spacing.{said} Give it with --um-per-px (0.25 is usual at 40x, 0.5 at "
            "20x)."
        )
    spacing, source = resolve_spacing(slide.um_per_px, um_per_px, model_um_per_px)
    downsample = model_um_per_px / spacing
    if abs(downsample - 1) <= SAME_SPACING:
        downsample = 1.0
    tissue = tissue_map(slide, spacing)
    size = (math.ceil(slide.width_px / downsample), math.ceil(slide.height_px / downsample))
    plan = SlidePlan(slide, spacing, source, downsample, tissue, [], [*slide.notes, *tissue.notes])
    every = tiles_of(*size, core_px=core_px, halo_px=halo_px, shift_px=shift_px)
    plan.tiles = [
        around_tissue(tile, plan, halo_px, size) for tile in every if tissue.touches(plan.at_level_0(tile.core))
    ]
    if not plan.tiles:
        plan.notes.append("No tissue was found: the slide is glass, pen or too pale.")
    return plan


def halo_for(predictor: Predictor) -> int:
    """Pixels around a core that its answer needs: as far as the decoders look, `HALO_PX` where they do not say."""
    reach = predictor.reach_px
    return math.ceil(reach / GRID_PX) * GRID_PX if math.isfinite(reach) else HALO_PX


def around_tissue(tile: Tile, plan: SlidePlan, halo_px: int, size: tuple[int, int]) -> Tile:
    """The tile without the glass at its sides, cut where the grid for strides allows.

    Args: tile; plan, with tissue and downsample; halo_px around the core; size, width and height of the slide at the
    model's spacing.
    """
    box, own = plan.tissue.extent(plan.at_level_0(tile.core)), plan.downsample
    if box is None:
        return tile
    core = tile.core
    left = max(core.x, math.floor(box.x / own) // GRID_PX * GRID_PX)
    top = max(core.y, math.floor(box.y / own) // GRID_PX * GRID_PX)
    right = min(core.x + core.width, -(-math.ceil((box.x + box.width) / own) // GRID_PX) * GRID_PX)
    bottom = min(core.y + core.height, -(-math.ceil((box.y + box.height) / own) // GRID_PX) * GRID_PX)
    return tile_around(tile.number, (left, top, right, bottom), halo_px, size)


def read_tiles(
    plan: SlidePlan, tiles: Sequence[Tile], *, readers: int = READERS, ahead: int = AHEAD
) -> Iterator[tuple[Tile, np.ndarray | InputError]]:
    """Read tiles in order, a few ahead in threads; an error in place of the pixels where the file cannot be read."""
    with ThreadPoolExecutor(readers) as pool:
        waiting: deque[Future[np.ndarray]] = deque()
        try:
            for i, tile in enumerate(tiles):
                while len(waiting) < ahead and i + len(waiting) < len(tiles):
                    following = tiles[i + len(waiting)]
                    waiting.append(pool.submit(plan.slide.read, following.region, plan.downsample))
                future = waiting.popleft()
                try:
                    yield tile, future.result()
                except InputError as error:
                    yield tile, error
        finally:
            for future in waiting:
                future.cancel()


#: From a plan and tiles to what each gave, None where it cannot be read; in any order.
RunTiles = Callable[["SlidePlan", Sequence[Tile]], Iterator[tuple[Tile, Found | None]]]


def local_tiles(predictor: Predictor, readers: int = READERS) -> RunTiles:
    """Return what searches tiles in this process, read ahead by `readers` threads."""

    def run(plan: SlidePlan, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, Found | None]]:
        for tile, pixels in read_tiles(plan, tiles, readers=readers):
            yield tile, None if isinstance(pixels, InputError) else search_tile(predictor, tile, pixels)

    return run


def tiles_at_once(predictor: Predictor, most: int, readers: int = READERS) -> RunTiles:
    """Return what searches up to `most` tiles at a time in threads, for predictors that wait for others: servers."""

    def run(plan: SlidePlan, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, Found | None]]:
        waiting: deque[tuple[Tile, Future[Found] | None]] = deque()
        with ThreadPoolExecutor(most, thread_name_prefix="tile") as pool:
            try:
                for tile, pixels in read_tiles(plan, tiles, readers=readers):
                    lost = isinstance(pixels, InputError)
                    waiting.append((tile, None if lost else pool.submit(search_tile, predictor, tile, pixels)))
                    if len(waiting) >= most:
                        yield _finished(waiting)
                while waiting:
                    yield _finished(waiting)
            finally:
                for _, future in waiting:
                    if future is not None:
                        future.cancel()

    return run


def _finished(waiting: deque[tuple[Tile, Future[Found] | None]]) -> tuple[Tile, Found | None]:
    tile, future = waiting.popleft()
    return tile, None if future is None else future.result()


def search_tile(predictor: Predictor, tile: Tile, pixels: np.ndarray) -> Found:
    """Candidates of a tile's core: places float (n, 2) in the slide's pixels at the model's spacing, probabilities."""
    found = predictor.candidates(pixels, predictor.spec.um_per_px)
    xy = found.xy + (tile.region.x, tile.region.y)
    own = np.array([tile.holds(x, y) for x, y in xy], bool)
    return xy[own], found.probabilities[own]


def merged(plan: SlidePlan, predictor: Predictor, parts: Sequence[Found]) -> Candidates:
    """All tiles' candidates as one list in level-0 pixels, whatever their order; those beside the tissue left out."""
    classes = len(predictor.classes)
    xy = np.concatenate([np.zeros((0, 2)), *(part[0].reshape(-1, 2) for part in parts)])
    probabilities = np.concatenate([np.zeros((0, classes)), *(part[1].reshape(-1, classes) for part in parts)])
    order = np.lexsort((xy[:, 0], xy[:, 1]))
    xy, probabilities = xy[order], probabilities[order]
    score = predictor.scores(probabilities)
    radius_px = um_to_px(predictor.merge_um, predictor.spec.um_per_px)
    first = np.array([group[0] for group in merge_hits(xy, score, radius_px)], int)
    xy = (xy[first].reshape(-1, 2) + 0.5) * plan.downsample - 0.5
    inside = np.array([plan.tissue.has(x, y) for x, y in xy], bool)
    return Candidates(xy[inside], probabilities[first][inside])


def search_slide(
    predictor: Predictor,
    name: str,
    path: Path,
    um_per_px: float | None = None,
    *,
    journal: ImageJournal | None = None,
    tell: Callable[[TileProgress], None] = lambda _: None,
    readers: int = READERS,
    run_tiles: RunTiles | None = None,
    core_px: int = CORE_PX,
    shift_px: int = 0,
) -> tuple[FieldResult, View]:
    """Search a slide.

    Args: predictor; name for the output; path; um_per_px, in place of the file's; journal of an earlier, killed run;
    tell, called after every tile; readers, threads that read; run_tiles, what searches tiles in place of this process;
    core_px and shift_px as in `tiles_of`.
    Returns: the result, with `missing` where tiles could not be read, and what pictures are drawn from.
    Raises: InputError for a file that is no slide or states no spacing.
    """
    start = time.perf_counter()
    slide = Slide(path)
    rim = {"halo_px": halo_for(predictor), "shift_px": shift_px}
    plan = plan_slide(slide, predictor.spec.um_per_px, um_per_px, core_px=core_px, **rim)
    known = journal.tiles if journal else {}
    # What an earlier run could not read is tried again: a network drive may be back.
    found: dict[int, Found | None] = {
        tile.number: known[tile.number] for tile in plan.tiles if known.get(tile.number) is not None
    }
    waiting = [tile for tile in plan.tiles if tile.number not in found]
    mm2 = {tile.number: plan.tissue.mm2_in(plan.at_level_0(tile.core)) for tile in plan.tiles}
    begun = time.perf_counter()
    run = run_tiles or local_tiles(predictor, readers)
    for done, (tile, given) in enumerate(run(plan, waiting), start=1):
        found[tile.number] = given
        if journal:
            journal.add_tile(tile.number, found[tile.number])
        left = (time.perf_counter() - begun) / done * (len(waiting) - done)
        finished = sum(mm2[number] for number in found)
        tell(TileProgress(len(found), len(plan.tiles), finished, sum(mm2.values()), left))
    missing = [tile for tile in plan.tiles if found[tile.number] is None]
    candidates = merged(plan, predictor, [found[tile.number] or _NOTHING for tile in plan.tiles])
    lacking_mm2 = sum(mm2[tile.number] for tile in missing)
    result = _result(predictor, name, plan, candidates, missing, lacking_mm2, time.perf_counter() - start)
    return result, view_of(plan)


_NOTHING = (np.zeros((0, 2)), np.zeros((0, 0)))


def _result(
    predictor: Predictor,
    name: str,
    plan: SlidePlan,
    candidates: Candidates,
    missing: Sequence[Tile],
    missing_mm2: float,
    seconds: float,
) -> FieldResult:
    detections = predictor.as_detections(candidates)
    slide, notes = plan.slide, list(plan.notes)
    model = predictor.spec
    if plan.um_per_px > COARSE * model.um_per_px:
        notes.append(
            f"{plan.um_per_px:g} µm per pixel is coarser than the {model.um_per_px:g} that {predictor.loaded.name} was "
            "trained at: expect missed mitotic figures. Use a 40x scan."
        )
    status = OK
    if missing:
        boxes = [plan.at_level_0(tile.core) for tile in missing]
        first = boxes[0]
        status = (
            f"{INCOMPLETE}: {missing_mm2:.2f} mm² of tissue in {len(missing)} of {len(plan.tiles)} tiles cannot be "
            f"read, the first at x {first.x} to {first.x + first.width}, y {first.y} to {first.y + first.height}. Copy "
            f"or download {slide.path} again."
        )
    return FieldResult(
        name=name,
        path=slide.path,
        width_px=slide.width_px,
        height_px=slide.height_px,
        um_per_px=plan.um_per_px,
        spacing_source=plan.source,
        tissue_mm2=max(plan.tissue.mm2 - missing_mm2, 0.0),
        detections=tuple(item for item in detections if item.score >= predictor.threshold),
        below=tuple(item for item in detections if item.score < predictor.threshold),
        seconds=seconds,
        status=status,
        notes=tuple(notes),
        threshold=predictor.threshold,
        look_again=predictor.look_again,
    )


def view_of(plan: SlidePlan) -> View:
    """What pictures of the slide are drawn from; crops read the file anew, and are crossed out where that fails."""
    bounds = plan.slide.bounds

    def crop(x_px: float, y_px: float, side_px: int) -> np.ndarray:
        left, top = round(x_px - (side_px - 1) / 2), round(y_px - (side_px - 1) / 2)
        try:
            return plan.slide.read(Box(left, top, side_px, side_px))
        except InputError:
            # A file may be damaged or taken away after its search, which stands nevertheless.
            return _crossed_out(side_px)

    try:
        small = plan.slide.picture(PICTURE_SIDE_PX)
    except InputError:
        small = plan.tissue.thumbnail
    return View(small, crop, (float(bounds.x), float(bounds.y)), plan.tissue)


def _crossed_out(side_px: int) -> np.ndarray:
    """In place of a picture that cannot be read: a grey square with both diagonals."""
    square = np.full((side_px, side_px, 3), 200, np.uint8)
    lines = np.eye(side_px, dtype=bool)
    square[lines | lines[:, ::-1]] = 90
    return square
