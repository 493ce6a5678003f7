"""Where the figures of a drawn slide lie: at random in its tissue, or where tiles of a search meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mitozoo.base.errors import DataError
from mitozoo.data.synthetic.field import LOOK_ALIKES_APART_UM, MARGIN_PX, MITOSES_APART_UM
from mitozoo.data.synthetic.figures import REACH_UM
from mitozoo.data.synthetic.lobules import Lobule
from mitozoo.data.synthetic.tissue import Points

#: Searches cut slides into tiles whose sides are multiples of this.
SEAM_PX = 1024
#: Figures lie whole in the tissue.
_DEEP_UM = REACH_UM + 3


class Places:
    """Places for figures in lobules; what is taken keeps others away."""

    def __init__(self, lobules: Sequence[Lobule], width_px: int, height_px: int, um_per_px: float, seed: int) -> None:
        """Args: lobules; size and spacing of the slide; seed."""
        self.lobules, self.um_per_px = lobules, um_per_px
        self.last = np.array([width_px - 1, height_px - 1], float)
        self.rng = np.random.default_rng([seed, 5])
        self._taken: list[list[tuple[float, float, float]]] = [[] for _ in lobules]

    def free(self, count: int, apart_um: float) -> list[Points]:
        """Take up to `count` places anywhere, `apart_um` from others; (n, 2) a lobule, x and y in px."""
        candidates = [lobule.deeper(_DEEP_UM) for lobule in self.lobules]
        step = self.lobules[0].step_px if self.lobules else 1
        moved = [item + self.rng.uniform(-0.5, 0.5, item.shape) * (step - 1) for item in candidates]
        return self._take(moved, count, apart_um)

    def on_seams(self, count: int, apart_um: float) -> list[Points]:
        """Take up to `count` places on seams: corners of tiles first, then in turn upright and level seams."""
        lines: list[list[Points]] = [[], [], []]
        for lobule in self.lobules:
            x, y = (lobule.deeper(_DEEP_UM)[:, axis] for axis in (0, 1))
            seams = [np.unique(np.rint((values + 0.5) / SEAM_PX)) * SEAM_PX - 0.5 for values in (x, y)]
            crossings = np.stack(np.meshgrid(*seams), axis=-1).reshape(-1, 2)
            across = np.stack(np.meshgrid(seams[0], np.unique(y)), axis=-1).reshape(-1, 2)
            along = np.stack(np.meshgrid(np.unique(x), seams[1]), axis=-1).reshape(-1, 2)
            for kept, places in zip(lines, (crossings, across, along), strict=True):
                kept.append(places[lobule.at(places[:, 0], places[:, 1]) > _DEEP_UM])
        third = -(-count // 3)
        found = [np.zeros((0, 2)) for _ in self.lobules]
        corners, upright, level = lines
        # Upright seams once more, where the level ones hold too few.
        for candidates, most in ((corners, third), (upright, third), (level, count), (upright, count)):
            left = count - sum(len(item) for item in found)
            more = self._take(candidates, min(most, left), apart_um)
            found = [np.concatenate(pair) for pair in zip(found, more, strict=True)]
        return found

    def _take(self, candidates: list[Points], count: int, apart_um: float) -> list[Points]:
        owners = np.repeat(np.arange(len(candidates)), [len(item) for item in candidates])
        places = np.concatenate(candidates) if candidates else np.zeros((0, 2))
        # Boxes of labels lie inside the slide.
        inside = ((places >= MARGIN_PX) & (places <= self.last - MARGIN_PX)).all(axis=1)
        owners, places = owners[inside], places[inside]
        found: list[list[NDArray[np.float64]]] = [[] for _ in candidates]
        total = 0
        for index in self.rng.permutation(len(places)):
            if total == count:
                break
            owner, (x, y) = int(owners[index]), places[index]
            # Figures of two lobules are apart anyway: each lies whole in its own.
            if all(
                (x - a) ** 2 + (y - b) ** 2 >= (max(apart_um, own) / self.um_per_px) ** 2
                for a, b, own in self._taken[owner]
            ):
                self._taken[owner].append((x, y, apart_um))
                found[owner].append(places[index])
                total += 1
        return [np.array(item, float).reshape(-1, 2) for item in found]


def place_figures(
    places: Places, mitoses: int, look_alikes: int, *, seams: bool
) -> tuple[list[Points], list[Points], int]:
    """Place figures in lobules.

    Args: places; how many of each; seams, half of the mitoses lie where tiles meet, as far as tissue is there.
    Returns: mitoses and look-alikes of every lobule, (n, 2) each, x and y in px of the slide; how many mitoses lie on
        a seam.
    Raises: DataError where they do not fit, or no seam runs through the tissue.
    """
    none = [np.zeros((0, 2)) for _ in places.lobules]
    sewn = places.on_seams(-(-mitoses // 2), MITOSES_APART_UM) if seams and mitoses else none
    count = sum(len(item) for item in sewn)
    if seams and mitoses and not count:
        raise DataError(f"No multiple of {SEAM_PX} px runs through the tissue. Ask for more tissue or another seed.")
    others = places.free(mitoses - count, MITOSES_APART_UM)
    first = [np.concatenate(pair) for pair in zip(sewn, others, strict=True)]
    second = places.free(look_alikes, LOOK_ALIKES_APART_UM)
    for found, asked, name in ((first, mitoses, "mitoses"), (second, look_alikes, "look-alikes")):
        fitting = sum(len(item) for item in found)
        if fitting < asked:
            raise DataError(
                f"Only {fitting} of {asked} {name} fit into the tissue of the slide. Ask for fewer, or for more tissue."
            )
    return first, second, count
