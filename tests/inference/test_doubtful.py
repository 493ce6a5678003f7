"""Which detections are doubtful, with scores and odds worked out by hand."""

import dataclasses
from pathlib import Path

import painted
import pytest

from mitozoo.base.errors import RecipeError
from mitozoo.data.images import Image
from mitozoo.inference.doubtful import distance, half_odds
from mitozoo.inference.predictor import Predictor, with_threshold
from mitozoo.inference.session import Settings
from mitozoo.models import zoo


@pytest.mark.parametrize(("threshold", "half"), [(0.5, 1 / 3), (0.8, 2 / 3), (0.0, 0.0), (1.0, 1.0)])
def test_half_of_the_odds(threshold, half):
    # 0.5 is 1 : 1 and a third is 1 : 2; 0.8 is 4 : 1 and two thirds are 2 : 1.
    assert half_odds(threshold) == pytest.approx(half)


def test_distance_is_the_same_for_half_and_for_twice_the_odds():
    assert distance(2 / 3, 0.8) == pytest.approx(distance(8 / 9, 0.8)) == pytest.approx(0.693147, abs=1e-6)
    assert distance(1.0, 0.5) > distance(0.999, 0.5) > 0 == distance(0.0, 0.0)


def searched(known_points, *, threshold=0.6, **settings):
    known_points.xy = [[20.0 * i, 30.0] for i in range(1, 7)]
    known_points.scores = [0.9, 0.6, 0.59, 0.43, 0.42, 0.06]
    search = Predictor(zoo.load("colour"), threshold=threshold, **settings)
    image = Image(pixels=painted.flat(width=200, height=60), um_per_px=0.25)
    return search.field("a.png", Path("a.png"), image, None)


def scores(detections):
    return [item.score for item in detections]


def test_from_half_the_odds_up_to_the_threshold_cells_are_doubtful(known_points):
    result = searched(known_points)
    # 0.6 is 3 : 2, half of that 3 : 4, which is 3 / 7 = 0.4286.
    assert result.look_again == pytest.approx(3 / 7) and result.threshold == 0.6
    assert scores(result.detections) == [0.9, 0.6]
    assert scores(result.doubtful) == [0.59, 0.43]
    assert scores(result.below) == [0.59, 0.43, 0.42, 0.06]


def test_a_score_that_is_given_is_inclusive_and_changes_nothing_that_counts(known_points):
    result, by_default = searched(known_points, look_again=0.42), searched(known_points)
    assert scores(result.doubtful) == [0.59, 0.43, 0.42]
    assert (result.detections, result.below) == (by_default.detections, by_default.below)
    assert searched(known_points, look_again=0.6).doubtful == ()


@pytest.mark.parametrize(("threshold", "look_again"), [(0.06, 0.05), (0.03, 0.03), (0.0, 0.0)])
def test_the_default_never_reaches_below_what_the_search_keeps(known_points, threshold, look_again):
    assert Predictor(zoo.load("colour"), threshold=threshold).look_again == look_again


def test_another_threshold_forgets_what_was_doubtful(known_points):
    other = with_threshold(searched(known_points), 0.5)
    assert scores(other.detections) == [0.9, 0.6, 0.59]
    assert (other.threshold, other.look_again, other.doubtful) == (0.5, None, ())
    assert dataclasses.replace(other, look_again=0.43).doubtful == other.below[:1]


@pytest.mark.parametrize(
    ("threshold", "look_again", "text"),
    [
        (None, 0.0, "--look-again is a score above 0 and at most the threshold, got 0."),
        (None, 1.5, "--look-again is a score above 0 and at most the threshold, got 1.5."),
        (None, float("nan"), "--look-again is a score above 0 and at most the threshold, got nan."),
        (0.5, 0.6, "--look-again is a score above 0 and at most the threshold (0.5 here), got 0.6."),
    ],
)
def test_nonsense_is_refused_before_any_work(threshold, look_again, text):
    with pytest.raises(RecipeError) as caught:
        Settings(threshold=threshold, look_again=look_again)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("look_again", "text"),
    [
        (0.6, "--look-again is a score above 0 and at most the threshold (0.5 here), got 0.6."),
        (0.04, "--look-again 0.04 is under 0.05, below which the search keeps nothing. Raise it."),
    ],
)
def test_what_does_not_fit_the_weights_is_refused(known_points, look_again, text):
    with pytest.raises(RecipeError) as caught:
        Predictor(zoo.load("colour"), look_again=look_again)
    assert str(caught.value) == text
