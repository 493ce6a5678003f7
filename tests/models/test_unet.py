"""U-Net: parameters by hand, where it looks, and what it starts from."""

import numpy as np
import pytest
from counts import conv, double
from symbolic import parameters

from mitozoo.base.errors import RecipeError
from mitozoo.models import registry

SMALL = {"widths": (4, 8), "dropout": 0.0}


def by_hand(widths):
    """Encoder, bottleneck of twice the last width, decoder of transposed 2x2 convolutions, one output."""
    total, into = 0, 3
    for width in (*widths, 2 * widths[-1]):
        total += double(into, width)
        into = width
    for width in reversed(widths):
        total += conv(2, into, width) + double(2 * width, width)
        into = width
    return total + conv(1, into, 1)


@pytest.mark.parametrize("widths", [(32, 64, 128), (4, 8), (5,)])
def test_parameters_by_hand(widths):
    assert parameters("unet", widths=widths) == by_hand(widths)
    assert by_hand((32, 64, 128)) == registry.spec("unet").params == 1_929_825


def test_a_network_that_sees_nothing_gives_the_prior():
    model = registry.build("unet", **SMALL)
    model.get_layer("mask").kernel.assign(np.zeros((1, 1, 4, 1)))
    image = np.random.default_rng(0).random((1, 8, 12, 3)).astype("float32")
    np.testing.assert_allclose(model(image)["mask"], np.full((1, 8, 12), np.log(0.01 / 0.99)), rtol=1e-6)


def test_an_image_moved_by_the_stride_is_found_moved():
    model = registry.build("unet", **SMALL)
    image = np.random.default_rng(1).random((1, 64, 68, 3)).astype("float32")
    whole, cut = model(image)["mask"].numpy(), model(image[:, 4:, 8:])["mask"].numpy()
    # Two stages of 3x3 and a bottleneck: the edge is felt for less than 24 px.
    np.testing.assert_allclose(cut[:, 24:-24, 24:-24], whole[:, 28:-24, 32:-24], atol=1e-5)


def test_the_skips_bring_what_pooling_has_lost():
    model = registry.build("unet", **SMALL)
    image = np.zeros((1, 16, 16, 3), "float32")
    first = model(image)["mask"].numpy()
    # With the bottleneck cut off, all that reaches the output comes over the skips.
    model.get_layer("up2_up").kernel.assign(np.zeros((2, 2, 8, 16)))
    model.get_layer("up1_up").kernel.assign(np.zeros((2, 2, 4, 8)))
    image[0, 5, 6] = 1.0
    changed = np.abs(model(image)["mask"].numpy() - first)[0] > 1e-9
    y, x = np.nonzero(changed)
    # Four 3x3 convolutions at full size reach four pixels.
    assert changed[5, 6] and y.min() >= 1 and y.max() <= 9 and x.min() >= 2 and x.max() <= 10


def test_what_makes_no_sense():
    for settings, text in (
        ({"widths": ()}, "widths of a U-Net are empty: give one number a stage, such as 32,64,128."),
        ({"prior": 1.0}, "prior is the probability that a fresh network gives: between 0 and 1, not 1."),
    ):
        with pytest.raises(RecipeError) as error:
            registry.build("unet", **{**SMALL, **settings})
        assert str(error.value) == text


def test_widths_may_come_as_text():
    assert parameters("unet", widths=("4", "8")) == by_hand((4, 8))
