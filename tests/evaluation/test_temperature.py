"""Temperature scaling by hand."""

import numpy as np
import pytest

from mitozoo.base.errors import DataError
from mitozoo.evaluation.temperature import fit_temperature, scaled


def test_scaled_by_hand():
    # Odds of 9 to 1 become 3 to 1 at temperature 2, and 81 to 1 at 1/2.
    np.testing.assert_allclose(scaled([[0.9, 0.1]], 2.0), [[0.75, 0.25]])
    np.testing.assert_allclose(scaled([[0.9, 0.1]], 0.5), [[81 / 82, 1 / 82]])
    assert scaled([[1.0, 0.0]], 1.0)[0, 0] == pytest.approx(1)


def test_a_model_that_is_too_sure():
    # It says 0.9 and is right three times in four: odds of 3, the square root of 9.
    probabilities = np.tile([[0.9, 0.1]], (4, 1))
    assert fit_temperature(np.array([0, 0, 0, 1]), probabilities) == pytest.approx(2.0, rel=1e-3)
    # Right nine times in ten: nothing to change.
    probabilities = np.tile([[0.9, 0.1]], (10, 1))
    assert fit_temperature(np.array([0] * 9 + [1]), probabilities) == pytest.approx(1.0, rel=1e-3)
    # The same as the first, by weights.
    assert fit_temperature(np.array([0, 1]), probabilities[:2], np.array([3, 1])) == pytest.approx(2.0, rel=1e-3)


def test_nothing_to_fit_on():
    with pytest.raises(DataError, match="there are none"):
        fit_temperature(np.zeros(0, int), np.zeros((0, 3)))
