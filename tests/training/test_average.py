"""The moving average of weights, against a few lines of NumPy."""

import keras
import numpy as np
import pytest

from mitozoo.training.average import EVERY, MovingAverage


@pytest.fixture
def model():
    field = keras.Input((2,))
    built = keras.Model(field, keras.layers.Dense(1, use_bias=False)(field))
    built.set_weights([np.array([[1.0], [3.0]], np.float32)])
    return built


def walk(model, average, steps):
    """Each step adds 1 to every weight."""
    for step in range(steps):
        model.set_weights([value + 1 for value in model.get_weights()])
        average.on_train_batch_end(step)


def test_the_average_follows_and_forgets_its_beginning(model):
    average = MovingAverage(model, 0.9)
    walk(model, average, 3 * EVERY + 1)
    # By hand: updates after 4, 8 and 12 steps; kept (1/10)^4, (2/11)^4, (3/12)^4 of what was before.
    value = 1.0
    for update in (1, 2, 3):
        kept = (update / (update + 9)) ** 4
        value = kept * value + (1 - kept) * (1.0 + 4 * update)
    np.testing.assert_allclose(average.arrays[0][:, 0], [value, value + 2], rtol=1e-6)


def test_later_each_step_leaves_the_share_that_was_asked(model):
    average = MovingAverage(model, 0.5)
    average.steps = 100 * EVERY - 1  # the next step updates, 100 / 109 is over 0.5
    walk(model, average, 1)
    np.testing.assert_allclose(average.arrays[0][0, 0], 0.5**4 * 1.0 + (1 - 0.5**4) * 2.0, rtol=1e-6)


def test_restored_it_goes_on_as_if_nothing_had_happened(model):
    unbroken = MovingAverage(model, 0.8)
    walk(model, unbroken, 7)
    state = [np.array(value) for value in unbroken.state()]
    again = MovingAverage(model, 0.8)
    again.restore(state)
    walk(model, again, 3)
    model.set_weights([value - 3 for value in model.get_weights()])
    walk(model, unbroken, 3)
    np.testing.assert_array_equal(again.arrays[0], unbroken.arrays[0])
    assert again.steps == 10


def test_the_statistics_of_normalisations_are_averaged_too():
    field = keras.Input((2,))
    model = keras.Model(field, keras.layers.BatchNormalization()(field))
    average = MovingAverage(model, 0.9)
    assert len(average.arrays) == 4
    model.set_weights([value + 2 for value in model.get_weights()])
    for step in range(EVERY):
        average.on_train_batch_end(step)
    kept = 0.1**4
    for name, value, start in zip("gbmv", average.arrays, (1, 0, 0, 1), strict=True):
        np.testing.assert_allclose(value, kept * start + (1 - kept) * (start + 2), rtol=1e-5, err_msg=name)
