"""Which models a search asks, and what was tuned for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from mitozoo.api.loading import load
from mitozoo.base.errors import RecipeError
from mitozoo.inference.ensemble import identity
from mitozoo.models import zoo_source
from mitozoo.models.zoo import LoadedModel

Names = str | Sequence[str]
Files = str | Path | Sequence[str | Path] | None


def load_all(model: Names, weights: Files) -> list[LoadedModel]:
    """Load the models of a search.

    Args: model, name or names; weights, files or folders of runs in place of the zoo's: a folder of a cross-validation
    stands for the models of all its folds. One name serves all weights; several names and weights go in pairs.
    Returns: the models, each once. Raises: RecipeError for numbers that do not fit, WeightsError, UnknownNameError.
    """
    names = [model] if isinstance(model, str) else list(model)
    files = [weights] if isinstance(weights, str | Path) else list(weights or ())
    if not files:
        return [load(name) for name in dict.fromkeys(names)]
    if len(names) > 1 and len(names) != len(files):
        raise RecipeError(
            f"{len(names)} times --model and {len(files)} times --weights do not go in pairs. "
            "Give --model once for all weights, or as often as --weights."
        )
    pairs = zip(names * len(files) if len(names) == 1 else names, files, strict=False)
    return [load(name, file) for name, given in pairs for file in zoo_source.weights_of(Path(given))]


def with_tuned(members: list[LoadedModel], tuned: str | Path | None) -> tuple[list[LoadedModel], int | None]:
    """The models with the threshold and the settings that `mitozoo tune` chose for them.

    Returns: the models, and the views of test-time augmentation that they were tuned with; None where nothing was read.
    Raises: RecipeError for a file that is damaged, or was chosen for other weights.
    """
    if tuned is None:
        return members, None
    from mitozoo.evaluation.tuning import read_tuned

    found = read_tuned(Path(tuned), identity(members))
    changed = [
        dataclasses.replace(
            member,
            threshold=found.threshold,
            # Settings of a decoder are one model's; several are tuned by their threshold alone.
            decoder={**member.decoder, **(found.decoder if len(members) == 1 else {})},
            tuned_on=found.cases,
        )
        for member in members
    ]
    return changed, found.tta


def check_tta(tta: int, tuned: int | None) -> None:
    """Raises: RecipeError where a threshold was tuned with other views than are searched."""
    if tuned is not None and tta != tuned:
        raise RecipeError(
            f"The threshold was tuned with --tta {tuned}, not {tta}. Search with --tta {tuned}, or tune again."
        )


def check_apart(members: Sequence[LoadedModel], cases: Sequence[str]) -> None:
    """Raises: RecipeError where a case that would be measured is one that the threshold was chosen on."""
    both = sorted({case for member in members for case in member.tuned_on} & set(cases))
    if both:
        more = f" and {len(both) - 3} more" if len(both) > 3 else ""
        raise RecipeError(
            f"The threshold was chosen on {', '.join(both[:3])}{more}: measured there, it would look too good. "
            "Measure other cases (--case), or give --threshold."
        )
