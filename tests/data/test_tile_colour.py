"""Contrast, hue, noise and stain normalisation of tiles."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import UnknownNameError
from mitozoo.data.field_tiles import TileSettings, test_tiles, training_tiles
from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.data.tile_colour import coloured, noisy, stain_changes
from mitozoo.data.training_fields import TrainingFields


def fields(seed=0):
    """One field of two stains, 96 px a side."""
    rng = np.random.default_rng(seed)
    amounts = rng.random((96, 96, 2)) * (1.2, 0.8)
    density = amounts @ np.array([[0.6, 0.72, 0.35], [0.2, 0.85, 0.49]])
    image = np.clip(256 * np.exp(-density) - 1, 0, 255).astype(np.uint8)
    return TrainingFields(
        images=(image,), labels=(np.zeros((96, 96), np.uint8),), strong=np.array([True]),
        points=(np.array([[48.0, 48.0]]),), excluded=(np.zeros((0, 3)),), cases=np.array(["a"]),
        stains=np.zeros((1, 6), np.float32), hard=(np.zeros((0, 2)),),
    )  # fmt: skip


def one(colour, *change, **amounts):
    given = {"contrast": 0.0, "saturation": 0.0, "tint": 0.0} | amounts
    image = tf.constant(np.full((1, 2, 2, 3), colour, np.float32))
    return coloured(image, **given, change=tf.constant([change], tf.float32)).numpy()[0, 0, 0]


def test_contrast_is_about_the_middle():
    np.testing.assert_allclose(one([0.6, 0.5, 0.3], 1, 0, 0, contrast=0.5), [0.65, 0.5, 0.2], atol=2e-3)
    np.testing.assert_allclose(one([0.6, 0.5, 0.3], 0.5, 0, 0, contrast=0.0), [0.6, 0.5, 0.3], atol=2e-3)


def test_saturation_moves_away_from_the_luma_and_grey_stays():
    colour = np.array([0.6, 0.5, 0.4])
    luma = colour @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(one(colour, 0, 0.5, 0, saturation=0.4), luma + 1.2 * (colour - luma), atol=3e-3)
    np.testing.assert_allclose(one([0.4] * 3, 0, 1, 1, saturation=0.9, tint=0.5), [0.4] * 3, atol=3e-3)


def test_tint_turns_the_hue_and_keeps_the_luma():
    colour = np.array([0.7, 0.4, 0.5])
    turned = one(colour, 0, 0, 1, tint=1 / 3)
    weights = [0.299, 0.587, 0.114]
    np.testing.assert_allclose(turned @ weights, colour @ weights, atol=3e-3)
    hues = [colorsys.rgb_to_hsv(*map(float, c))[0] for c in (colour, turned)]
    # A third of the circle of differences of colour is about a third of the circle of hues.
    assert min(abs((hues[1] - hues[0]) % 1 - share) for share in (1 / 3, 2 / 3)) < 0.06
    np.testing.assert_allclose(one(colour, 0, 0, 1, tint=1.0), colour, atol=3e-3)


def test_noise_has_its_spread_and_its_seed():
    image = tf.fill((3, 64, 64, 3), 0.5)
    spread, seed = tf.constant([0.0, 0.05, 0.05]), tf.constant([0.1, 0.2, 0.3])
    found = noisy(image, spread, seed).numpy()
    np.testing.assert_array_equal(found[0], 0.5)
    np.testing.assert_allclose(found[1:].std(axis=(1, 2, 3)), 0.05, rtol=0.05)
    assert (found[1] != found[2]).any()
    np.testing.assert_array_equal(noisy(image, spread, seed).numpy(), found)


@pytest.mark.parametrize("kind", ["macenko", "reinhard"])
def test_tiles_are_normalised_by_the_stain_of_the_whole_field(kind):
    known, normaliser = fields(), StainNormaliser.standard(kind)
    ((images, _),) = test_tiles(known, TileSettings(tile_px=48, normalise=kind), batch_size=4)
    whole = normaliser(known.images[0])
    expected = np.stack([whole[:48, :48], whole[:48, 48:], whole[48:, :48], whole[48:, 48:]])
    found = np.round(images.numpy() * 255)
    # The tile with the figure comes first, so compare as sets of tiles.
    for tile in expected:
        assert min(np.abs(tile - other).max() for other in found) <= 1
    assert stain_changes(known, normaliser) is stain_changes(known, normaliser)


def test_the_same_seed_gives_the_same_colours_and_an_epoch_others():
    settings = TileSettings(tile_px=32, contrast=0.2, saturation=0.2, tint=0.05, noise=0.05, normalise="macenko")
    runs = [
        np.concatenate([image for image, _ in training_tiles(
            fields(), settings, batch_size=size, tiles=8, seed=3, stage=0, epoch=epoch
        )])
        for size, epoch in ((4, 0), (3, 0), (4, 1))
    ]  # fmt: skip
    np.testing.assert_allclose(runs[0], runs[1], atol=1e-6)
    assert np.abs(runs[0] - runs[2]).max() > 0.05
    assert runs[0].min() >= 0 and runs[0].max() <= 1


def test_an_unknown_normalisation():
    with pytest.raises(UnknownNameError) as error:
        TileSettings(normalise="macenco")
    assert str(error.value) == "No stain normalisation named 'macenco'. Did you mean 'macenko'?"
