"""Stain normalisation against a few independent lines, in NumPy and in a graph."""

import json

import cv2
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import DataError, UnknownNameError
from mitozoo.data.stain_normalisation import KINDS, PixelMean, Stain, StainNormaliser

H, E = np.array([0.60, 0.72, 0.35]), np.array([0.20, 0.85, 0.49])
H, E = H / np.linalg.norm(H), E / np.linalg.norm(E)


def stained(h=H, e=E, strength=1.0, side=160, seed=0):
    """A picture with known amounts of two known stains: nuclei, stroma and glass."""
    rng = np.random.default_rng(seed)
    nuclei = cv2.GaussianBlur((rng.random((side, side)) > 0.995).astype(np.float32), (0, 0), 3) * 60
    amounts = np.stack([np.clip(nuclei, 0, 1.8), 0.3 + 0.5 * cv2.GaussianBlur(rng.random((side, side)), (0, 0), 4)], -1)
    amounts[:30] = 0
    density = strength * amounts @ np.stack([h, e])
    return np.clip(np.round(256 * np.exp(-density) - 1), 0, 255).astype(np.uint8)


def macenko_by_hand(image):
    """Stain vectors and 99th percentiles, as the paper tells it, by singular values."""
    density = -np.log((image.reshape(-1, 3).astype(float) + 1) / 256)
    tissue = density[(density > 0.15).all(1)]
    _, _, rows = np.linalg.svd(tissue - tissue.mean(0), full_matrices=False)
    first, second = (row * np.sign(row.sum()) for row in rows[:2])
    angles = np.arctan2(tissue @ second, tissue @ first)
    ends = [np.cos(a) * first + np.sin(a) * second for a in np.percentile(angles, [1, 99])]
    vectors = np.array(sorted(ends, key=lambda v: -v[0]))
    amounts = np.linalg.lstsq(vectors.T, density.T, rcond=None)[0]
    return vectors, np.percentile(amounts, 99, axis=1)


def test_macenko_measures_what_a_few_independent_lines_do():
    image = stained()
    found = StainNormaliser.standard("macenko").measure(image)
    vectors, most = macenko_by_hand(image)
    np.testing.assert_allclose(np.reshape(found.first, (2, 3)), vectors, atol=1e-6)
    np.testing.assert_allclose(found.second, most, rtol=1e-6)
    # And that is what the picture was made of.
    assert np.arccos(vectors[0] @ H) < 0.15 and np.arccos(vectors[1] @ E) < 0.08


def test_macenko_changes_colours_as_the_equation_says():
    image, normaliser = stained(), StainNormaliser.standard("macenko")
    vectors, most = macenko_by_hand(image)
    wanted, greatest = np.reshape(normaliser.reference.first, (2, 3)), np.array(normaliser.reference.second)
    density = -np.log((image.astype(float) + 1) / 256)
    amounts = np.linalg.lstsq(vectors.T, density.reshape(-1, 3).T, rcond=None)[0].T
    expected = 256 * np.exp(-(amounts / most * greatest) @ wanted) - 1
    difference = normaliser(image).reshape(-1, 3) - np.clip(np.round(expected), 0, 255)
    assert np.abs(difference).max() <= 1


def test_reinhard_gives_the_means_and_spreads_of_the_reference():
    normaliser = StainNormaliser.fit("reinhard", [stained()])
    other = stained(strength=0.8, seed=1)
    before, after = normaliser.measure(other), normaliser.measure(normaliser(other))
    assert np.abs(np.subtract(before.first, normaliser.reference.first)).max() > 0.05
    np.testing.assert_allclose(after.first, normaliser.reference.first, atol=0.03)
    np.testing.assert_allclose(after.second, normaliser.reference.second, rtol=0.1)


def test_reinhard_space_by_hand():
    """l of a grey of value v is the sum of the three logarithms by the root of 3; alpha and beta are nearly 0."""
    grey = np.full((20, 20, 3), 99, np.uint8)
    grey[::2] = 150
    found = StainNormaliser.standard("reinhard").measure(grey)
    lms = np.array([0.3811 + 0.5783 + 0.0402, 0.1967 + 0.7244 + 0.0782, 0.0241 + 0.1288 + 0.8444])
    logs = [np.log(lms * (value + 1)) for value in (99, 150)]
    np.testing.assert_allclose(found.first[0], np.mean([log.sum() / np.sqrt(3) for log in logs]), rtol=1e-6)
    np.testing.assert_allclose(found.second[0], np.std([log.sum() / np.sqrt(3) for log in logs]), rtol=1e-6)
    assert np.abs(found.first[1:]).max() < 0.01


@pytest.mark.parametrize("kind", KINDS)
def test_two_stains_of_one_tissue_become_alike(kind):
    normaliser = StainNormaliser.standard(kind)
    one, other = stained(), stained(h=H + (0.06, -0.04, 0.05), strength=1.25)
    apart = np.abs(one.astype(int) - other).mean()
    assert np.abs(normaliser(one).astype(int) - normaliser(other)).mean() < 0.35 * apart
    # Glass keeps its colour.
    assert (one[:30] == 255).all() and normaliser(one)[:30].min() >= 250


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_gives_the_same_to_one_level(kind):
    normaliser = StainNormaliser.standard(kind)
    images = np.stack([stained(seed=seed, strength=0.7 + 0.3 * seed) for seed in range(3)])
    changes = np.stack([normaliser.transform(normaliser.measure(image)) for image in images])
    found = tf.function(normaliser.apply_graph)(tf.constant(images), tf.constant(changes)).numpy()
    expected = np.stack([normaliser(image) for image in images])
    assert np.abs(np.round(found) - expected).max() <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_glass_black_and_flat_images_stay_as_they_are(kind, level):
    normaliser = StainNormaliser.standard(kind)
    flat = np.full((64, 64, 3), level, np.uint8)
    assert normaliser.measure(flat) is None
    np.testing.assert_array_equal(normaliser(flat), flat)
    change = normaliser.transform(None)[None]
    found = normaliser.apply_graph(tf.constant(flat[None]), tf.constant(change)).numpy()
    np.testing.assert_allclose(found[0], flat, atol=0.51)
    with pytest.raises(DataError, match="^No image shows stained tissue to fit the normalisation on"):
        StainNormaliser.fit(kind, [flat])


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_comes_back(kind):
    normaliser = StainNormaliser.fit(kind, [stained(), stained(seed=4)])
    assert StainNormaliser.from_json(normaliser.as_json()) == normaliser
    for wrong in ("{", "[]", json.dumps({"kind": kind})):
        with pytest.raises(DataError, match="Fit it again"):
            StainNormaliser.from_json(wrong)


def test_an_unknown_kind():
    with pytest.raises(UnknownNameError) as error:
        StainNormaliser("macenco", Stain((), ()))
    assert str(error.value) == "No stain normalisation named 'macenco'. Did you mean 'macenko'?"


def test_the_mean_of_all_pixels_counts_large_images_more():
    images = [np.full((2, 2, 3), 255, np.uint8), np.zeros((4, 3, 3), np.uint8)]
    mean = PixelMean.fit(images)
    np.testing.assert_allclose(mean.mean, [0.25] * 3)
    np.testing.assert_allclose(mean(np.ones((1, 2, 2, 3), np.float32)), 0.75)
    assert PixelMean.from_json(mean.as_json()) == mean
    with pytest.raises(DataError, match="There is no image to take the mean of"):
        PixelMean.fit([])
