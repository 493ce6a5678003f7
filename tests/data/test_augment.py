"""Windows cut by OpenCV and stains that are changed, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from mitozoo.data.augment import (
    PlaceCell,
    ScannerJitter,
    StainJitter,
    StainTransfer,
    Transplant,
    stain_statistics,
    window_to_canvas,
)
from mitozoo.data.stain import HE_VECTORS, optical_density


def smooth(size=60):
    """A picture whose neighbours differ by little, so that OpenCV's places of 1/32 px are exact enough."""
    y, x = np.mgrid[:size, :size]
    return np.stack([110 + 90 * np.sin(x / 9), 120 + 80 * np.cos(y / 7), 100 + 60 * np.sin((x + y) / 8)], -1).astype(
        np.uint8
    )


def by_hand(canvas, window_px, offset, angle, mirror, zoom):
    """Bilinear, and `dcba|abcd|dcba` outside."""
    size = len(canvas)
    row, column = np.mgrid[:window_px, :window_px] - (window_px - 1) / 2
    u, v = (column - offset[0]) / zoom, (row - offset[1]) / zoom
    x = (np.cos(angle) * u - np.sin(angle) * v) * (-1 if mirror else 1) + (size - 1) / 2
    y = np.sin(angle) * u + np.cos(angle) * v + (size - 1) / 2
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    wx, wy = (x - x0)[..., None], (y - y0)[..., None]

    def at(rows, columns):
        def inside(i):
            i = i % (2 * size)
            return np.where(i < size, i, 2 * size - 1 - i)

        return canvas[inside(rows), inside(columns)].astype(float)

    upper = at(y0, x0) * (1 - wx) + at(y0, x0 + 1) * wx
    return upper * (1 - wy) + (at(y0 + 1, x0) * (1 - wx) + at(y0 + 1, x0 + 1) * wx) * wy


@pytest.mark.parametrize(
    ("offset", "angle", "mirror", "zoom"),
    [
        ((0.0, 0.0), 0.0, False, 1.0),
        ((3.25, -4.5), 0.0, False, 1.0),
        ((0.0, 2.0), 0.9, False, 1.0),
        ((-1.5, 0.0), 0.0, True, 1.0),
        ((2.0, 2.0), 4.0, True, 1.2),
        ((20.0, -20.0), 0.8, False, 0.8),  # reaches far outside of the canvas
    ],
)
def test_a_window_equals_numpy(offset, angle, mirror, zoom):
    canvas = smooth()
    found = PlaceCell(40)(
        canvas[None], np.array([offset]), np.array([angle]), np.array([mirror]), np.array([zoom])
    ).numpy()[0]
    assert np.abs(found - by_hand(canvas, 40, offset, angle, mirror, zoom)).max() <= 2


def test_a_batch_is_its_images():
    generator = np.random.default_rng(0)
    canvases = generator.integers(0, 256, (3, 50, 50, 3), np.uint8)
    numbers = (
        generator.normal(0, 3, (3, 2)),
        generator.random(3) * 6,
        np.array([True, False, True]),
        1 + generator.random(3) / 9,
    )
    together = PlaceCell(20)(canvases, *numbers).numpy()
    for i in range(3):
        np.testing.assert_array_equal(
            together[i], PlaceCell(20)(canvases[i : i + 1], *(n[i : i + 1] for n in numbers))[0]
        )


def test_whole_shifts_copy_pixels():
    canvas = np.random.default_rng(0).integers(0, 256, (1, 20, 20, 3), np.uint8)
    found = PlaceCell(10)(canvas, np.array([[2.0, -1.0]]), np.zeros(1), np.zeros(1, bool), np.ones(1)).numpy()
    # The cell, at 9.5, is to lie 2 px right of and 1 px above the window's centre 4.5: the window begins at 3, 6.
    np.testing.assert_array_equal(found[0], canvas[0, 6:16, 3:13])


def test_a_quarter_turn_and_a_mirror_by_hand():
    def linear(angle, mirror):
        one = window_to_canvas(8, 8, np.zeros((1, 2)), np.array([angle]), np.array([mirror]), np.ones(1))[0]
        np.testing.assert_allclose(one @ [3.5, 3.5, 1], [3.5, 3.5])
        return one[:, :2]

    np.testing.assert_allclose(linear(np.pi / 2, False), [[0, -1], [1, 0]], atol=1e-12)
    np.testing.assert_allclose(linear(0.0, True), [[-1, 0], [0, 1]])
    assert np.linalg.det(linear(1.0, True)) == pytest.approx(-1)


def test_zoom_enlarges():
    canvas = np.zeros((1, 64, 64, 3), np.uint8)
    canvas[0, 24:40, 24:40] = 255
    arguments = (np.zeros((1, 2)), np.zeros(1), np.zeros(1, bool))
    areas = [(PlaceCell(32)(canvas, *arguments, np.array([zoom])).numpy() > 127).sum() / 3 for zoom in (0.5, 1.0, 2.0)]
    assert areas == [8 * 8, 16 * 16, 32 * 32]


def test_windows_and_colours_stay_exact_in_half_precision():
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        place, jitter = PlaceCell(16), StainJitter(0.3, 0.1, 0.05)
    finally:
        keras.config.set_dtype_policy(before)
    canvas = smooth()[None]
    # In bfloat16 this offset would be 30.75.
    arguments = (tf.constant([[30.8, 0.3]]), tf.constant([0.3]), tf.constant([False]), tf.constant([1.0]))
    found = place(canvas, *arguments)
    np.testing.assert_array_equal(found, PlaceCell(16)(canvas, *arguments))
    numbers = tf.constant(np.random.default_rng(0).random((1, 9)), tf.float32)
    coloured = jitter(found, numbers)
    assert coloured.dtype == tf.float32
    np.testing.assert_array_equal(coloured, StainJitter(0.3, 0.1, 0.05)(found, numbers))


def jittered(pixel, strengths, column, value):
    numbers = np.full((1, 9), 0.5, np.float32)
    numbers[0, column] = value
    image = np.full((1, 2, 2, 3), pixel, np.uint8)
    return StainJitter(*strengths)(tf.constant(image), tf.constant(numbers)).numpy()[0, 0, 0] * 255


@pytest.mark.parametrize("stain", [0, 1, 2])
def test_less_of_one_stain(stain):
    amounts = np.array([0.5, 0.4, 0.1])
    pixel = np.round(256 * 10 ** (-amounts @ HE_VECTORS) - 1)
    # 0 asks for the largest change down: 1 - 0.3.
    amounts[stain] *= 0.7
    np.testing.assert_allclose(
        jittered(pixel, (0.3, 0, 0), stain, 0.0), 256 * 10 ** (-amounts @ HE_VECTORS) - 1, atol=1.5
    )


def test_hue_scales_the_density_of_one_channel():
    # 63: density log10(4); times 1.5 is log10(8): 256 / 8 - 1 = 31.
    np.testing.assert_allclose(jittered((63, 63, 63), (0, 0.5, 0), 4, 1.0), [63, 31, 63], atol=0.01)


def test_brightness_adds_density_to_one_channel():
    # log10(4) + 0.30103 = log10(8).
    np.testing.assert_allclose(jittered((63, 63, 63), (0, 0, 0.30103), 8, 1.0), [63, 63, 31], atol=0.01)


def test_nothing_leaves_the_range():
    images = np.array([0, 1, 254, 255], np.uint8).repeat(3).reshape(1, 2, 2, 3)
    for numbers in (np.zeros((1, 9)), np.full((1, 9), 0.999)):
        found = StainJitter(0.9, 0.5, 0.5)(tf.constant(images), tf.constant(numbers, tf.float32)).numpy()
        assert found.min() >= 0 and found.max() <= 1


def test_stain_transfer_gives_the_other_ones_mean_and_spread():
    generator = np.random.default_rng(0)
    pale = generator.normal((200, 150, 190), 12, (40, 40, 3)).clip(90, 250).astype(np.uint8)
    dark = generator.normal((120, 80, 140), 14, (40, 40, 3)).clip(40, 220).astype(np.uint8)
    stats = [np.concatenate([optical_density(i).mean((0, 1)), optical_density(i).std((0, 1))]) for i in (pale, dark)]
    own, other = (tf.constant(s[None], tf.float32) for s in stats)
    for share in (0.0, 0.5, 1.0):
        found = StainTransfer()(tf.constant(pale[None]), own, other, tf.constant([share], tf.float32)).numpy()[0]
        density = -np.log10((found + 1) / 256)
        np.testing.assert_allclose(density.mean((0, 1)), (1 - share) * stats[0][:3] + share * stats[1][:3], atol=2e-3)
        ratio = np.clip(stats[1][3:] / stats[0][3:], 0.6, 1.6) ** share
        np.testing.assert_allclose(density.std((0, 1)), stats[0][3:] * ratio, rtol=0.02)
    assert np.abs(StainTransfer()(tf.constant(pale[None]), own, other, tf.zeros(1)).numpy()[0] - pale).max() < 0.01


def test_stain_statistics_are_of_the_tissue():
    canvas = np.full((20, 20, 3), 255, np.uint8)
    canvas[:10] = (100, 60, 120)
    found = stain_statistics(np.stack([canvas, canvas]))
    wanted = [*optical_density(np.array([100, 60, 120], np.uint8)), 0, 0, 0]
    np.testing.assert_allclose(found, [wanted, wanted], atol=1e-6)
    assert stain_statistics(np.zeros((0, 8, 8, 3), np.uint8)).shape == (0, 6)
    # All glass: of the whole.
    np.testing.assert_allclose(stain_statistics(np.full((1, 8, 8, 3), 255, np.uint8)), np.zeros((1, 6)), atol=1e-6)


def test_scanner_jitter_does_what_its_numbers_say():
    image = smooth(40)
    image[18:22] = 20
    jitter = ScannerJitter(1.0)

    def changed(*row):
        return jitter(tf.constant(image[None]), tf.constant([row], tf.float32)).numpy()[0].astype(int)

    nothing = (0.9, 0.5, 0.9, 0.5, 0.9, 0.5)
    np.testing.assert_array_equal(changed(*nothing), image)
    edge = lambda picture: int(picture[14, 5, 1]) - int(picture[18, 5, 1])  # noqa: E731 - contrast at the dark band
    assert edge(changed(0.1, 0.8, *nothing[2:])) < edge(image) < edge(changed(0.4, 0.8, *nothing[2:])) + 1
    noise = changed(*nothing[:2], 0.2, 0.5, *nothing[4:]) - image
    assert 1.5 < noise.std() < 4  # 15 * 0.2 = 3 levels, less what is cut at 0
    packed = np.abs(changed(*nothing[:4], 0.1, 1.0) - image)
    assert 0 < packed.mean() < 12
    still = ScannerJitter(0.0)(tf.constant(image[None]), tf.constant([[0.1] * 6], tf.float32)).numpy()[0]
    np.testing.assert_array_equal(still, image)


def test_a_cell_is_put_into_other_surroundings():
    """Own to radius - 4, the other's from radius + 4 on, half of each at the radius; about the cell, not the middle."""
    windows, surroundings = (np.full((2, 41, 41, 3), value, np.uint8) for value in (200, 50))
    offset = np.array([[0, 0], [6, -3]], np.float32)
    mixed = Transplant()(windows, surroundings, offset, np.array([8, np.inf], np.float32)).numpy()
    assert mixed.dtype == np.uint8
    assert mixed[0, 20, 20 + np.array([0, 4, 6, 8, 10, 12, 20]), 1].tolist() == [200, 200, 162, 125, 88, 50, 50]
    assert (mixed[1] == 200).all()
    moved = Transplant()(windows, surroundings, offset, np.array([8, 8], np.float32)).numpy()[1]
    assert moved[20 - 3, 20 + 6 + np.array([0, 8, 12])].tolist() == [[200] * 3, [125] * 3, [50] * 3]
    assert moved[20 - 3 - 8, 20 + 6].tolist() == [125] * 3
