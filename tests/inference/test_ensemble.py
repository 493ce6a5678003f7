"""Ensembles and test-time augmentation by hand."""

import dataclasses

import numpy as np
import painted
import pytest

from mitozoo.base.errors import RecipeError
from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_FIGURE, NON_MITOTIC
from mitozoo.data.images import Image
from mitozoo.inference.decoders import Candidates
from mitozoo.inference.ensemble import combine, in_classes, in_order, shared_classes, turned, turned_back, views_of
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


def teller(loaded, classes=CLASSES, um_per_px=0.25, **more):
    """A model as it is, but for its spec."""
    return dataclasses.replace(
        loaded, spec=dataclasses.replace(loaded.spec, classes=classes, um_per_px=um_per_px), **more
    )


def test_a_kind_that_one_model_does_not_tell_is_a_mitotic_figure(painted_zoo):
    loaded = zoo.load("colour")
    plain = teller(loaded, (MITOTIC_FIGURE, NON_MITOTIC))
    assert shared_classes([loaded, plain]) == (NON_MITOTIC, MITOTIC_FIGURE)
    assert shared_classes([loaded, loaded]) == CLASSES
    rows = np.array([[0.5, 0.3, 0.2]])
    np.testing.assert_allclose(in_classes(rows, CLASSES, (MITOTIC_FIGURE, NON_MITOTIC)), [[0.5, 0.5]])
    np.testing.assert_allclose(rows, [[0.5, 0.3, 0.2]])
    search = Predictor([loaded, plain])
    seen = {
        3: Candidates(np.array([[10.0, 10.0]]), rows),
        2: Candidates(np.array([[10.0, 10]]), np.array([[0.9, 0.1]])),
    }
    kinds = [len(model.spec.classes) for model in search.members]
    search.decoders = [lambda field, n=n: seen[n] for n in kinds]
    (found,) = search.detections(painted.flat(), 0.25)
    # Scores 0.3 + 0.2 and 0.9.
    assert (found.score, found.label, found.atypical_score) == (pytest.approx(0.7), MITOTIC_FIGURE, None)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((NON_MITOTIC, MITOTIC_FIGURE), (NON_MITOTIC, ATYPICAL)),
        (CLASSES, (NON_MITOTIC, ATYPICAL)),
        (CLASSES, ("background", MITOTIC_FIGURE)),
    ],
)
def test_models_that_share_no_mitotic_figure_or_no_other_cell(painted_zoo, first, second):
    loaded = zoo.load("colour")
    with pytest.raises(RecipeError) as caught:
        shared_classes([teller(loaded, first), teller(loaded, second)])
    assert str(caught.value) == (
        f"colour tells {', '.join(first)}, and colour {', '.join(second)}. Ask models together that tell the same "
        "classes."
    )


def test_models_of_other_spacings_meet_in_the_pixels_of_the_image(painted_zoo):
    # At 0.5 µm the image has half as many pixels: pixel 10 there covers 20 and 21 here, its centre is at 20.5.
    loaded = zoo.load("colour")
    search = Predictor([teller(loaded, um_per_px=0.5), loaded])
    assert search.spec.um_per_px == 0.25
    fine, coarse = opinion((24.5, 8.5, 0.6, 0)), opinion((10, 4, 0.2, 0))
    search.decoders = [lambda field: fine, lambda field: coarse]
    (found,) = search.detections(painted.flat(), 0.25)
    # 4 px apart; three quarters of the weight at 24.5.
    assert (found.x_px, found.y_px, found.score) == (pytest.approx(23.5), pytest.approx(8.5), pytest.approx(0.4))


@pytest.mark.parametrize(("merge_px", "count"), [(None, 1), (20, 1), (19, 2)])
def test_the_decoders_own_distance_is_one_cell(painted_zoo, merge_px, count):
    given = {} if merge_px is None else {"merge_px": merge_px}
    search = Predictor(zoo.load("colour"), decoder_settings=given, tta=2)
    views = iter([opinion((10, 10, 0.6, 0)), opinion((199 - 30, 159 - 10, 0.6, 0))])
    search.decoders = [lambda field: next(views)]
    assert len(search.detections(painted.flat(width=200, height=160), 0.25)) == count
    assert search.merge_um == pytest.approx(0.25 * (merge_px or 30))


def test_the_order_of_the_models_changes_no_bit(painted_zoo):
    loaded = zoo.load("colour")
    generator = np.random.default_rng(3)
    members = [teller(loaded, um_per_px=um, sha256=name) for um, name in ((0.25, "a"), (0.25, "b"), (0.5, "c"))]
    points = {
        item.sha256: opinion(*np.column_stack([generator.random((20, 2)) * 70, generator.random((20, 2)) / 2]))
        for item in members
    }
    results = []
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]):
        search = Predictor([members[i] for i in order], threshold=0.1, tta=2)
        search.decoders = [lambda field, name=item.sha256: points[name] for item in search.members]
        results.append(search.field("a", "a", Image(painted.flat()), None))
    assert len(results[0].detections) > 3
    assert [painted.without(item) for item in results] == [painted.without(results[0])] * 4


def test_what_is_under_the_cut_in_the_mean_is_dropped(painted_zoo):
    loaded = zoo.load("colour")
    search = Predictor([loaded, loaded], threshold=0.3)
    found = iter([opinion((10, 10, 0.08, 0), (100, 10, 0.2, 0)), opinion()])
    search.decoders = [lambda field: next(found)] * 2
    # Means 0.04 and 0.1; the cut is 0.05.
    assert [(item.x_px, item.score) for item in search.detections(painted.flat(), 0.25)] == [(100, pytest.approx(0.1))]


def test_every_opinion_is_told(painted_zoo):
    loaded = zoo.load("colour")
    search, told = Predictor([loaded, loaded], tta=4), []
    search.decoders = [lambda field: opinion()] * 2
    search.detections(painted.flat(), 0.25, lambda: told.append(1))
    assert len(told) == search.opinions == 8


def test_views_of_a_field_through_a_network(painted_zoo):
    # A red square on a field that is not square, off its middle: one figure, at its place, in any number of views.
    field = painted.spotted([(130, 330)], width=320, height=448)
    for tta in (1, 2, 4, 8):
        (found,) = Predictor(zoo.load("colour"), tta=tta, threshold=0.5).field("a", "a", Image(field), None).detections
        assert (found.x_px, found.y_px) == (pytest.approx(130, abs=8), pytest.approx(330, abs=8))
