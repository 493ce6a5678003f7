"""What is taken for a mitosis: pyknotic and apoptotic cells, smudged lymphocytes."""

from __future__ import annotations

import math

import numpy as np

from mitozoo.base.points import NON_MITOTIC, Cell
from mitozoo.data.synthetic.canvas import MIDDLE_UM, Canvas, step
from mitozoo.data.synthetic.look import Look
from mitozoo.data.synthetic.nuclei import outline


def paint_look_alike(canvas: Canvas, look: Look, x_px: float, y_px: float) -> Cell:
    """Paint one look-alike of a random kind; returns the cell, labelled `NON_MITOTIC`, at its dark centre."""
    kind = canvas.rng.choice(3, p=[0.4, 0.25, 0.35])
    (_pyknotic, _apoptotic, _smudged)[kind](canvas, look, x_px, y_px)
    return Cell(float(x_px), float(y_px), NON_MITOTIC)


def _shrunken_body(canvas: Canvas, look: Look, x_px: float, y_px: float, radius_um: float) -> None:
    """A shrunken, strongly eosinophilic cell in an empty halo."""
    rng = canvas.rng
    window = canvas.window(x_px, y_px, radius_um * 1.5 + 2)
    axes = (2 * radius_um, 2 * radius_um * rng.uniform(0.75, 1.0))
    distance = outline(window, rng, axes, rng.uniform(0, math.pi), 0.05)
    halo = rng.uniform(0.6, 0.95) * step(distance - rng.uniform(0.8, 1.8), 0.25)
    canvas.paint(window, halo, 0.01, 0.05)
    eosin = look.cytoplasm * (1.5 + 0.1 * canvas.texture(window, MIDDLE_UM))
    canvas.paint(window, step(distance, 0.2), 0.18, np.asarray(eosin, np.float32))


def _drop(
    canvas: Canvas, look: Look, x_px: float, y_px: float, radius_um: float, density: float, focus_um: float
) -> None:
    """A smooth, round, evenly dark drop of chromatin."""
    rng = canvas.rng
    window = canvas.window(x_px, y_px, radius_um * 1.4 + 1.5)
    axes = (2 * radius_um, 2 * radius_um * rng.uniform(0.8, 1.0))
    distance = outline(window, rng, axes, rng.uniform(0, math.pi), 0.012)
    canvas.paint(window, step(distance, focus_um), density, 1.1 * look.cytoplasm)


def _pyknotic(canvas: Canvas, look: Look, x_px: float, y_px: float) -> None:
    rng = canvas.rng
    radius = rng.uniform(1.3, 2.2)
    _shrunken_body(canvas, look, x_px, y_px, radius + rng.uniform(1.2, 2.4))
    _drop(canvas, look, x_px, y_px, radius, look.nuclear * rng.uniform(2.0, 3.0), rng.uniform(0.12, 0.25))


def _apoptotic(canvas: Canvas, look: Look, x_px: float, y_px: float) -> None:
    rng = canvas.rng
    _shrunken_body(canvas, look, x_px, y_px, rng.uniform(3.0, 4.2))
    _drop(canvas, look, x_px, y_px, rng.uniform(0.9, 1.4), look.nuclear * rng.uniform(2.0, 2.8), 0.15)
    for turn in rng.uniform(0, 2 * math.pi, rng.integers(2, 5)):
        out = rng.uniform(1.5, 2.6) / canvas.um_per_px
        x, y = x_px + out * math.cos(turn), y_px + out * math.sin(turn)
        _drop(canvas, look, x, y, rng.uniform(0.4, 0.9), look.nuclear * rng.uniform(1.6, 2.6), 0.15)


def _smudged(canvas: Canvas, look: Look, x_px: float, y_px: float) -> None:
    """A crushed or tangentially cut nucleus: dark, smooth, out of focus, with some structure left."""
    rng = canvas.rng
    length = rng.uniform(5.0, 8.0)
    window = canvas.window(x_px, y_px, length * 0.65 + 2)
    axes = (length, length * rng.uniform(0.5, 0.9))
    distance = outline(window, rng, axes, rng.uniform(0, math.pi), 0.03)
    density = look.nuclear * rng.uniform(1.7, 2.4) * (1 + 0.12 * canvas.texture(window, MIDDLE_UM))
    canvas.paint(window, step(distance, rng.uniform(0.2, 0.5)), density, 0.6 * look.cytoplasm)
