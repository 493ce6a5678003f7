"""Matching detections to truth by the rules of the field and of its challenges.

Distance gates first (a detection exactly on the radius still counts), then detections and truths are assigned to each
other. A truth and a detection are in at most one pair, whatever the rule.

The order in which detections come never matters: they are taken by falling score, and equal scores by x, then y. Truths
at equal distance are taken by x, then y. Only `midog` looks at the order of the truths, as its rule says.

A larger radius never gives fewer pairs, for every rule here. Proof for detections in a fixed order, each taking its
nearest free truth: a larger radius only adds truths at the end of each detection's list, so by induction every truth
taken with the small radius is taken with the large one (what a detection took before is either taken already or still
the first free one on its list). With truths and detections exchanged it is the proof for `midog`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.spatial import cKDTree

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.base.units import check_um_per_px, um_to_px
from mitozoo.evaluation.counts import Counts

#: One-to-one: detections by falling score, each takes the nearest free truth.
BY_SCORE = "one-to-one, detections by falling score"
#: One-to-one: truths in the order of their file, each takes the nearest free detection, whatever its score.
IN_TRUTH_ORDER = "one-to-one, truths in their order"
#: As BY_SCORE, but a detection within the radius of truths that are all taken is neither true nor false positive.
MANY_TO_ONE = "many-to-one"
RULES = (BY_SCORE, IN_TRUTH_ORDER, MANY_TO_ONE)


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A rule for calling a detection right.

    Attributes: name, as on the command line; title, one line for reports; rule, one of `RULES`; source; radius_um or
    radius_px, the largest distance between the centres of a pair (one of the two, inclusive).
    Raises: ValueError for a radius given twice, not at all or not above 0, and for an unknown rule.
    """

    name: str
    title: str
    rule: str
    source: str
    radius_um: float | None = None
    radius_px: float | None = None

    def __post_init__(self) -> None:
        given = [radius for radius in (self.radius_um, self.radius_px) if radius is not None]
        if len(given) != 1 or not given[0] > 0:
            raise ValueError(f"Protocol {self.name!r} needs one radius above 0, radius_um or radius_px.")
        if self.rule not in RULES:
            raise ValueError(f"Protocol {self.name!r} has the unknown rule {self.rule!r}. Known: {'; '.join(RULES)}.")

    def radius_at(self, um_per_px: float | None) -> float:
        """Radius in pixels of an image with this spacing. Raises: DataError if the spacing is needed and None."""
        if self.radius_px is not None:
            return self.radius_px
        if um_per_px is None:
            raise DataError(
                f"Protocol {self.name!r} measures in µm, but the spacing of the image is not known. "
                "Give it with --um-per-px (0.25 is usual at 40x)."
            )
        assert self.radius_um is not None
        return um_to_px(self.radius_um, check_um_per_px(um_per_px))


_ALL = (
    Protocol(
        name="default",
        title="within 7.5 µm, one-to-one, detections by falling score",
        radius_um=7.5,
        rule=BY_SCORE,
        source="mitozoo; the distance of AMIDA13, TUPAC16 and MIDOG",
    ),
    Protocol(
        name="midog",
        title="within 7.5 µm, one-to-one, truths in their order, nearest free detection",
        radius_um=7.5,
        rule=IN_TRUTH_ORDER,
        source="MIDOG evaluation code (evalutils score_detection)",
    ),
    Protocol(
        name="amida13",
        title="within 7.5 µm (30 px at 0.25 µm/px), several hits on one truth count once",
        radius_um=7.5,
        rule=MANY_TO_ONE,
        source="Veta et al. 2015, doi:10.1016/j.media.2014.11.010",
    ),
    Protocol(
        name="tupac",
        title="within 7.5 µm (30 px at 0.25 µm/px), several hits on one truth count once",
        radius_um=7.5,
        rule=MANY_TO_ONE,
        source="Veta et al. 2019, doi:10.1016/j.media.2019.02.012",
    ),
    # The published code also lets a hit spread to neighbours of neighbours; that accident is not repeated here.
    Protocol(
        name="tupac-al",
        title="within 25 px, several hits on one truth count once",
        radius_px=25.0,
        rule=MANY_TO_ONE,
        source="Bertram et al. 2020, arXiv:2007.05351, alternative labels for TUPAC16",
    ),
    # The two contests give the distance only; one-to-one by score is how mitozoo reads them.
    Protocol(
        name="icpr12",
        title="centroids within 5 µm (about 20 px at 40x), one-to-one, detections by falling score",
        radius_um=5.0,
        rule=BY_SCORE,
        source="ICPR 2012 contest rules; Sebai et al. 2020 (PartMitosis), doi:10.1109/ACCESS.2020.2978754",
    ),
    Protocol(
        name="mitos14",
        title="centres within 8 µm (about 32 px at 40x), one-to-one, detections by falling score",
        radius_um=8.0,
        rule=BY_SCORE,
        source="MITOS-ATYPIA-14 contest rules; Sebai et al. 2020 (PartMitosis), doi:10.1109/ACCESS.2020.2978754",
    ),
)
#: The protocols by name.
PROTOCOLS: Mapping[str, Protocol] = MappingProxyType({item.name: item for item in _ALL})


def protocol(name: str) -> Protocol:
    """Return the protocol of that name. Raises: UnknownNameError with the nearest name."""
    if name not in PROTOCOLS:
        raise UnknownNameError("protocol", name, PROTOCOLS)
    return PROTOCOLS[name]


@dataclass(frozen=True, eq=False)
class Matches:
    """How the detections of one image fell.

    Attributes (indices into the inputs, rising): true_positive (k, 2), each found → truth; false_positive (f,);
    false_negative (n,) truths that nobody hit; duplicates (d,), hits on truths already taken under many-to-one rules,
    neither true nor false.
    """

    true_positive: np.ndarray
    false_positive: np.ndarray
    false_negative: np.ndarray
    duplicates: np.ndarray

    @property
    def counts(self) -> Counts:
        """The lengths of the lists, without the duplicates."""
        return Counts(len(self.true_positive), len(self.false_positive), len(self.false_negative))


@dataclass(frozen=True, eq=False)
class Gains:
    """What each detection of one image adds as the threshold falls to its score.

    For any threshold t, the sums over the detections with score >= t are the counts of a matching of just those
    detections: exactly, for every rule (see `gains`).

    Attributes: scores (m,); true_positive (m,) bool, it raises the true positives by one; false_positive (m,) bool, it
    raises the false positives by one; truths, how many there are.
    """

    scores: np.ndarray
    true_positive: np.ndarray
    false_positive: np.ndarray
    truths: int


@dataclass(frozen=True, eq=False)
class _Assigned:
    """What `_assign` found.

    partner (m,) index of each detection's truth or -1; gained (m,) bool as in Gains; near (m,) bool: has a truth within
    the radius; truths, how many.
    """

    partner: np.ndarray
    gained: np.ndarray
    near: np.ndarray
    truths: int


def match(
    truth_xy: np.ndarray, found_xy: np.ndarray, scores: np.ndarray, protocol: Protocol, um_per_px: float | None
) -> Matches:
    """Match the detections of one image to its truth.

    Args: truth_xy (n, 2) and found_xy (m, 2) centres in pixels; scores (m,), higher is surer; protocol; um_per_px of
    the image, None if the protocol measures in pixels.
    Raises: DataError for a missing spacing, or coordinates or scores that are not finite; ValueError for wrong shapes.
    """
    done = _assign(truth_xy, found_xy, scores, protocol, um_per_px)
    right = done.partner >= 0
    again = ~right & done.near if protocol.rule == MANY_TO_ONE else np.zeros_like(right)
    missed = np.ones(done.truths, dtype=bool)
    missed[done.partner[right]] = False
    return Matches(
        true_positive=np.stack([np.flatnonzero(right), done.partner[right]], axis=1),
        false_positive=np.flatnonzero(~right & ~again),
        false_negative=np.flatnonzero(missed),
        duplicates=np.flatnonzero(again),
    )


def gains(
    truth_xy: np.ndarray, found_xy: np.ndarray, scores: np.ndarray, protocol: Protocol, um_per_px: float | None
) -> Gains:
    """Match the detections of one image at every threshold, in one pass.

    Arguments and errors as of `match`. By falling score this is exact because a higher threshold only cuts the end of
    the order. In truth order it is exact because the matching is the one stable matching of truths that all detections
    rank alike: a new detection displaces at most one chain of others, so it is put in without starting again.
    """
    done = _assign(truth_xy, found_xy, scores, protocol, um_per_px)
    false = ~done.near if protocol.rule == MANY_TO_ONE else ~done.gained
    return Gains(np.asarray(scores, dtype=np.float64).reshape(-1), done.gained, false, done.truths)


def _checked(xy: np.ndarray, what: str) -> np.ndarray:
    points = np.asarray(xy, dtype=np.float64)
    if points.size == 0:
        return np.zeros((0, 2))
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"The {what} must have the shape (n, 2), not {points.shape}.")
    if not np.isfinite(points).all():
        raise DataError(f"A coordinate of the {what} is not a finite number. Correct or remove it.")
    return points


def _assign(
    truth_xy: np.ndarray, found_xy: np.ndarray, scores: np.ndarray, protocol: Protocol, um_per_px: float | None
) -> _Assigned:
    truth, found = _checked(truth_xy, "truth"), _checked(found_xy, "detections")
    score = np.asarray(scores, dtype=np.float64).reshape(-1)
    if len(score) != len(found):
        raise ValueError(f"{len(found)} detections need {len(found)} scores, not {len(score)}.")
    if not np.isfinite(score).all():
        raise DataError("A score is not a finite number. Correct or remove its detection.")
    radius_px = protocol.radius_at(um_per_px)
    partner, gained = np.full(len(found), -1), np.zeros(len(found), dtype=bool)
    near = np.zeros(len(found), dtype=bool)
    if not len(truth) or not len(found):
        return _Assigned(partner, gained, near, len(truth))
    pairs = cKDTree(found).sparse_distance_matrix(cKDTree(truth), radius_px, output_type="ndarray")
    near[pairs["i"]] = True
    turn = _rank(found[:, 1], found[:, 0], -score)
    if protocol.rule == IN_TRUTH_ORDER:
        _in_truth_order(pairs, turn, _rank(found[:, 1], found[:, 0]), partner, gained)
    else:
        _by_score(pairs, turn, _rank(truth[:, 1], truth[:, 0]), partner)
        gained = partner >= 0
    return _Assigned(partner, gained, near, len(truth))


def _rank(*keys: np.ndarray) -> np.ndarray:
    """Place of each item when sorted by the last key, then the one before it, and so on."""
    order = np.lexsort(keys)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank


def _by_score(pairs: np.ndarray, turn: np.ndarray, truth_rank: np.ndarray, partner: np.ndarray) -> None:
    """Fill `partner`: by turn, each detection takes the nearest free truth of its pairs (i found, j truth, v px)."""
    order = np.lexsort((truth_rank[pairs["j"]], pairs["v"], turn[pairs["i"]]))
    taken: set[int] = set()
    for found, truth in zip(pairs["i"][order].tolist(), pairs["j"][order].tolist(), strict=True):
        if partner[found] < 0 and truth not in taken:
            partner[found] = truth
            taken.add(truth)


def _in_truth_order(
    pairs: np.ndarray, turn: np.ndarray, found_rank: np.ndarray, partner: np.ndarray, gained: np.ndarray
) -> None:
    """Fill `partner` and `gained`: as if each truth, in order, took the nearest free detection.

    Detections are put in by turn. One asks its truths in their order; a truth that is free or holds a farther one takes
    it, and the one sent away asks on from there.
    """
    asks: dict[int, list[tuple[int, tuple[float, int]]]] = {}
    order = np.lexsort((pairs["j"], turn[pairs["i"]]))
    for found, truth, distance in pairs[order][["i", "j", "v"]].tolist():
        asks.setdefault(found, []).append((truth, (distance, int(found_rank[found]))))
    held: dict[int, tuple[tuple[float, int], int]] = {}
    for newcomer in asks:
        asking, last = newcomer, -1
        while asking >= 0:
            for truth, closeness in asks[asking]:
                if truth > last and (truth not in held or closeness < held[truth][0]):
                    sent_away = held[truth][1] if truth in held else -1
                    gained[newcomer] = sent_away < 0
                    held[truth] = (closeness, asking)
                    asking, last = sent_away, truth
                    break
            else:
                break
    for truth, (_, found) in held.items():
        partner[found] = truth
