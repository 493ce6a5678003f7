"""Several opinions on one image: models of an ensemble, and views of test-time augmentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import MITOTIC_CLASSES, MITOTIC_FIGURE
from mitozoo.inference.decoders import Candidates, Decoder
from mitozoo.inference.merging import merge_hits
from mitozoo.models.zoo import LoadedModel

#: Numbers of views that test-time augmentation may have.
VIEWS = (1, 2, 4, 8)
#: The eight ways to turn and mirror a square, as (quarter turns, mirrored first); of n views the first n are taken.
_WAYS = ((0, False), (2, False), (0, True), (2, True), (1, False), (3, False), (1, True), (3, True))


def check_views(views: int) -> None:
    """Raises: RecipeError for a number of views that there is not."""
    if views not in VIEWS:
        raise RecipeError(f"--tta is the number of views, 1, 2, 4 or 8, got {views}.")


def turned(field: np.ndarray, view: int) -> np.ndarray:
    """One of the eight views of an image (H, W, …); view 0 is the image itself."""
    quarters, mirrored = _WAYS[view]
    return np.ascontiguousarray(np.rot90(field[:, ::-1] if mirrored else field, quarters))


def turned_back(xy: np.ndarray, view: int, width_px: int, height_px: int) -> np.ndarray:
    """Points of a view in pixels of the image that it was made from.

    Args: xy (n, 2), pixel centres at integers; view; size of the image, not of the view.
    """
    quarters, mirrored = _WAYS[view]
    x, y = np.asarray(xy, np.float64).reshape(-1, 2).T
    if quarters == 1:
        x, y = width_px - 1 - y, x
    elif quarters == 2:
        x, y = width_px - 1 - x, height_px - 1 - y
    elif quarters == 3:
        x, y = y, height_px - 1 - x
    return np.column_stack([width_px - 1 - x if mirrored else x, y])


def views_of(
    decode: Decoder, field: np.ndarray, views: int, tell: Callable[[], None] = lambda: None
) -> list[Candidates]:
    """What a decoder finds in the first `views` views of a field, each in pixels of the field; `tell` after each."""
    height, width = field.shape[:2]
    parts = []
    for view in range(views):
        found = decode(turned(field, view) if view else field)
        parts.append(Candidates(turned_back(found.xy, view, width, height), found.probabilities))
        tell()
    return parts


def combine(parts: Sequence[Candidates], radius_px: float, classes: Sequence[str]) -> Candidates:
    """Several opinions as one.

    Candidates of all opinions are grouped around the highest; of an opinion that has two in a group the higher counts.
    A group's place is the mean of its opinions', weighted by their scores. Its probabilities are the mean over *all*
    opinions: one that has no candidate there says non-mitotic. So what every opinion finds outranks what one finds.

    Args: parts, the opinions, one at least; radius_px within which candidates are one cell; classes, names, with one
    that is not mitotic.
    Returns: the one opinion as it is where there is no other.
    """
    if len(parts) == 1:
        return parts[0]
    mitotic = [i for i, name in enumerate(classes) if name in MITOTIC_CLASSES]
    other = next(i for i, name in enumerate(classes) if name not in MITOTIC_CLASSES)
    xy = np.concatenate([part.xy.reshape(-1, 2) for part in parts])
    rows = np.concatenate([part.probabilities.reshape(-1, len(classes)) for part in parts])
    owner = np.concatenate([np.full(len(part.xy), i) for i, part in enumerate(parts)])
    score = rows[:, mitotic].sum(axis=1)
    places, probabilities = [], []
    for group in merge_hits(xy, score, radius_px):
        # The highest of each opinion: a group comes by falling score.
        kept = group[np.unique(owner[group], return_index=True)[1]]
        weight = np.maximum(score[kept], 1e-9)
        places.append((xy[kept] * weight[:, None]).sum(axis=0) / weight.sum())
        mean = rows[kept].sum(axis=0)
        mean[other] += len(parts) - len(kept)
        probabilities.append(mean / len(parts))
    return Candidates(np.array(places).reshape(-1, 2), np.array(probabilities).reshape(-1, len(classes)))


def identity(members: Sequence[LoadedModel]) -> str:
    """What tells the weights of a search: the SHA-256 of one model, those of several joined in sorted order."""
    return "+".join(sorted(member.sha256 for member in members))


def ordered(members: Sequence[LoadedModel]) -> list[LoadedModel]:
    """The models in one order, however they were given: finest spacing first, then by name and SHA-256.

    So the order on the command line changes neither the last bit of a score nor the spacing that is assumed where an
    image has none: the first's.
    """
    return sorted(members, key=lambda member: (member.spec.um_per_px, member.name, member.sha256))


def shared_classes(members: Sequence[LoadedModel]) -> tuple[str, ...]:
    """The classes that all models tell, in the order of the first.

    A kind of mitotic figure that some models do not tell (atypical ones) is left out: it counts as a mitotic figure.

    Raises: RecipeError where there is no model, the classes that are not mitotic differ, or some kind is not told by
    all and a mitotic figure as such is not either.
    """
    if not members:
        raise RecipeError("An ensemble needs one model at least.")
    first = members[0]
    for member in members[1:]:
        apart = set(member.spec.classes) ^ set(first.spec.classes)
        both = set(member.spec.classes) & set(first.spec.classes)
        if apart and (apart - MITOTIC_CLASSES or MITOTIC_FIGURE not in both):
            raise RecipeError(
                f"{first.name} tells {', '.join(first.spec.classes)}, and {member.name} "
                f"{', '.join(member.spec.classes)}. Ask models together that tell the same classes."
            )
    return tuple(name for name in first.spec.classes if all(name in member.spec.classes for member in members))


def in_classes(rows: np.ndarray, own: Sequence[str], wanted: Sequence[str]) -> np.ndarray:
    """Probabilities (n, own classes) as (n, wanted classes); classes that are not wanted count as mitotic figures."""
    if tuple(own) == tuple(wanted):
        return rows
    taken = rows[:, [list(own).index(name) for name in wanted]]
    if rest := [i for i, name in enumerate(own) if name not in wanted]:
        taken[:, list(wanted).index(MITOTIC_FIGURE)] += rows[:, rest].sum(axis=1)
    return taken


def in_order(found: Candidates, own: Sequence[str], wanted: Sequence[str]) -> Candidates:
    """Candidates with their probabilities as `in_classes`."""
    return Candidates(found.xy, in_classes(found.probabilities, own, wanted))
