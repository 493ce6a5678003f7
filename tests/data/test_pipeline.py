"""Windows: where the cell lies, what is balanced, what repeats."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from mitozoo.data.augment import PlaceCell, StainJitter, window_to_canvas
from mitozoo.data.cells import CANVAS_PX, Cells
from mitozoo.data.pipeline import WindowSettings, balanced_indices, drawn_indices, test_windows, training_windows
from mitozoo.data.stain import HE_VECTORS
from mitozoo.models.layers.sampler import AffineSampler

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")
windows_of_all = test_windows
del test_windows  # its name makes pytest take it for a test
PLAIN = {"stain": 0.0, "hue": 0.0, "brightness": 0.0}


def discs(counts=(5, 3, 2)) -> Cells:
    """Canvases with a dark disc of radius 6 px exactly in the centre."""
    line = np.arange(CANVAS_PX) - (CANVAS_PX - 1) / 2
    disc = np.hypot(line[:, None], line[None]) <= 6
    canvas = np.full((CANVAS_PX, CANVAS_PX, 3), 230, np.uint8)
    canvas[disc] = 20
    labels = np.repeat(np.arange(3, dtype=np.int32), counts)
    names = np.array([f"slide {i}" for i in range(len(labels))])
    return Cells(np.repeat(canvas[None], len(labels), 0), labels, names, names, CLASSES)


def centroid(window: np.ndarray) -> np.ndarray:
    dark = 1 - window[..., 0]
    dark = np.where(dark > 0.4, dark, 0)
    rows, columns = np.mgrid[: dark.shape[0], : dark.shape[1]]
    return np.array([(dark * columns).sum(), (dark * rows).sum()]) / dark.sum()


def test_theta_says_where_the_cell_is_and_the_sampler_finds_it_there():
    settings = WindowSettings(zoom=0.2, **PLAIN)
    data = training_windows(discs((8, 8, 8)), settings, batch_size=48, seed=0, stage=0, epoch=0)
    window, targets = next(iter(data))
    window, theta = window.numpy(), targets["theta"].numpy()
    cells = np.asarray(AffineSampler(32)(window, theta))
    for one, matrix, cell in zip(window, theta, cells, strict=True):
        offset = centroid(one) - 63.5
        np.testing.assert_allclose(matrix[:, 2] * 64, offset, atol=0.3)
        np.testing.assert_allclose(matrix[:, :2], [[0.5, 0], [0, 0.5]])
        np.testing.assert_allclose(centroid(cell), [15.5, 15.5], atol=0.3)
        assert np.abs(offset).max() <= 32.3


@pytest.mark.parametrize(("angle", "mirror", "zoom"), [(0, True, 1), (2.5, False, 1), (0, False, 1.2), (4, True, 0.85)])
def test_turn_mirror_and_zoom_leave_the_cell_where_it_is(angle, mirror, zoom):
    offset = np.array([[-27.0, 18.5]])
    arguments = (offset, np.array([float(angle)]), np.array([mirror]), np.array([float(zoom)]))
    window = PlaceCell(128)(discs((1, 1, 1)).canvases[:1], *arguments).numpy() / 255
    np.testing.assert_allclose(centroid(window[0]) - 63.5, offset[0], atol=0.1)


def test_a_cell_right_and_below_has_positive_theta():
    place = PlaceCell(128)
    canvas = discs((1, 1, 1)).canvases[:1]
    window = place(canvas, np.array([[20.0, 10.0]]), np.zeros(1), np.zeros(1, bool), np.ones(1)).numpy() / 255
    np.testing.assert_allclose(centroid(window[0]), [83.5, 73.5], atol=0.05)


def test_place_cell_equals_bilinear_by_hand():
    generator = np.random.default_rng(0)
    canvas = generator.integers(0, 256, (1, 40, 40, 3), np.uint8)
    offset, angle, zoom = np.array([[1.5, -2.25]]), np.array([0.7]), np.array([1.1])
    found = PlaceCell(16)(canvas, offset, angle, np.array([True]), zoom).numpy()[0]
    cos, sin = np.cos(0.7) / 1.1, np.sin(0.7) / 1.1
    worst = 0.0
    for row in range(16):
        for column in range(16):
            u, v = column - 7.5 - 1.5, row - 7.5 + 2.25
            x, y = 19.5 - (cos * u - sin * v), 19.5 + sin * u + cos * v
            x0, y0 = int(np.floor(x)), int(np.floor(y))
            wx, wy = x - x0, y - y0
            block = canvas[0, y0 : y0 + 2, x0 : x0 + 2].astype(float)
            top = block[0, 0] * (1 - wx) + block[0, 1] * wx
            value = top * (1 - wy) + (block[1, 0] * (1 - wx) + block[1, 1] * wx) * wy
            worst = max(worst, np.abs(value - found[row, column]).max())
    # OpenCV rounds places to 1/32 px: up to 255/32 grey levels between neighbours that differ by all.
    assert worst <= 9


def test_window_to_canvas_keeps_the_cell_under_any_turn():
    matrix = window_to_canvas(128, 192, np.array([[5.0, -7.0]]), np.array([2.0]), np.array([True]), np.array([0.8]))[0]
    np.testing.assert_allclose(matrix @ [63.5 + 5, 63.5 - 7, 1], [95.5, 95.5])


def test_no_jitter_changes_nothing():
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    same = StainJitter(0.0, 0.0, 0.0)(tf.constant(images), tf.constant(np.random.rand(2, 9), tf.float32))
    np.testing.assert_allclose(same.numpy() * 255, images, atol=0.01)


def test_twice_the_haematoxylin_by_hand():
    stains = np.array([0.4, 0.3, 0.0])
    density = stains @ HE_VECTORS
    value = np.round(256 * 10 ** (-density) - 1)
    image = np.full((1, 2, 2, 3), value, np.uint8)
    # The first number, 1, asks for the largest change of haematoxylin: 1 + 1.0; 0.5 leaves the others.
    numbers = np.full((1, 9), 0.5, np.float32)
    numbers[0, 0] = 1.0
    found = StainJitter(1.0, 0.0, 0.0)(tf.constant(image), tf.constant(numbers)).numpy()[0, 0, 0] * 255
    wanted = 256 * 10 ** (-(np.array([0.8, 0.3, 0.0]) @ HE_VECTORS)) - 1
    np.testing.assert_allclose(found, wanted, atol=1.5)


def test_balancing_keeps_the_smallest_class_whole():
    labels = np.repeat([0, 1, 2], [50, 20, 7])
    first = balanced_indices(labels, np.random.default_rng(0))
    second = balanced_indices(labels, np.random.default_rng(1))
    assert np.bincount(labels[first]).tolist() == [7, 7, 7]
    assert set(np.flatnonzero(labels == 2)) <= set(first)
    assert set(first) != set(second)


def test_drawing_takes_every_class_as_often_and_no_cell_twice_before_all_came():
    labels = np.repeat([0, 1, 3], [50, 20, 2])
    drawn = drawn_indices(labels, 31, np.random.default_rng(0))
    assert sorted(np.bincount(labels[drawn], minlength=4).tolist()) == [0, 10, 10, 11]
    times = np.bincount(drawn, minlength=72)
    assert times[:50].max() == 1 and times[50:70].max() == 1
    # The class of two cells: 10 or 11 draws are five rounds of both, and perhaps one more.
    assert sorted(times[70:].tolist()) in ([5, 5], [5, 6])
    assert set(drawn) != set(drawn_indices(labels, 31, np.random.default_rng(1)))


def test_an_epoch_of_draws():
    labels = collected(draws=10)[1]
    # Ten cells of ten origins: each once, and each as two windows.
    assert np.bincount(labels).tolist() == [10, 6, 4]


def collected(**change):
    arguments = {"batch_size": 8, "seed": 0, "stage": 0, "epoch": 0} | change
    data = training_windows(discs(), WindowSettings(), **arguments)
    parts = [(window.numpy(), targets["logits"].numpy()) for window, targets in data]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def test_an_epoch_holds_every_kept_cell_twice():
    windows, labels = collected()
    assert len(windows) == 3 * 2 * 2
    assert np.bincount(labels).tolist() == [4, 4, 4]


def test_the_same_epoch_is_the_same_and_the_next_differs():
    first, again, following = collected()[0], collected()[0], collected(epoch=1)[0]
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(first, collected(batch_size=5)[0], atol=1e-6)
    assert not np.allclose(first, following, atol=1e-2)


def test_stages_and_seeds_differ():
    first = collected()[0]
    for change in ({"stage": 1}, {"seed": 1}):
        assert not np.allclose(first, collected(**change)[0], atol=1e-2), change


def test_without_rotation_every_cell_comes_once_and_upright():
    cells = dataclasses.replace(discs(), canvases=upright(10))
    settings = WindowSettings(rotate=False, mirror=False, zoom=0.0, max_offset_px=0.0, **PLAIN)
    data = training_windows(cells, settings, batch_size=16, seed=0, stage=0, epoch=0, balanced=False)
    windows, targets = next(iter(data))
    np.testing.assert_array_equal(np.sort(targets["logits"]), cells.labels)
    np.testing.assert_allclose(windows, np.repeat(upright(1)[:, 32:160, 32:160] / 255, 10, 0), atol=1e-4)


def upright(count):
    """Canvases that get brighter to the right."""
    row = np.linspace(20, 230, CANVAS_PX).round().astype(np.uint8)
    return np.tile(row[None, None, :, None], (count, CANVAS_PX, 1, 3))


def test_with_rotation_half_of_the_windows_are_upright():
    cells = dataclasses.replace(discs(), canvases=upright(10))
    settings = WindowSettings(mirror=False, zoom=0.0, max_offset_px=0.0, **PLAIN)
    data = training_windows(cells, settings, batch_size=32, seed=0, stage=0, epoch=0, balanced=False)
    windows = next(iter(data))[0].numpy()
    same = np.abs(windows - upright(1)[:, 32:160, 32:160] / 255).max(axis=(1, 2, 3)) < 1e-3
    assert (len(windows), same.sum()) == (20, 10)


def test_offsets_fill_their_range_evenly():
    data = windows_of_all(discs((400, 0, 0)), WindowSettings(), batch_size=400, seed=0)
    offset = next(iter(data))[1]["theta"].numpy()[:, :, 2] * 64
    assert np.abs(offset).max() <= 32
    # Of 400 each tenth of the range has 40 on average, with a standard deviation of 6.
    for axis in range(2):
        counts = np.histogram(offset[:, axis], 10, (-32, 32))[0]
        assert counts.min() > 40 - 5 * 6 and counts.max() < 40 + 5 * 6


def test_rows_without_balancing_are_all_used():
    _, labels = collected(rows=np.array([5, 6, 7, 8, 9]), balanced=False)
    assert np.bincount(labels, minlength=3).tolist() == [0, 6, 4]


def test_all_cells_once_in_order_and_unchanged():
    cells = discs()
    data = windows_of_all(cells, WindowSettings(), batch_size=4, seed=1)
    windows = np.concatenate([window.numpy() for window, _ in data])
    labels = np.concatenate([targets["logits"].numpy() for _, targets in data])
    np.testing.assert_array_equal(labels, cells.labels)
    assert windows[..., 0].max() == pytest.approx(230 / 255, abs=1e-3)
    assert windows[..., 0].min() == pytest.approx(20 / 255, abs=1e-3)


def test_pooled_centred_cells_are_what_the_sampler_cuts():
    cells = dataclasses.replace(
        discs(), canvases=np.random.default_rng(0).integers(0, 256, (10, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    )
    centred = WindowSettings(window_px=64, max_offset_px=0.0, pool=2)
    whole = WindowSettings(max_offset_px=0.0)
    small = next(iter(windows_of_all(cells, centred, batch_size=10, seed=0)))[0].numpy()
    window, targets = next(iter(windows_of_all(cells, whole, batch_size=10, seed=0)))
    np.testing.assert_allclose(small, np.asarray(AffineSampler(32)(window, targets["theta"])), atol=1e-5)


@pytest.mark.parametrize(("reach", "beyond"), [(1.0, 0.0), (1.5, 0.5)])
def test_stains_are_taken_up_to_their_reach(reach, beyond):
    """Even canvases of two densities: of windows whose stain goes all the way and farther, some lie outside both."""
    canvases = np.full((200, CANVAS_PX, CANVAS_PX, 3), 160, np.uint8)
    canvases[::2] = 80
    names = np.full(200, "case")
    cells = Cells(canvases, np.arange(200, dtype=np.int32) % 2, names, names, ("a", "b"))
    settings = WindowSettings(window_px=16, rotate=False, transfer=1.0, transfer_reach=reach, **PLAIN)
    windows = next(iter(training_windows(cells, settings, batch_size=200, seed=0, stage=0, epoch=0)))[0].numpy()
    density = -np.log10((255 * windows[:, 8, 8, 0] + 1) / 256)
    low, high = (-np.log10((value + 1) / 256) for value in (160, 80))
    found = [(low - density.min()) / (high - low), (density.max() - high) / (high - low)]
    # A hundred windows of each colour, half of them with the other's stain: the farthest of 50 even draws.
    np.testing.assert_allclose(found, beyond, atol=0.12)


def test_a_share_of_the_cells_is_put_into_the_surroundings_of_others_in_their_own_stain():
    generator = np.random.default_rng(0)
    canvases = generator.integers(60, 100, (80, CANVAS_PX, CANVAS_PX, 3), np.uint8)
    canvases[::2] += 100
    names = np.full(80, "case")
    cells = Cells(canvases, np.arange(80, dtype=np.int32) % 2, names, names, ("a", "b"))
    plain = WindowSettings(window_px=80, max_offset_px=3, rotate=False, zoom=0.0, **PLAIN)

    def windows(settings):
        data = training_windows(cells, settings, batch_size=40, seed=0, stage=0, epoch=0)
        return (255 * np.concatenate([window.numpy() for window, _ in data])).round().astype(int)

    own, moved = windows(plain), windows(dataclasses.replace(plain, transplant=0.4))
    distance = np.hypot(*(np.indices((80, 80)) - 39.5))
    inner, outer = distance < 18 - 4 - 5, distance > 34 + 4 + 5
    changed = (own != moved)[:, outer].any(axis=(1, 2))
    assert 20 <= changed.sum() <= 44  # 32 of 80 on average, with a spread of 4.4
    np.testing.assert_array_equal(own[:, inner], moved[:, inner])
    # Noise about 80 or about 180: of the same brightness as it was, whoever gave it.
    np.testing.assert_allclose(moved[:, outer].mean(axis=(1, 2)), own[:, outer].mean(axis=(1, 2)), atol=4)


def test_the_cell_of_other_surroundings_lies_under_the_one_that_is_put_there():
    canvases = np.full((40, CANVAS_PX, CANVAS_PX, 3), 180, np.uint8)
    canvases[:, np.hypot(*(np.indices((CANVAS_PX, CANVAS_PX)) - (CANVAS_PX - 1) / 2)) < 8] = 20
    names = np.full(40, "case")
    cells = Cells(canvases, np.arange(40, dtype=np.int32) % 2, names, names, ("a", "b"))
    settings = WindowSettings(window_px=80, max_offset_px=30, rotate=True, zoom=0.0, transplant=1.0, **PLAIN)
    data = training_windows(cells, settings, batch_size=40, seed=0, stage=0, epoch=0)
    windows = np.concatenate([window.numpy() for window, _ in data])
    dark = (windows[..., 0] < 100 / 255).sum(axis=(1, 2))
    assert len(dark) == 2 * 40
    # One disc of 8 px, 201 px in area; were the other's not under it, most windows would show parts of two.
    np.testing.assert_allclose(dark, np.pi * 8**2, atol=25)
