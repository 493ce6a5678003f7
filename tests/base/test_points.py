"""Classes and points."""

import dataclasses

import pytest

from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_CLASSES, MITOTIC_FIGURE, Cell, Detection


def test_the_order_of_the_classes_is_that_of_published_weights():
    assert CLASSES == ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")
    assert MITOTIC_CLASSES == set(CLASSES[1:]) == {MITOTIC_FIGURE, ATYPICAL}


def test_points_are_values():
    assert Detection(1.0, 2.0, 0.5) == Detection(1.0, 2.0, 0.5, MITOTIC_FIGURE, None)
    assert len({Cell(1, 2, "a"), Cell(1, 2, "a"), Cell(1, 2, "b")}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cell(1, 2, "a").x_px = 3
