"""The feature pyramid against NumPy."""

import keras
import numpy as np
import pytest

from mitozoo.base.errors import UnknownNameError
from mitozoo.models.layers.rcnn.pyramid import build_features


def convolved(image, kernel, bias):
    """Convolution with zeros around, of (h, w, c) by (k, k, c, d)."""
    reach = kernel.shape[0] // 2
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)))
    height, width = image.shape[:2]
    out = np.zeros((height, width, kernel.shape[3])) + bias
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            out += padded[i : i + height, j : j + width] @ kernel[i, j]
    return out


def test_the_pyramid_is_that_of_numpy():
    keras.utils.set_random_seed(0)
    model = build_features(64, "mobilenet", 6)
    image = np.random.default_rng(0).random((1, 64, 64, 3)).astype("float32")
    pyramid = model.get_layer("pyramid")
    inner = keras.Model(model.get_layer("mobilenet").input, model.get_layer("mobilenet").outputs)
    prepared = keras.Model(model.input, model.get_layer("shift_cut").output)
    given = [np.array(x[0], "float64") for x in inner(prepared(image))]
    assert [x.shape for x in given] == [(16, 16, 128), (8, 8, 256), (4, 4, 512), (2, 2, 1024)]
    found = [np.array(x[0]) for x in model(image)]
    above = None
    for number in (5, 4, 3, 2):
        kernel, bias = (np.array(w) for w in pyramid.lateral_layers[number].get_weights())
        level = convolved(given[number - 2], kernel, bias)
        if above is not None:
            level += above.repeat(2, axis=0).repeat(2, axis=1)
        kernel, bias = (np.array(w) for w in pyramid.output_layers[number].get_weights())
        np.testing.assert_allclose(found[number - 2], convolved(level, kernel, bias), atol=1e-4)
        above = level


def test_frozen_statistics_stay_in_training():
    image = np.random.default_rng(0).random((1, 64, 64, 3)).astype("float32")
    for frozen in (True, False):
        model = build_features(64, "mobilenet", 2, frozen_statistics=frozen)
        before = [w.copy() for w in model.get_layer("mobilenet").get_weights()]
        model(image, training=True)
        after = model.get_layer("mobilenet").get_weights()
        same = all((a == b).all() for a, b in zip(before, after, strict=True))
        assert same is frozen


def test_another_backbone_is_named():
    with pytest.raises(UnknownNameError) as error:
        build_features(64, "resnet10", 2)
    assert str(error.value) == "No encoder named 'resnet10'. Did you mean 'resnet101'?"
