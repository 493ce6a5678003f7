"""U-Net on VGG16: parameters by hand, and what the encoder sees."""

import numpy as np
import pytest
from counts import VGG16, conv, double, vgg16
from symbolic import parameters

from mitozoo.base.errors import RecipeError
from mitozoo.models import registry

PAPER = {"depth": 5, "widths": (512, 512, 256, 128, 64)}
SLIM = {"depth": 4, "widths": (96, 64, 32, 16)}


def by_hand(depth, widths):
    total, into = vgg16(depth), VGG16[depth - 1][0]
    for (skip, _), width in zip(reversed(VGG16[:depth]), widths, strict=True):
        total += conv(2, into, width) + double(skip + width, width)
        into = width
    return total + conv(1, into, 1)


@pytest.mark.parametrize("settings", [PAPER, SLIM, {"depth": 1, "widths": [7]}])
def test_parameters_by_hand(settings):
    assert parameters("vgg16-unet", **settings) == by_hand(**settings)


def test_the_known_size_of_vgg16_and_what_the_slim_one_weighs():
    assert vgg16() == 14_714_688  # Keras' own VGG16 without its top
    assert registry.spec("vgg16-unet").params == by_hand(**PAPER) == 33_991_489
    assert 2 * by_hand(**SLIM) <= 18e6


def test_the_encoder_sees_bgr_less_the_mean():
    model = registry.build("vgg16-unet", depth=1, widths=(2,))
    image = np.random.default_rng(0).random((1, 6, 4, 3)).astype("float32")
    found = model.get_layer("scale")(image[..., ::-1])
    wanted = 255 * image[..., ::-1] - np.array([103.939, 116.779, 123.68])
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    # The first block, from these colours, by NumPy at one pixel of the inside.
    conv1 = model.get_layer("vgg16").get_layer("block1_conv1")
    patch = wanted[0, 1:4, 0:3]
    value = np.maximum((patch[..., None] * conv1.kernel.numpy()).sum(axis=(0, 1, 2)) + conv1.bias.numpy(), 0)
    skip = model.get_layer("vgg16")(found)[0]
    assert skip.shape == (1, 6, 4, 64)
    np.testing.assert_allclose(conv1(found)[0, 2, 1], value, rtol=1e-4, atol=1e-3)


def test_sides_of_the_stride_of_its_depth():
    model = registry.build("vgg16-unet", depth=3, widths=(4, 4, 4))
    assert model(np.zeros((1, 24, 40, 3), "float32"))["mask"].shape == (1, 24, 40)


def test_what_makes_no_sense():
    for settings, text in (
        ({"depth": 6}, "depth counts blocks of VGG16: 1 to 5, not 6."),
        ({"depth": 4}, "widths of a decoder on 4 blocks must be 4 numbers, got 5."),
    ):
        with pytest.raises(RecipeError) as error:
            registry.build("vgg16-unet", **settings)
        assert str(error.value) == text
