"""Points: what is looked for and what is found.

Coordinates are level-0 pixels of the file as given, origin top left, integers at pixel centres.
"""

from __future__ import annotations

from dataclasses import dataclass

NON_MITOTIC = "non_mitotic"
MITOTIC_FIGURE = "mitotic_figure"
ATYPICAL = "atypical_mitotic_figure"
#: The classes of the zoo's classifiers, in the order of their outputs.
CLASSES = (NON_MITOTIC, MITOTIC_FIGURE, ATYPICAL)
#: The classes that count as a mitosis.
MITOTIC_CLASSES = frozenset({MITOTIC_FIGURE, ATYPICAL})


@dataclass(frozen=True)
class Detection:
    """One detected mitotic figure.

    Attributes: x_px, y_px centre; score in [0, 1], the probability of a mitotic figure of either kind; label, one of
    `MITOTIC_CLASSES`; atypical_score in [0, 1], the probability that a mitotic figure here is atypical, or None where
    the model does not tell.
    """

    x_px: float
    y_px: float
    score: float
    label: str = MITOTIC_FIGURE
    atypical_score: float | None = None


@dataclass(frozen=True)
class Cell:
    """One labelled cell: centre in pixels of its image, and class (one of `CLASSES`, or a data set's own)."""

    x_px: float
    y_px: float
    label: str
