import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.evaluation.counts import Counts
from mitozoo.evaluation.matching import BY_SCORE, PROTOCOLS, Protocol, gains, match, protocol

UM = 0.25
FIVE_PX = Protocol(name="five", title="5 px", rule=BY_SCORE, source="test", radius_px=5)


def along_x(*places):
    return np.array([[place, 0.0] for place in places]).reshape(-1, 2)


def pairs(matches):
    return [tuple(pair) for pair in matches.true_positive.tolist()]


def test_gate_before_assignment():
    matches = match(along_x(0, 10), along_x(9, 100), [0.5, 0.9], FIVE_PX, None)
    assert pairs(matches) == [(0, 1)]
    assert matches.false_positive.tolist() == [1]
    assert matches.false_negative.tolist() == [0]


@pytest.mark.parametrize(
    ("name", "radius_px"),
    [
        ("default", 30),
        ("midog", 30),
        ("amida13", 30),
        ("tupac", 30),
        ("tupac-al", 25),
        ("icpr12", 20),
        ("mitos14", 32),
    ],
)
def test_radius_is_inclusive_and_no_wider(name, radius_px):
    for distance, counts in ((radius_px, Counts(1, 0, 0)), (radius_px + 0.01, Counts(0, 1, 1))):
        found = np.array([[0.6 * distance, 0.8 * distance]])
        assert match(along_x(0), np.round(found, 6), [0.5], protocol(name), UM).counts == counts, distance


def test_micrometres_follow_the_spacing_and_pixels_do_not():
    at_20x = 0.5
    assert match(along_x(0), along_x(16), [1], protocol("default"), at_20x).counts == Counts(0, 1, 1)
    assert match(along_x(0), along_x(15), [1], protocol("default"), at_20x).counts == Counts(1, 0, 0)
    assert match(along_x(0), along_x(25), [1], protocol("tupac-al"), at_20x).counts == Counts(1, 0, 0)
    assert match(along_x(0), along_x(25), [1], protocol("tupac-al"), None).counts == Counts(1, 0, 0)


# Truths at 0 and 100; found: 3 (0.6), -2 (0.9), 4 (0.7) around the first, 300 (0.8) nowhere.
@pytest.mark.parametrize(
    ("name", "pair", "false", "again"),
    [
        ("default", (1, 0), [0, 2, 3], []),
        ("icpr12", (1, 0), [0, 2, 3], []),
        ("mitos14", (1, 0), [0, 2, 3], []),
        ("midog", (1, 0), [0, 2, 3], []),
        ("amida13", (1, 0), [3], [0, 2]),
        ("tupac", (1, 0), [3], [0, 2]),
        ("tupac-al", (1, 0), [3], [0, 2]),
    ],
)
def test_several_hits_on_one_truth(name, pair, false, again):
    matches = match(along_x(0, 100), along_x(3, -2, 4, 300), [0.6, 0.9, 0.7, 0.8], protocol(name), UM)
    assert pairs(matches) == [pair]
    assert matches.false_positive.tolist() == false
    assert matches.duplicates.tolist() == again
    assert matches.false_negative.tolist() == [1]
    assert matches.counts == Counts(1, len(false), 1)


# Truths at 0 and 20 are nearer to each other than 30 px. Found: 12 (0.9), 21 (0.5), 2 (0.7).
@pytest.mark.parametrize(
    ("name", "expected", "false", "again"),
    [
        # 12 takes 20 (8 away); 2 takes 0; 21 has both within 30 px, but both are taken.
        ("default", [(0, 1), (2, 0)], [1], []),
        ("amida13", [(0, 1), (2, 0)], [], [1]),
        ("tupac", [(0, 1), (2, 0)], [], [1]),
        ("tupac-al", [(0, 1), (2, 0)], [], [1]),
        # 21 is farther than 20 px from 0, and 20 is taken.
        ("icpr12", [(0, 1), (2, 0)], [1], []),
        ("mitos14", [(0, 1), (2, 0)], [1], []),
        # 0 takes 2; 20 takes 21 (1 away), whatever the scores.
        ("midog", [(1, 1), (2, 0)], [0], []),
    ],
)
def test_two_truths_nearer_than_the_radius(name, expected, false, again):
    matches = match(along_x(0, 20), along_x(12, 21, 2), [0.9, 0.5, 0.7], protocol(name), UM)
    assert pairs(matches) == expected
    assert matches.false_positive.tolist() == false
    assert matches.duplicates.tolist() == again
    assert matches.false_negative.tolist() == []


def test_midog_follows_the_order_of_the_truths():
    # One detection between two truths goes to the one that comes first, though the other is nearer.
    assert pairs(match(along_x(0, 20), along_x(12), [1], protocol("midog"), UM)) == [(0, 0)]
    assert pairs(match(along_x(20, 0), along_x(12), [1], protocol("midog"), UM)) == [(0, 0)]
    # 0 takes 5 (nearest), so that 20 has 28 left, 8 away; by score 5 and 28 fall the same way.
    assert pairs(match(along_x(0, 20), along_x(28, 5), [0.1, 0.2], protocol("midog"), UM)) == [(0, 1), (1, 0)]


# Truth at (0, 0); found with one score: (2, 0), (-1, 3), (-1, -3).
@pytest.mark.parametrize(
    ("name", "hit", "false", "again"),
    [
        ("default", 2, [0, 1], []),
        ("icpr12", 2, [0, 1], []),
        ("mitos14", 2, [0, 1], []),
        ("amida13", 2, [], [0, 1]),
        ("tupac", 2, [], [0, 1]),
        ("tupac-al", 2, [], [0, 1]),
        # Scores do not matter, and (2, 0) is the nearest.
        ("midog", 0, [1, 2], []),
    ],
)
def test_ties_of_score_under_every_protocol(name, hit, false, again):
    found = np.array([[2.0, 0.0], [-1.0, 3.0], [-1.0, -3.0]])
    matches = match(along_x(0), found, [0.5, 0.5, 0.5], protocol(name), UM)
    assert pairs(matches) == [(hit, 0)]
    assert matches.false_positive.tolist() == false
    assert matches.duplicates.tolist() == again


@pytest.mark.parametrize("name", PROTOCOLS)
def test_ties_of_distance_under_every_protocol(name):
    # Truths at 4 and 0, found at 2: the lower x, but for midog, where the first truth chooses.
    assert pairs(match(along_x(4, 0), along_x(2), [1], protocol(name), UM)) == [(0, 0 if name == "midog" else 1)]


def test_equal_scores_are_taken_by_x_then_y():
    found = np.array([[2.0, 0.0], [-1.0, 3.0], [-1.0, -3.0]])
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        matches = match(along_x(0), found[order], [0.5, 0.5, 0.5], FIVE_PX, None)
        assert found[order][matches.true_positive[0, 0]].tolist() == [-1.0, -3.0]


def test_equal_distances_go_to_the_truth_with_lower_x():
    assert pairs(match(along_x(4, 0), along_x(2), [1], FIVE_PX, None)) == [(0, 1)]
    assert pairs(match(along_x(0, 4), along_x(2), [1], FIVE_PX, None)) == [(0, 0)]


@pytest.mark.parametrize("name", PROTOCOLS)
def test_empty_images(name):
    rule, none = protocol(name), np.zeros((0, 2))
    assert match(none, none, [], rule, UM).counts == Counts(0, 0, 0)
    assert match(along_x(1, 2), none, [], rule, UM).counts == Counts(0, 0, 2)
    assert match(none, along_x(1, 2), [0.1, 0.2], rule, UM).counts == Counts(0, 2, 0)
    assert match([], [], [], rule, UM).true_positive.shape == (0, 2)


def by_score_again(truth, found, scores, radius):
    """Brute force: (pairs, near) of the default rule."""
    free, taken = set(range(len(truth))), {}
    for index in sorted(range(len(found)), key=lambda i: (-scores[i], found[i][0], found[i][1])):
        distance = {j: np.hypot(*(truth[j] - found[index])) for j in free}
        best = min(distance, key=lambda j: (distance[j], truth[j][0], truth[j][1]), default=None)
        if best is not None and distance[best] <= radius:
            taken[index] = best
            free.remove(best)
    return sorted(taken.items())


def midog_again(truth, found, radius):
    """Brute force: pairs of the MIDOG rule."""
    free, taken = set(range(len(found))), {}
    for index in range(len(truth)):
        distance = {i: np.hypot(*(truth[index] - found[i])) for i in free}
        best = min(distance, key=lambda i: (distance[i], found[i][0], found[i][1]), default=None)
        if best is not None and distance[best] <= radius:
            taken[best] = index
            free.remove(best)
    return sorted(taken.items())


def crowds(number, seed=1):
    """Crowded random images on a whole-pixel grid: ties in distance, score and place all happen."""
    rng = np.random.default_rng(seed)
    for _ in range(number):
        truth = rng.integers(0, 60, size=(rng.integers(0, 12), 2)).astype(float)
        found = np.unique(rng.integers(0, 60, size=(rng.integers(0, 16), 2)), axis=0).astype(float)
        rng.shuffle(found)
        yield rng, truth, found, rng.integers(0, 5, size=len(found)) / 4


def pixels(name, radius_px):
    return Protocol(name="test", title="", rule=PROTOCOLS[name].rule, source="", radius_px=radius_px)


def test_against_brute_force():
    for _, truth, found, scores in crowds(300):
        assert pairs(match(truth, found, scores, pixels("default", 11), None)) == by_score_again(
            truth, found, scores, 11
        )
        many = match(truth, found, scores, pixels("amida13", 11), None)
        near = [min([np.hypot(*(t - f)) for t in truth], default=99) <= 11 for f in found]
        assert pairs(many) == by_score_again(truth, found, scores, 11)
        assert many.false_positive.tolist() == [i for i, hit in enumerate(near) if not hit]
        assert pairs(match(truth, found, scores, pixels("midog", 11), None)) == midog_again(truth, found, 11)


def largest_matching(truth, found, radius):
    """How many pairs there can be at most, by another algorithm."""
    near = np.hypot(*np.moveaxis(found[:, None] - truth[None], -1, 0)) <= radius
    partners = maximum_bipartite_matching(csr_matrix(near), perm_type="column")
    return int((partners >= 0).sum())


@pytest.mark.parametrize("name", PROTOCOLS)
def test_never_more_pairs_than_there_can_be_and_never_fewer_than_half(name):
    fewer = 0
    for _, truth, found, scores in crowds(300, seed=8):
        if not len(truth) or not len(found):
            continue
        most = largest_matching(truth, found, 11)
        tp = match(truth, found, scores, pixels(name, 11), None).counts.tp
        # A pair taken by a rule can stand in the way of two others at most.
        assert most / 2 <= tp <= most
        fewer += tp < most
    assert fewer


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_truth_and_every_detection_is_counted_once(name):
    for _, truth, found, scores in crowds(100, seed=9):
        matches = match(truth, found, scores, pixels(name, 11), None)
        counts = matches.counts
        assert counts.tp + counts.fn == len(truth)
        assert counts.tp + counts.fp + len(matches.duplicates) == len(found)
        assert np.isnan(counts.f1) or 0 <= counts.f1 <= 1
        assert (counts.f1 == 1) == (counts.fp == counts.fn == 0 < counts.tp)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_any_turn_and_shift_changes_nothing(name):
    rng = np.random.default_rng(10)
    for _ in range(60):
        truth, found, scores = rng.uniform(0, 60, (9, 2)), rng.uniform(0, 60, (14, 2)), rng.permutation(14) / 14
        angle = rng.uniform(0, 2 * np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        moved = [xy @ turn.T + [1000, -500] for xy in (truth, found)]
        first = match(truth, found, scores, pixels(name, 12), None)
        second = match(*moved, scores, pixels(name, 12), None)
        assert pairs(first) == pairs(second)
        assert first.duplicates.tolist() == second.duplicates.tolist()


@pytest.mark.parametrize("name", ["default", "midog", "amida13"])
def test_gains_are_a_new_match_at_every_threshold(name):
    for _, truth, found, scores in crowds(200, seed=2):
        gained = gains(truth, found, scores, pixels(name, 13), None)
        for threshold in (0, 0.25, 0.3, 0.5, 0.75, 1):
            at = scores >= threshold
            again = match(truth, found[at], scores[at], pixels(name, 13), None)
            tp, fp = int(gained.true_positive[at].sum()), int(gained.false_positive[at].sum())
            assert Counts(tp, fp, len(truth) - tp) == again.counts


@pytest.mark.parametrize("name", PROTOCOLS)
def test_order_of_detections_does_not_matter(name):
    for rng, truth, found, scores in crowds(100, seed=3):
        order = rng.permutation(len(found))
        first = match(truth, found, scores, pixels(name, 12), None)
        second = match(truth, found[order], scores[order], pixels(name, 12), None)
        assert pairs(first) == sorted((int(order[i]), j) for i, j in pairs(second))
        assert first.false_positive.tolist() == sorted(order[second.false_positive].tolist())
        assert first.duplicates.tolist() == sorted(order[second.duplicates].tolist())


def test_order_of_truths_does_not_matter_but_for_midog():
    for rng, truth, found, scores in crowds(100, seed=4):
        order = rng.permutation(len(truth))
        first = match(truth, found, scores, pixels("default", 12), None).counts
        assert match(truth[order], found, scores, pixels("default", 12), None).counts == first


@pytest.mark.parametrize("name", PROTOCOLS)
def test_larger_radius_never_gives_fewer_pairs(name):
    for _, truth, found, scores in crowds(100, seed=5):
        tp = [match(truth, found, scores, pixels(name, radius), None).counts.tp for radius in (1, 4, 7, 12, 20, 40)]
        assert tp == sorted(tp)


@pytest.mark.parametrize("name", ["default", "midog", "amida13"])
def test_quarter_turn_changes_nothing(name):
    rng = np.random.default_rng(6)
    for _ in range(100):
        truth, found, scores = rng.uniform(0, 60, (9, 2)), rng.uniform(0, 60, (14, 2)), rng.permutation(14) / 14
        turned = [xy[:, ::-1] * [-1, 1] for xy in (truth, found)]
        first = match(truth, found, scores, pixels(name, 12), None)
        second = match(*turned, scores, pixels(name, 12), None)
        assert pairs(first) == pairs(second)
        assert first.false_negative.tolist() == second.false_negative.tolist()


def test_thousands_of_points():
    rng = np.random.default_rng(7)
    truth = rng.uniform(0, 20_000, (3000, 2))
    found = truth + rng.normal(0, 3, truth.shape)
    for name in ("default", "midog", "amida13"):
        counts = match(truth, found, rng.uniform(size=3000), protocol(name), UM).counts
        assert counts.tp + counts.fn == 3000
        assert counts.tp > 2990


def test_unknown_protocol():
    with pytest.raises(UnknownNameError) as error:
        protocol("amida")
    assert str(error.value) == "No protocol named 'amida'. Did you mean 'amida13'?"


def test_missing_spacing():
    with pytest.raises(DataError) as error:
        match(along_x(0), along_x(0), [1], protocol("icpr12"), None)
    assert str(error.value) == (
        "Protocol 'icpr12' measures in µm, but the spacing of the image is not known. "
        "Give it with --um-per-px (0.25 is usual at 40x)."
    )


def test_numbers_that_are_not_finite():
    with pytest.raises(DataError, match="A score is not a finite number. Correct or remove its detection."):
        match(along_x(0), along_x(0), [np.nan], FIVE_PX, None)
    with pytest.raises(DataError, match="A coordinate of the truth is not a finite number. Correct or remove it."):
        match(along_x(np.inf), along_x(0), [1], FIVE_PX, None)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="2 detections need 2 scores, not 1"):
        match(along_x(0), along_x(0, 1), [1], FIVE_PX, None)
    with pytest.raises(ValueError, match=r"The detections must have the shape \(n, 2\), not \(1, 3\)"):
        match(along_x(0), np.zeros((1, 3)), [1], FIVE_PX, None)


def test_protocols_check_themselves():
    with pytest.raises(ValueError, match="needs one radius above 0"):
        Protocol(name="x", title="", rule=BY_SCORE, source="")
    with pytest.raises(ValueError, match="needs one radius above 0"):
        Protocol(name="x", title="", rule=BY_SCORE, source="", radius_px=1, radius_um=1)
    with pytest.raises(ValueError, match="unknown rule 'best'"):
        Protocol(name="x", title="", rule="best", source="", radius_px=1)
