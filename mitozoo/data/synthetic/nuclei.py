"""Interphase nuclei: tumour cells, lymphocytes, fibroblasts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mitozoo.data.synthetic.canvas import COARSE_UM, FINE_UM, MIDDLE_UM, Canvas, Map, Window, step
from mitozoo.data.synthetic.look import Look


@dataclass(frozen=True)
class Nucleus:
    """One nucleus to be painted: axes in µm, amount of stain, and how it looks.

    Attributes: bumpy roughness of the outline; density amount of haematoxylin; vesicular 0 to 1; clumps contrast of
    the chromatin; nucleoli how many; focus_um softness of its edge; eosin amount.
    """

    length_um: float
    width_um: float
    angle: float
    bumpy: float
    density: float
    vesicular: float
    clumps: float
    nucleoli: int
    focus_um: float
    eosin: float


def tumour_nucleus(rng: np.random.Generator, look: Look) -> Nucleus:
    """A large, uneven nucleus of the field's habit."""
    length = look.nucleus_um * math.exp(rng.normal(0, 0.17))
    vesicular = float(np.clip(look.vesicular + rng.normal(0, 0.2), 0, 1))
    return Nucleus(
        length_um=length,
        width_um=length * rng.uniform(0.6, 0.95),
        angle=rng.uniform(0, math.pi),
        bumpy=rng.uniform(0.02, 0.06),
        density=look.nuclear * math.exp(rng.normal(0, 0.15)) * (1.15 - 0.35 * vesicular),
        vesicular=vesicular,
        clumps=rng.uniform(0.7, 1.6),
        nucleoli=int(rng.choice([0, 1, 1, 2, 3])),
        focus_um=rng.choice([0.13, 0.16, 0.2, 0.32, 0.5]),
        eosin=look.cytoplasm * rng.uniform(0.5, 0.9),
    )


def lymphocyte(rng: np.random.Generator, look: Look) -> Nucleus:
    """A small, dark, round nucleus with clumped chromatin."""
    length = rng.uniform(5.6, 7.4)
    return Nucleus(
        length_um=length,
        width_um=length * rng.uniform(0.75, 1.0),
        angle=rng.uniform(0, math.pi),
        bumpy=rng.uniform(0.01, 0.05),
        density=look.nuclear * rng.uniform(1.3, 1.75),
        vesicular=rng.uniform(0.4, 0.75),
        clumps=rng.uniform(0.8, 1.3),
        nucleoli=0,
        focus_um=rng.uniform(0.15, 0.3),
        eosin=look.cytoplasm * rng.uniform(0.6, 0.9),
    )


def fibroblast(rng: np.random.Generator, look: Look, angle: float) -> Nucleus:
    """A thin spindle along the fibres."""
    length = rng.uniform(9, 16)
    return Nucleus(
        length_um=length,
        width_um=rng.uniform(1.8, 3.6),
        angle=angle + rng.normal(0, 0.12),
        bumpy=rng.uniform(0.02, 0.07),
        density=look.nuclear * rng.uniform(1.0, 1.6),
        vesicular=rng.uniform(0.0, 0.5),
        clumps=rng.uniform(0.3, 0.7),
        nucleoli=0,
        focus_um=rng.uniform(0.15, 0.4),
        eosin=look.cytoplasm * rng.uniform(0.4, 0.8),
    )


def outline(window: Window, rng: np.random.Generator, axes_um: tuple[float, float], angle: float, bumpy: float) -> Map:
    """Distance in µm (about) from the edge of a bumpy ellipse with full `axes_um`, negative inside; (h, w)."""
    along, across = window.turned(angle)
    along, across = along * (2 / axes_um[0]), across * (2 / axes_um[1])
    radius = np.hypot(along, across)
    theta = np.arctan2(across, along)
    edge = np.ones_like(radius)
    for order in range(2, 7):
        edge += rng.normal(0, bumpy * 2 / order) * np.cos(order * theta + rng.uniform(0, 2 * math.pi))
    return np.asarray((radius - edge) * (min(axes_um) / 2), np.float32)


def paint_nucleus(canvas: Canvas, nucleus: Nucleus, x_px: float, y_px: float) -> None:
    """Paint a nucleus: membrane, clumped chromatin, nucleoli."""
    rng = canvas.rng
    window = canvas.window(x_px, y_px, nucleus.length_um * 0.62 + 1.5)
    if window.dx_um.size == 0:
        return
    distance = outline(window, rng, (nucleus.length_um, nucleus.width_um), nucleus.angle, nucleus.bumpy)
    fine, middle = canvas.texture(window, FINE_UM), canvas.texture(window, MIDDLE_UM)
    inside = step(distance, nucleus.focus_um)
    sharp = 0.2 / max(nucleus.focus_um, 0.2)
    rim_um = 0.28 + 0.3 * nucleus.focus_um
    rim = np.exp(-(((distance + rim_um) / rim_um) ** 2)) * (1 + 0.3 * middle)
    grain = np.clip(middle + 0.6 * fine - 0.4, 0, 2.5)
    pale = 0.95 - 0.6 * nucleus.vesicular
    chromatin = pale + nucleus.clumps * sharp * (0.5 * grain + 0.12 * middle + 0.1 * canvas.texture(window, COARSE_UM))
    chromatin += (0.45 + 0.9 * nucleus.vesicular) * sharp * rim
    eosin = nucleus.eosin * (1 + 0.25 * middle + 0.15 * fine)
    for _ in range(nucleus.nucleoli):
        spot = _nucleolus(window, rng, nucleus)
        chromatin = chromatin + (0.5 + 0.6 * nucleus.vesicular) * sharp * spot
        eosin = eosin + 0.45 * spot
    density = np.clip(nucleus.density * chromatin, 0.1, 2.0)
    canvas.paint(window, inside, density.astype(np.float32), np.clip(eosin, 0.05, None).astype(np.float32))


def _nucleolus(window: Window, rng: np.random.Generator, nucleus: Nucleus) -> Map:
    """A soft round spot somewhere in the inner half of the nucleus; 1 at its middle."""
    along, across = window.turned(nucleus.angle)
    turn, out = rng.uniform(0, 2 * math.pi), 0.27 * math.sqrt(rng.uniform())
    along = along - out * nucleus.length_um * math.cos(turn)
    across = across - out * nucleus.width_um * math.sin(turn)
    radius = min(rng.uniform(0.45, 1.0), nucleus.width_um * 0.2)
    return step(np.hypot(along, across) - radius, 0.14)
