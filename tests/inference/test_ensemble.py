"""Ensembles and test-time augmentation by hand."""

import dataclasses

import numpy as np
import painted
import pytest

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import CLASSES
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.ensemble import combine, in_order, turned, turned_back, views_of
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo


def opinion(*rows):
    """Rows of x, y, mitotic, atypical."""
    table = np.array(rows, float).reshape(-1, 4)
    probabilities = np.column_stack([1 - table[:, 2] - table[:, 3], table[:, 2], table[:, 3]])
    return Candidates(table[:, :2], probabilities)


def test_two_opinions_on_one_cell():
    found = combine([opinion((10, 10, 0.6, 0.0)), opinion((16, 10, 0.1, 0.1))], 30, CLASSES)
    # Scores 0.6 and 0.2: the place is three quarters of the way to the first.
    np.testing.assert_allclose(found.xy, [[11.5, 10]])
    np.testing.assert_allclose(found.probabilities, [[(0.4 + 0.8) / 2, 0.35, 0.05]])


def test_who_finds_nothing_says_non_mitotic():
    found = combine([opinion((10, 10, 0.9, 0.0)), opinion(), opinion((200, 10, 0.6, 0.0))], 30, CLASSES)
    np.testing.assert_allclose(found.xy, [[10, 10], [200, 10]])
    np.testing.assert_allclose(found.probabilities, [[(0.1 + 2) / 3, 0.3, 0], [(0.4 + 2) / 3, 0.2, 0]])


def test_two_candidates_of_one_opinion_do_not_count_twice():
    found = combine([opinion((10, 10, 0.8, 0), (30, 10, 0.7, 0)), opinion((12, 10, 0.4, 0))], 30, CLASSES)
    np.testing.assert_allclose(found.probabilities, [[0.4, 0.6, 0]])
    np.testing.assert_allclose(found.xy, [[(10 * 0.8 + 12 * 0.4) / 1.2, 10]])


def test_one_opinion_stays_as_it_is_and_the_order_does_not_matter():
    one = opinion((10, 10, 0.8, 0), (12, 10, 0.7, 0))
    assert combine([one], 30, CLASSES) is one
    generator = np.random.default_rng(0)
    parts = [
        opinion(*np.column_stack([generator.random((9, 2)) * 200, generator.random((9, 2)) / 2])) for _ in range(3)
    ]
    first, second = combine(parts, 30, CLASSES), combine(parts[::-1], 30, CLASSES)
    np.testing.assert_allclose(first.xy, second.xy)
    np.testing.assert_allclose(first.probabilities, second.probabilities)


def test_nobody_finds_anything():
    found = combine([opinion(), opinion()], 30, CLASSES)
    assert found.xy.shape == (0, 2) and found.probabilities.shape == (0, 3)


@pytest.mark.parametrize("view", range(8))
def test_points_come_back_from_every_view(view):
    image = np.zeros((7, 11), int)
    places = [(2, 1), (10, 6), (0, 0), (5, 3)]
    for number, (x, y) in enumerate(places, start=1):
        image[y, x] = number
    seen = turned(image, view)
    rows, columns = np.nonzero(seen)
    back = turned_back(np.column_stack([columns, rows]), view, 11, 7)
    assert {int(seen[r, c]): tuple(p) for r, c, p in zip(rows, columns, back, strict=True)} == dict(
        enumerate(places, 1)
    )


def test_views_differ_and_the_first_is_the_image():
    image = np.arange(12).reshape(3, 4)
    seen = {turned(image, view).tobytes() + bytes(turned(image, view).shape) for view in range(8)}
    assert len(seen) == 8
    np.testing.assert_array_equal(turned(image, 0), image)


def test_a_decoder_of_marks_finds_the_same_in_all_views():
    field = np.zeros((40, 60, 3), np.uint8)
    field[10, 50] = field[33, 7] = 255

    def marks(seen):
        rows, columns = np.nonzero(seen[..., 0])
        return Candidates(np.column_stack([columns, rows]).astype(float), np.tile([0.2, 0.5, 0.3], (len(rows), 1)))

    found = combine(views_of(marks, field, 8), 5, CLASSES)
    assert sorted(map(tuple, found.xy)) == [(7, 33), (50, 10)]
    np.testing.assert_allclose(found.probabilities, [[0.2, 0.5, 0.3]] * 2)


def test_classes_in_another_order():
    found = in_order(opinion((1, 2, 0.7, 0.1)), CLASSES, (CLASSES[2], CLASSES[0], CLASSES[1]))
    np.testing.assert_allclose(found.probabilities, [[0.1, 0.2, 0.7]])


def test_an_ensemble_of_one_model_twice_is_that_model(painted_zoo):
    loaded = zoo.load("colour")
    image = painted.flat(painted.RED, width=200, height=160)
    one = Predictor(loaded).detections(image, 0.25)
    two = Predictor([loaded, loaded]).detections(image, 0.25)
    assert len(one) == len(two) > 0
    for a, b in zip(one, two, strict=True):
        assert (a.x_px, a.y_px, a.score) == pytest.approx((b.x_px, b.y_px, b.score), abs=1e-6)


def test_thresholds_are_averaged_and_other_classes_refused(painted_zoo):
    loaded = zoo.load("colour")
    low, high = dataclasses.replace(loaded, threshold=0.2), dataclasses.replace(loaded, threshold=0.8)
    assert Predictor([low, high]).threshold == pytest.approx(0.5)
    assert Predictor([low, high], threshold=0.3).threshold == 0.3
    assert Predictor([low, dataclasses.replace(loaded, threshold=None)]).threshold == pytest.approx(0.35)
    spec = dataclasses.replace(loaded.spec, classes=("non_mitotic", "mitotic_figure", "granulocyte"))
    with pytest.raises(RecipeError, match="Ask models together that tell the same classes"):
        Predictor([loaded, dataclasses.replace(loaded, spec=spec)])
    with pytest.raises(RecipeError, match="--tta is the number of views, 1, 2, 4 or 8, got 3."):
        Predictor(loaded, tta=3)
