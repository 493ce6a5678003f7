"""Names and colours of the kinds of detection, the same in QuPath, in overlays and in the report."""

from __future__ import annotations

from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE

NAMES = {MITOTIC_FIGURE: "Mitotic figure", ATYPICAL: "Atypical mitotic figure"}
#: Red, green, blue. Red and azure stay apart for colour-blind eyes and on pink and violet tissue.
COLOURS = {MITOTIC_FIGURE: (255, 0, 0), ATYPICAL: (0, 150, 255)}
HOTSPOT_COLOUR = (20, 20, 20)
#: Cells near the threshold that do not count; amber stays apart from red and azure for colour-blind eyes too.
LOOK_AGAIN, LOOK_AGAIN_COLOUR = "Look again", (255, 176, 0)
