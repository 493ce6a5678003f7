#!/usr/bin/env python3
"""Does the way from slide to list lose or double mitotic figures, on seams above all? With an oracle as the network.

    python benchmarks/slide_seams.py [--size-px 100000] [--mitoses 1000] [--shifts 3] [--out FILE.json]

Draws a slide with mitotic figures at known places, many of them on the seams of tiles, and searches it with a network
that knows them: everything else (tissue, tiles, reading, merging) is as in `mitozoo predict`. Every figure must be in
the list once, also with the tiles' grid moved.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from mitozoo.base.points import CLASSES
from mitozoo.base.progress import progress_bar
from mitozoo.data.synthetic.slide import write_slide
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.journal import Found
from mitozoo.inference.predictor import Predictor
from mitozoo.inference.slide_search import RunTiles, SlidePlan, TileProgress, read_tiles, search_slide, search_tile
from mitozoo.inference.tiles import CORE_PX, GRID_PX, Tile

ONCE_PX = 1.0


class Oracle(Predictor):
    """Knows every mitotic figure; asked for a region, it gives those inside."""

    def __init__(self, xy: np.ndarray) -> None:
        """Args: xy (n, 2) of level 0."""
        self.xy, self.region = xy, None
        self.spec = SimpleNamespace(um_per_px=0.25, classes=CLASSES)
        self.loaded = SimpleNamespace(name="oracle", spec=self.spec)
        self.members, self.classes = [self.loaded], CLASSES
        self.threshold, self.look_again, self.max_px, self.tta = 0.5, 0.3, 10**12, 1
        self.every_settings, self.decoders = [{"merge_px": 1.0, "cut": 0.05}], []

    def candidates(self, pixels: np.ndarray, um_per_px: float, tell: Callable[[], None] = lambda: None) -> Candidates:
        """Figures in the region that the pixels are of."""
        corner = np.array([self.region.x, self.region.y])
        size = np.array([pixels.shape[1], pixels.shape[0]])
        own = self.xy[((self.xy >= corner) & (self.xy < corner + size)).all(axis=1)] - corner
        return Candidates(own, np.tile([0.1, 0.9, 0.0], (len(own), 1)))


def oracle_tiles(oracle: Oracle) -> RunTiles:
    """Search tiles with the oracle, which is told the region."""

    def run(plan: SlidePlan, tiles: Sequence[Tile]) -> Iterator[tuple[Tile, Found | None]]:
        for tile, pixels in read_tiles(plan, tiles):
            oracle.region = tile.region
            yield tile, search_tile(oracle, tile, pixels)

    return run


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-px", type=int, default=100_000)
    parser.add_argument("--mitoses", type=int, default=1000)
    parser.add_argument("--tissue-mm2", type=float, default=20.0)
    parser.add_argument("--core-px", type=int, default=CORE_PX)
    parser.add_argument("--shifts", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        slide = write_slide(
            Path(name), width_px=options.size_px, height_px=options.size_px, mitoses=options.mitoses,
            tissue_mm2=options.tissue_mm2, seed=options.seed, seams=True,
        )  # fmt: skip
        labels = json.loads((Path(name) / "MIDOG.json").read_text(encoding="utf-8"))
        boxes = np.array([item["bbox"] for item in labels["annotations"] if item["category_id"] == 1], float)
        xy = np.column_stack([boxes[:, [0, 2]].mean(axis=1), boxes[:, [1, 3]].mean(axis=1)])
        print(f"Drew {len(xy)} mitotic figures in {time.perf_counter() - start:.0f} s", flush=True)
        for k in range(options.shifts):
            shift = k * options.core_px // options.shifts // GRID_PX * GRID_PX
            oracle, start = Oracle(xy), time.perf_counter()
            with progress_bar(f"Shift {shift} px", 1000) as tell:

                def told(at: TileProgress, tell: Callable[[int, str], None] = tell) -> None:
                    tell(round(1000 * at.tiles / at.of_tiles), f"{at.tiles} of {at.of_tiles} tiles")

                result, _ = search_slide(
                    oracle, "slide", slide, run_tiles=oracle_tiles(oracle), shift_px=shift, core_px=options.core_px,
                    tell=told,
                )  # fmt: skip
            found = np.array([(item.x_px, item.y_px) for item in result.detections]).reshape(-1, 2)
            apart = np.hypot(*(xy[:, None] - found[None]).transpose(2, 0, 1))
            times = (apart <= ONCE_PX).sum(axis=1)
            row = {
                "size_px": options.size_px, "mitoses": len(xy), "core_px": options.core_px, "shift_px": shift,
                "found": len(found), "lost": int((times == 0).sum()), "doubled": int((times > 1).sum()),
                "tissue_mm2": result.tissue_mm2, "seconds": time.perf_counter() - start,
            }  # fmt: skip
            rows.append(row)
            print(
                f"shift {shift:5} px: {len(found)} found, {row['lost']} lost, {row['doubled']} doubled, "
                f"{result.tissue_mm2:.1f} mm² of tissue, {row['seconds']:.0f} s",
                flush=True,
            )
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    sys.exit(1 if any(row["lost"] or row["doubled"] for row in rows) else 0)


if __name__ == "__main__":
    main()
