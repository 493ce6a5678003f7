"""What lies on the glass of a drawn slide beside tissue: pen marks and dust, which a search is to pass over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mitozoo.data.slides import Box
from mitozoo.data.synthetic.canvas import step
from mitozoo.data.synthetic.lobules import overlap

#: Red, green, blue of felt-tip pens.
INKS = {"green": (38, 140, 72), "blue": (32, 62, 168), "black": (34, 33, 36)}
_DUST_COLOUR = (92, 84, 78)
#: Width of a stroke, at least and at most; in parts of the shorter side of its box, as a rule and at most.
_STROKE_UM, _STROKE_SHARE = (70.0, 500.0), (0.12, 0.5)
#: Sides of the box of a pen mark: largest, and in parts of the slide's sides.
_MARK_UM, _MARK_SHARE = 6000.0, 0.2
#: How many specks of dust at most, and their radii; the largest in parts of the slide's shorter side.
_SPECKS, _SPECK_UM, _SPECK_SHARE = 14, (6.0, 35.0), 0.025


class Mark(Protocol):
    """Something on the glass, inside of `box` in px of the slide."""

    @property
    def box(self) -> Box:
        """Where it lies."""

    @property
    def colour(self) -> tuple[int, int, int]:
        """Red, green, blue of what is under a full cover."""

    def touches(self, box: Box) -> bool:
        """Whether something of it may lie in a box."""

    def cover(self, x_px: NDArray[np.float32], y_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cover from 0 to 1 at the pixels of x (w,) and y (h,) of the slide, float32 (h, w)."""


@dataclass(frozen=True)
class PenMark:
    """A wavy stroke of a felt-tip pen. Attributes: box; colour; points (n, 2), radius and width of the edge in px."""

    box: Box
    colour: tuple[int, int, int]
    points: NDArray[np.float64]
    radius_px: float
    soft_px: float

    def _near(self, first: tuple[float, float], last: tuple[float, float]) -> NDArray[np.bool_]:
        """Which pieces of the stroke come near a rectangle, (n - 1,)."""
        reach = self.radius_px + 8 * self.soft_px
        low = np.minimum(self.points[:-1], self.points[1:]) - reach
        high = np.maximum(self.points[:-1], self.points[1:]) + reach
        return np.asarray(((low <= last) & (high >= first)).all(axis=1), np.bool_)

    def touches(self, box: Box) -> bool:
        """As `Mark.touches`: much of the box of a stroke is glass."""
        last = box.x + box.width - 1.0, box.y + box.height - 1.0
        return overlap(self.box, box) and bool(self._near((box.x, box.y), last).any())

    def cover(self, x_px: NDArray[np.float32], y_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Mark.cover`."""
        nearest = np.full((len(y_px), len(x_px)), np.float32(1e9))
        near = self._near((x_px[0], y_px[0]), (x_px[-1], y_px[-1]))
        for start, end in zip(self.points[:-1][near], self.points[1:][near], strict=True):
            (dx, dy), length = (end - start).astype(np.float32), np.float32(((end - start) ** 2).sum())
            x, y = (x_px - np.float32(start[0]))[None], (y_px - np.float32(start[1]))[:, None]
            along = np.clip((x * dx + y * dy) / length, 0, 1)
            np.minimum(nearest, np.hypot(x - along * dx, y - along * dy), out=nearest)
        # Ink runs to the edge of its stroke and is darkest there.
        inner = 0.9 + 0.08 * np.exp(-(((nearest - self.radius_px) / (0.15 * self.radius_px)) ** 2))
        return np.asarray(inner * step(nearest - np.float32(self.radius_px), self.soft_px), np.float32)


@dataclass(frozen=True)
class Speck:
    """A speck of dust. Attributes: box; x, y, its middle in px; radius_px; lobes, of its outline; angle, in radians."""

    box: Box
    x: float
    y: float
    radius_px: float
    lobes: int
    angle: float
    colour: tuple[int, int, int] = _DUST_COLOUR

    def touches(self, box: Box) -> bool:
        """As `Mark.touches`."""
        return overlap(self.box, box)

    def cover(self, x_px: NDArray[np.float32], y_px: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `Mark.cover`."""
        x, y = (x_px - np.float32(self.x))[None], (y_px - np.float32(self.y))[:, None]
        turn = np.arctan2(y, x) - self.angle
        outline = self.radius_px * (0.7 + 0.2 * np.cos(2 * turn) + 0.1 * np.cos(self.lobes * turn))
        return np.asarray(0.85 * step(np.hypot(x, y) - outline, max(0.06 * self.radius_px, 0.3)), np.float32)


def draw_pen_marks(width_px: int, height_px: int, um_per_px: float, seed: int) -> list[PenMark]:
    """A stroke of each ink, each in a corner of the slide of its own."""
    rng = np.random.default_rng([seed, 6])
    slide = np.array([width_px, height_px], float)
    marks = []
    for corner, colour in zip(rng.permutation(4), INKS.values(), strict=False):
        size = np.minimum(slide * _MARK_SHARE, _MARK_UM / um_per_px) * rng.uniform(0.85, 1, 2)
        low = slide * 0.02 + np.array([corner % 2, corner // 2]) * (slide * 0.96 - size)
        usual, most = (share * float(size.min()) for share in _STROKE_SHARE)
        radius = min(float(np.clip(usual * um_per_px, *_STROKE_UM)) / um_per_px, most) / 2
        soft = max(0.04 * radius, 0.5)
        margin = radius + 8 * soft
        turns = np.linspace(0, 1, 24)
        wave = 0.5 + 0.45 * np.sin(2 * math.pi * (turns * rng.uniform(0.6, 1.6) + rng.uniform()))
        # Along the longer side, waving across.
        path = np.stack([turns, wave] if size[0] >= size[1] else [wave, turns], axis=1)
        box = Box(*(int(value) for value in low), *(math.ceil(value) + 1 for value in size))
        marks.append(PenMark(box, colour, low + margin + path * np.maximum(size - 2 * margin, 1), radius, soft))
    return marks


def draw_dust(width_px: int, height_px: int, um_per_px: float, seed: int, kept_free: Sequence[Box]) -> list[Speck]:
    """Specks of dust at random places outside of the boxes `kept_free`, as many as find one."""
    rng = np.random.default_rng([seed, 7])
    smallest, largest = _SPECK_UM
    largest = float(np.clip(_SPECK_SHARE * min(width_px, height_px) * um_per_px, smallest, largest))
    specks: list[Speck] = []
    for _ in range(20 * _SPECKS):
        if len(specks) == _SPECKS:
            break
        radius = rng.uniform(smallest, largest) / um_per_px
        x, y = rng.uniform(0, [width_px, height_px])
        lobes, angle = int(rng.integers(3, 7)), float(rng.uniform(0, 2 * math.pi))
        reach = 1.5 * radius + 2
        box = Box(math.floor(x - reach), math.floor(y - reach), *(2 * [math.ceil(2 * reach) + 1]))
        inside = min(box.x, box.y) >= 0 and box.x + box.width <= width_px and box.y + box.height <= height_px
        if inside and not any(overlap(box, other) for other in [*kept_free, *(item.box for item in specks)]):
            specks.append(Speck(box, float(x), float(y), float(radius), lobes, angle))
    return specks
