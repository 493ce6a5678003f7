"""The two-stage model: FCN-8s by hand, any field, and its way through the decoder."""

import keras
import numpy as np
import pytest
from counts import conv, dense_convolutions, mobilenet, resnet, vgg16
from symbolic import parameters

from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.inference.decoders.propose_verify import ProposeVerify
from mitozoo.models import registry
from mitozoo.models.architectures.two_stage import build_proposer
from mitozoo.models.proposals import Proposer

SLIM = {"proposer": "mobilenet", "verifier": "mobilenet", "width": 0, "dropout": 0.2}
SMALL = SLIM | {"alpha": 0.25}


def scores(*channels):
    """One score from each stride's channels, a bias for the finest, and kernels of 4x4 between them."""
    return sum(channels) + 1 + 16 * (len(channels) - 1)


def test_parameters_by_hand():
    verifier = resnet((3, 4, 23, 3)) + conv(1, 2048, 2)
    proposer = vgg16() + dense_convolutions(512, 4096) + scores(4096, 512, 256)
    assert parameters("two-stage") == registry.spec("two-stage").params == proposer + verifier == 176_927_715
    assert resnet((3, 4, 23, 3)) == 42_658_176  # Keras' own ResNet101 without its top
    slim = 2 * mobilenet() + scores(1024, 512, 256) + conv(1, 1024, 2)
    assert parameters("two-stage", **SLIM) == slim and 2 * slim <= 16e6
    small = vgg16(4) + scores(512, 256) + resnet((3, 4, 6, 3)) + conv(1, 2048, 2)
    assert parameters("two-stage", depth=4, width=0, verifier="resnet50") == small
    smallest = vgg16(3) + scores(256) + mobilenet(0.5) + conv(1, 512, 2)
    assert parameters("two-stage", depth=3, width=0, verifier="mobilenet", alpha=0.5) == smallest


def test_the_whole_is_its_two_parts():
    model = registry.build("two-stage", **SMALL)
    window = np.random.default_rng(0).random((2, 128, 128, 3)).astype("float32")
    found = model(window)
    assert found["heat"].shape == (2, 16, 16)
    np.testing.assert_array_equal(found["heat"], model.get_layer("proposer")(window))
    # 80 of 128 px: 24 on each side are left out.
    np.testing.assert_array_equal(found["logits"], model.get_layer("verifier")(window[:, 24:104, 24:104]))


def blind(depth, prior=0.01):
    """A proposer whose encoder gives nothing, so that its heat is that of its scores alone."""
    network = build_proposer("mobilenet", depth=depth, width=0, alpha=0.25, prior=prior)
    for layer in network.get_layer("mobilenet").layers:
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    return network


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_a_fresh_network_gives_the_prior_up_to_the_edge(depth):
    heat = blind(depth, prior=0.02)(np.ones((1, 64, 96, 3), "float32"))
    np.testing.assert_allclose(heat, np.full((1, 8, 12), np.log(0.02 / 0.98)), rtol=1e-6)


def test_coarse_scores_are_doubled_bilinearly_at_first():
    network = build_proposer("mobilenet", depth=4, width=0, alpha=0.25, prior=0.5)
    double = network.get_layer("double4")
    line = np.array([1.0, 5.0, 3.0], "float32")
    found = double(np.tile(line[None, :, None, None], (1, 1, 3, 1)))[0, :, 2, 0].numpy()
    # A quarter of the way from one to the next, then three quarters; beyond the edge there is nothing.
    np.testing.assert_allclose(found, [0.75, 2.0, 4.0, 4.5, 3.5, 2.25], rtol=1e-6)


def test_every_stride_has_its_say():
    network = build_proposer("mobilenet", depth=5, width=0, alpha=0.25, prior=0.5)
    field = np.random.default_rng(0).random((1, 64, 64, 3)).astype("float32")
    for level in (3, 4, 5):
        score = network.get_layer(f"score{level}")
        score.kernel.assign(np.zeros(score.kernel.shape))
    assert np.abs(network(field)).max() == 0
    for level in (3, 4, 5):
        score = network.get_layer(f"score{level}")
        score.kernel.assign(np.full(score.kernel.shape, 1e6))
        assert np.abs(network(field)).max() > 0
        score.kernel.assign(np.zeros(score.kernel.shape))


@pytest.mark.parametrize("size", [(8, 8), (72, 88), (40, 128)])
def test_a_field_is_continued_to_a_multiple_of_32_and_cut_again(size):
    network = build_proposer("vgg16", depth=5, width=0, prior=0.01)
    field = np.random.default_rng(0).random((1, *size, 3)).astype("float32")
    found = network(field).numpy()
    assert found.shape == (1, size[0] // 8, size[1] // 8)
    # By hand: zeros after the colours were prepared are ImageNet's mean colour before.
    mean = np.array([123.68, 116.779, 103.939], "float32") / 255
    whole = np.tile(mean, (1, 32 * -(-size[0] // 32), 32 * -(-size[1] // 32), 1))
    whole[:, : size[0], : size[1]] = field
    np.testing.assert_allclose(found, network(whole)[:, : size[0] // 8, : size[1] // 8], rtol=1e-3, atol=1e-3)


def test_the_decoder_takes_it():
    model = registry.build("two-stage", **SMALL)
    decoder = ProposeVerify(model, cut=0.0, heat_cut=0.0)
    assert decoder.proposer.stride_px == 8 and decoder.cell_px == 80
    field = np.random.default_rng(0).integers(0, 256, (150, 203, 3), np.uint8)
    assert decoder.proposer.heat(field).shape == (19, 26)
    found = decoder(field)
    assert found.probabilities.shape[1] == 2 and len(found.xy) == len(found.probabilities) > 0


@pytest.mark.parametrize(
    ("settings", "halo_px"),
    [
        # 212 / 2 + 2 * 32 = 170 and 315 / 2 + 64 = 221.5, with fc6 three positions of 32 px more.
        ({"name": "vgg16", "depth": 5, "width": 0}, 192),
        ({"name": "vgg16", "depth": 5, "width": 8}, 288),
        ({"name": "mobilenet", "depth": 5, "width": 0, "alpha": 0.25}, 224),
        ({"name": "mobilenet", "depth": 3, "width": 8, "alpha": 0.25}, 64),
    ],
)
def test_tiles_see_as_far_as_the_proposer_reaches(settings, halo_px):
    keras.utils.set_random_seed(0)
    network = build_proposer(**settings, prior=0.5, dropout=0.0)
    assert network.halo_px == halo_px
    for level in range(3, settings["depth"] + 1):
        kernel = network.get_layer(f"score{level}").kernel
        # Features of VGG16 are as large as its colours, 0 to 255.
        scale = 0.01 if settings["name"] == "vgg16" else 1.0
        kernel.assign(scale * np.random.default_rng(level).normal(size=kernel.shape))
    for weight in network.get_layer(settings["name"]).weights:
        if weight.name == "kernel" and settings["name"] == "mobilenet":
            weight.assign(3 * weight.numpy())  # or a fresh network would hardly answer
    pixels = np.random.default_rng(2).integers(0, 256, (40, 700, 3), np.uint8)
    whole = Proposer(network, 8).heat(pixels)
    assert whole.std() > 0.01
    # Tiles of 256 px, all of one size, would be 240 px long if they did not begin at multiples of the coarsest stride.
    for tile_px in (256, 64):
        tiled = Proposer(network, 8, tile_px=tile_px)
        np.testing.assert_allclose(tiled.heat(pixels), whole, atol=1e-4)
    tiled.halo_px = 0
    assert np.abs(tiled.heat(pixels) - whole).max() > 1e-3


def test_what_makes_no_sense():
    with pytest.raises(RecipeError) as error:
        registry.build("two-stage", **SMALL, depth=2)
    assert str(error.value) == "depth of the proposer is 3, 4 or 5 (a stride of 8, 16 or 32 px), not 2."
    with pytest.raises(UnknownNameError, match="No encoder of a proposer named 'resnet50'"):
        registry.build("two-stage", **SMALL | {"proposer": "resnet50"})
    with pytest.raises(UnknownNameError) as error:
        registry.build("two-stage", **SMALL | {"verifier": "resnet110"})
    assert str(error.value) == "No encoder named 'resnet110'. Did you mean 'resnet101'?"
