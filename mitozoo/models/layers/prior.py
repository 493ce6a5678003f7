"""Where a fresh network starts."""

from __future__ import annotations

import math

from mitozoo.base.errors import RecipeError


def log_odds(prior: float) -> float:
    """Logit of a probability. Raises: RecipeError where it is not between 0 and 1."""
    if not 0 < prior < 1:
        raise RecipeError(f"prior is the probability that a fresh network gives: between 0 and 1, not {prior:g}.")
    return math.log(prior / (1 - prior))
