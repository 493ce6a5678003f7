"""Which scores are doubtful: near the threshold, measured in odds, since scores crowd together near 0 and near 1."""

from __future__ import annotations

import math

from mitozoo.base.errors import RecipeError

_SMALLEST = 1e-9


def half_odds(threshold: float) -> float:
    """The score with half of the odds at a threshold: of 0.5, where the odds are 1 to 1, a third (1 to 2).

    With odds t / (1 - t), half of them belong to t / (2 - t).
    """
    return threshold / (2.0 - threshold)


def log_odds(score: float) -> float:
    """The natural logarithm of score / (1 - score); that of 0 and of 1 is large, not infinite."""
    return math.log(max(score, _SMALLEST)) - math.log(max(1.0 - score, _SMALLEST))


def distance(score: float, threshold: float) -> float:
    """How far a score is from a threshold, in log odds: as far for half of the odds as for twice the odds."""
    return abs(log_odds(score) - log_odds(threshold))


def check_look_again(look_again: float, threshold: float | None = None) -> None:
    """Raises: RecipeError where it is not above 0, or above the threshold (1 where that is not known yet)."""
    if not 0 < look_again <= (1.0 if threshold is None else threshold):
        here = "" if threshold is None else f" ({threshold:.4g} here)"
        raise RecipeError(f"--look-again is a score above 0 and at most the threshold{here}, got {look_again:g}.")
