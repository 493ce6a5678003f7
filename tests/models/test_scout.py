"""Scout: the two networks, what is proposed, and ImageNet weights for the verifier."""

import keras
import numpy as np
import pytest

from mitozoo.base.errors import RecipeError, WeightsError
from mitozoo.models import registry
from mitozoo.models.imagenet import encoder_of, load_imagenet
from mitozoo.models.proposals import Proposer, peaks, strongest_nearby


def test_the_whole_is_its_two_parts():
    model = registry.build("scout")
    window = np.random.default_rng(0).random((2, 128, 128, 3)).astype("float32")
    found = model(window)
    np.testing.assert_array_equal(found["heat"], model.get_layer("proposer")(window))
    # 80 of 128 px: 24 on each side are left out.
    np.testing.assert_array_equal(found["logits"], model.get_layer("verifier")(window[:, 24:104, 24:104]))


def test_of_several_verifiers_the_mean_probability_counts():
    model = registry.build("scout", verifiers=2)
    window = np.random.default_rng(0).random((2, 128, 128, 3)).astype("float32")
    parts = [model.get_layer(name) for name in ("verifier", "verifier2")]
    # With kernels of zero the logits are the biases: of chances 1/8, 2/8, 5/8 and 6/8, 1/8, 1/8 the mean is
    for part, odds in zip(parts, ([1.0, 2.0, 5.0], [6.0, 1.0, 1.0]), strict=True):
        last = part.get_layer("logits")
        last.set_weights([np.zeros(last.kernel.shape), np.log(odds)])
    found = np.asarray(model(window)["logits"], np.float64)
    together = np.exp(found) / np.exp(found).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(together, [[7 / 16, 3 / 16, 6 / 16]] * 2, atol=1e-5)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-5)
    assert model.count_params() == 3_328_156 + parts[1].count_params()
    with pytest.raises(RecipeError, match="1 or more"):
        registry.build("scout", verifiers=0)


def test_a_peak_lies_at_the_centre_of_mass_of_its_positions():
    heat = np.zeros((10, 12), np.float32)
    heat[4, 5], heat[4, 6] = 0.9, 0.3
    heat[8, 1] = 0.5
    # Positions 5 and 6 with 3 to 1: column 5.25, at 5.25 * 8 + 3.5 px; row 4 at 35.5 px.
    np.testing.assert_allclose(peaks(heat, 8, 16, 0.1), [[45.5, 35.5, 0.9], [11.5, 67.5, 0.5]], rtol=1e-6)
    assert len(peaks(heat, 8, 16, 0.6)) == 1
    assert peaks(np.zeros((4, 4), np.float32), 8, 16, 0.1).shape == (0, 3)


def test_of_two_near_peaks_the_higher_stays():
    heat = np.zeros((12, 12), np.float32)
    heat[5, 3], heat[5, 6] = 0.4, 0.8
    assert len(peaks(heat, 8, 16, 0.1)) == 2  # two positions reach: three apart are two cells
    assert len(peaks(heat, 8, 24, 0.1)) == 1


def test_a_plateau_is_one_place():
    heat = np.zeros((12, 12), np.float32)
    heat[2:5, 6:9] = 1.0
    np.testing.assert_allclose(peaks(heat, 8, 16, 0.1), [[7 * 8 + 3.5, 3 * 8 + 3.5, 1.0]])


def brightness():
    """A network whose logit is ten times the mean red of a place's 8x8 px, less five; it sees no further."""
    field = keras.Input((None, None, 3))
    mean = keras.layers.AveragePooling2D(8)(field)
    return keras.Model(field, 10.0 * mean[..., 0] - 5.0)


@pytest.mark.parametrize("size", [(64, 64), (200, 333), (7, 300)])
def test_tiles_change_nothing(size):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    whole = Proposer(brightness(), 8, tile_px=2048).heat(pixels)
    np.testing.assert_allclose(Proposer(brightness(), 8, tile_px=64).heat(pixels), whole, atol=1e-6)
    down, across = size[0] // 8, size[1] // 8
    blocks = pixels[: 8 * down, : 8 * across, 0].reshape(down, 8, across, 8).mean(axis=(1, 3)) / 255
    np.testing.assert_allclose(whole[:down, :across], 1 / (1 + np.exp(5 - 10 * blocks)), atol=1e-5)


def test_a_tile_that_fails_is_not_left_empty(monkeypatch):
    proposer = Proposer(brightness(), 8, tile_px=64)
    run, calls = proposer._run, []

    def fail_once(tile):
        calls.append(tile.shape)
        if len(calls) == 3:
            raise MemoryError("no room")
        return run(tile)

    monkeypatch.setattr(proposer, "_run", fail_once)
    with pytest.raises(MemoryError, match="no room"):
        proposer.heat(np.zeros((200, 200, 3), np.uint8))


def test_tiles_of_the_real_proposer_see_as_far_as_its_convolutions_reach():
    network = registry.build("scout").get_layer("proposer")
    pixels = np.random.default_rng(2).integers(0, 256, (320, 400, 3), np.uint8)
    whole = Proposer(network, 8).heat(pixels)
    np.testing.assert_allclose(Proposer(network, 8, tile_px=128).heat(pixels), whole, atol=1e-6)


def arrays_of(encoder):
    generator = np.random.default_rng(0)
    return {
        f"{layer.name}/{variable.name}": generator.random(tuple(variable.shape)).astype("float16")
        for layer in encoder.layers
        for variable in layer.weights
    }


def test_imagenet_weights_from_arrays(tmp_path):
    model = registry.build("scout", alpha=0.25)
    encoder = encoder_of(model)
    arrays = arrays_of(encoder)
    np.savez(tmp_path / "w.npz", **arrays)
    before = model.get_layer("verifier").get_layer("logits").get_weights()[0].copy()
    assert load_imagenet(model, tmp_path / "w.npz") == "mobilenet"
    for layer in encoder.layers:
        for variable in layer.weights:
            wanted = arrays[f"{layer.name}/{variable.name}"].astype("float32")
            np.testing.assert_array_equal(variable.numpy(), wanted)
    np.testing.assert_array_equal(model.get_layer("verifier").get_layer("logits").get_weights()[0], before)


def test_imagenet_weights_that_do_not_fit(tmp_path):
    model = registry.build("scout", alpha=0.25)
    arrays = arrays_of(encoder_of(model))
    np.savez(tmp_path / "other.npz", **arrays | {"conv1/kernel": np.zeros((3, 3, 3, 9))})
    with pytest.raises(WeightsError, match=r"conv1/kernel should have the shape \(3, 3, 3, 8\) and is of shape"):
        load_imagenet(model, tmp_path / "other.npz")
    del arrays["conv1/kernel"]
    np.savez(tmp_path / "less.npz", **arrays)
    with pytest.raises(WeightsError, match="and is missing"):
        load_imagenet(model, tmp_path / "less.npz")
    (tmp_path / "bad.npz").write_bytes(b"no")
    with pytest.raises(WeightsError, match="cannot be read as ImageNet weights"):
        load_imagenet(model, tmp_path / "bad.npz")
    with pytest.raises(WeightsError, match="There are no ImageNet weights at"):
        load_imagenet(model, tmp_path / "none.h5")
    with pytest.raises(WeightsError, match="stn has no encoder that ImageNet weights exist for"):
        load_imagenet(registry.build("stn"), tmp_path / "w.npz")


def test_the_strongest_nearby_against_counting():
    generator = np.random.default_rng(0)
    xy = generator.uniform(0, 1000, (300, 2))
    for reach, most in ((60.0, 1), (100.0, 3), (5.0, 2)):
        wanted = [sum(bool((np.abs(xy[j] - xy[i]) <= reach).all()) for j in range(i)) < most for i in range(len(xy))]
        np.testing.assert_array_equal(strongest_nearby(xy, reach, most), wanted)
    assert strongest_nearby(np.zeros((0, 2)), 10.0, 1).shape == (0,)
    # Exactly on the border of the square counts; the weaker of two goes.
    np.testing.assert_array_equal(strongest_nearby(np.array([[0.0, 0], [10, 10]]), 10.0, 1), [True, False])
