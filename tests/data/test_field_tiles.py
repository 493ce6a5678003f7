"""Tiles of fields: where they are cut, what their targets are, and that the same seed gives the same."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import DataError, RecipeError, UnknownNameError
from mitozoo.base.points import MITOTIC_FIGURE, Cell
from mitozoo.data.dataset import Dataset, Field, MaskSource
from mitozoo.data.field_tiles import (
    TileSettings,
    grid_starts,
    strong_fields,
    test_tiles,
    tile_to_image,
    training_tiles,
)
from mitozoo.data.training_fields import TrainingFields, read_training_fields

IGNORED = 255


def fields(*sizes, points=None, excluded=None, strong=True):
    """Fields whose red is the column, whose green is the row; a mask of 5 x 5 pixels at every point."""
    images, labels = [], []
    points = points or [[] for _ in sizes]
    for (height, width), found in zip(sizes, points, strict=True):
        rows, columns = np.mgrid[:height, :width]
        images.append(np.stack([columns % 256, rows % 256, np.full_like(rows, 7)], axis=-1).astype(np.uint8))
        label = np.zeros((height, width), np.uint8)
        for x, y in found:
            label[y - 2 : y + 3, x - 2 : x + 3] = 1
        labels.append(label)
    return TrainingFields(
        images=tuple(images),
        labels=tuple(labels),
        strong=np.full(len(sizes), strong),
        points=tuple(np.array(found, np.float64).reshape(-1, 2) for found in points),
        excluded=tuple(np.array(found, np.float64).reshape(-1, 3) for found in excluded or [[] for _ in sizes]),
        cases=np.array([f"case {i}" for i in range(len(sizes))]),
        stains=np.zeros((len(sizes), 6), np.float32),
        hard=tuple(np.zeros((0, 2)) for _ in sizes),
    )


def batches(data):
    images, targets = zip(*data, strict=True)
    return np.concatenate(images), {key: np.concatenate([item[key] for item in targets]) for key in targets[0]}


@pytest.mark.parametrize(
    ("length", "tile", "overlap", "expected"),
    [
        (100, 40, 0.0, [0, 40, 60]),
        (80, 40, 0.0, [0, 40]),
        (40, 40, 0.6, [0]),
        (30, 40, 0.0, [0]),
        (72, 40, 0.6, [0, 16, 32]),
    ],
)
def test_a_grid_ends_with_the_field(length, tile, overlap, expected):
    assert grid_starts(length, tile, overlap) == expected


def test_the_middle_of_a_tile_shows_the_centre_however_it_is_turned():
    matrix = tile_to_image((33, 21), np.array([50.0, 40.0]), 0.7, True, 1.3)
    np.testing.assert_allclose(matrix @ [16, 10, 1], [50, 40], atol=1e-9)
    # A quarter turn: one pixel to the right in the tile is one down in the image; enlarged twice, half a pixel.
    quarter = tile_to_image((33, 33), np.array([50.0, 40.0]), np.pi / 2, False, 2.0)
    np.testing.assert_allclose(quarter @ [17, 16, 1], [50, 40.5], atol=1e-9)
    mirrored = tile_to_image((33, 33), np.array([50.0, 40.0]), 0.0, True, 1.0)
    np.testing.assert_allclose(mirrored @ [17, 16, 1], [49, 40], atol=1e-9)


def test_plain_tiles_are_the_fields_own_pixels_and_those_with_figures_come_first():
    known = fields((64, 96), (32, 32), points=[[(70, 50)], []])
    images, targets = batches(test_tiles(known, TileSettings(tile_px=32), batch_size=4))
    assert images.shape == (7, 32, 32, 3)
    np.testing.assert_allclose(images[0, 0, 0] * 255, [64, 32, 7], atol=1e-4)
    np.testing.assert_allclose(images[0, 31, 31] * 255, [95, 63, 7], atol=1e-4)
    np.testing.assert_allclose(targets["points"][0, 0, :2], [6, 18], atol=1e-5)
    assert targets["mask"][0].sum() == 25
    assert targets["mask"][0, 16:21, 4:9].all()
    assert (targets["points"][1:] == -1).all()
    assert not targets["mask"][1:].any()


@pytest.mark.parametrize(("width", "height"), [(96, 96), (385, 344), (500, 500), (512, 512), (521, 521)])
def test_tiles_larger_than_a_field_are_padded_and_the_padding_ignored(width, height):
    known = fields((60, 80), points=[[(40, 30)]])
    settings = TileSettings(tile_px=width, tile_height_px=height)
    images, targets = batches(test_tiles(known, settings, batch_size=1))
    assert images.shape == (1, height, width, 3)
    for name in ("mask", "weak", "concentric"):
        labels = targets[name][0]
        assert not labels[:3, :3].any() and labels[30, 40] == 1
        assert (labels[61:] == IGNORED).all() and (labels[:, 81:] == IGNORED).all()
    np.testing.assert_allclose(targets["points"][0, 0, :2], [40, 30], atol=1e-4)


def test_targets_of_a_figure_by_hand():
    known = fields((65, 65), points=[[(32, 32)]])
    settings = TileSettings(tile_px=65, disc_px=(10, 10), inner_px=(12, 12), outer_ratio=(2, 2))
    _, targets = batches(test_tiles(known, settings, batch_size=1))
    rows, columns = np.mgrid[:65, :65]
    distance = np.hypot(columns - 32, rows - 32)
    np.testing.assert_array_equal(targets["weak"][0] == 1, distance <= 10)
    np.testing.assert_array_equal(targets["concentric"][0] == 1, distance <= 12)
    np.testing.assert_array_equal(targets["concentric"][0] == IGNORED, (distance > 12) & (distance <= 24))
    np.testing.assert_allclose(targets["points"][0, 0], [32, 32, 10], atol=1e-5)


def test_damaged_places_are_ignored_in_all_targets():
    known = fields((64, 64), points=[[(20, 20)]], excluded=[[(45, 40, 8)]])
    _, targets = batches(test_tiles(known, TileSettings(tile_px=64), batch_size=1))
    rows, columns = np.mgrid[:64, :64]
    damaged = np.hypot(columns - 45, rows - 40) <= 8
    for name in ("mask", "weak", "concentric"):
        assert (targets[name][0][damaged] == IGNORED).all()
    assert targets["mask"][0][~damaged].max() == 1


def test_a_field_with_centres_alone_has_no_mask():
    known = fields((64, 64), points=[[(20, 20)]], strong=False)
    _, targets = batches(test_tiles(known, TileSettings(tile_px=64), batch_size=1))
    assert (targets["mask"] == IGNORED).all()
    assert targets["strong"].tolist() == [0.0]
    assert (targets["weak"] == 1).any()


def test_positive_tiles_show_a_figure_well_inside_and_their_mask_lies_on_it():
    known = fields((300, 300), (200, 260), points=[[(150, 40), (60, 200)], [(130, 100)]])
    settings = TileSettings(tile_px=64, positive_share=1.0, rotate="any", mirror=True, zoom=0.2, margin_px=16)
    images, targets = batches(training_tiles(known, settings, batch_size=5, tiles=30, seed=1, stage=0, epoch=0))
    assert images.shape == (30, 64, 64, 3)
    for points, mask in zip(targets["points"], targets["mask"], strict=True):
        x, y = points[0, :2]
        # Turned and enlarged by a fifth, 16 px inside may be a little less.
        assert 0 < x < 63 and 0 < y < 63
        found = np.argwhere(mask == 1)
        np.testing.assert_allclose(found.mean(axis=0), [y, x], atol=1.0)


@pytest.mark.parametrize(("rotate", "steps"), [("right-angles", 4), ("45-degrees", 8), ("16-angles", 16)])
def test_nine_directions_and_angles_in_steps(rotate, steps):
    known = fields((200, 200), points=[[(100, 90)]])
    settings = TileSettings(tile_px=72, positive_share=1.0, shift="nine", rotate=rotate, margin_px=16)
    wanted = training_tiles(known, settings, batch_size=40, tiles=400, seed=3, stage=0, epoch=0)
    images, targets = batches(wanted)
    # A tile of 72 px with a margin of 16 reaches 20 px: the figure is 0 or 10 px off the middle along an axis.
    away = targets["points"][:, 0, :2] - 35.5
    far = np.hypot(away[:, 0], away[:, 1])
    assert sorted({round(float(value), 1) for value in far}) == [0.0, 10.0, 14.1]
    share = (far < 1).mean()
    assert 0.05 < share < 0.18  # one of nine
    # Red grows by one a column: its gradient along rows and columns of the tile tells the angle.
    middle = images[:, :, :, 0] * 255
    right, down = middle[:, 36, 52] - middle[:, 36, 20], middle[:, 52, 36] - middle[:, 20, 36]
    angles = np.arctan2(down, right) / (2 * np.pi / steps)
    np.testing.assert_allclose(angles, np.round(angles), atol=0.05)
    assert len(set(np.round(angles).astype(int) % steps)) == steps


def test_the_share_of_positive_tiles_is_kept():
    known = fields((400, 400), points=[[(200, 200)]])
    settings = TileSettings(tile_px=32, positive_share=0.25)
    _, targets = batches(training_tiles(known, settings, batch_size=8, tiles=80, seed=0, stage=0, epoch=0))
    showing = (targets["points"][:, 0, 0] >= 0).sum()
    # A negative tile of 32 px in a field of 400 px seldom shows the one figure.
    assert 20 <= showing <= 26


def test_hard_places_are_where_negative_tiles_are_cut_first():
    known = fields((400, 400), points=[[(200, 200)]]).with_hard([np.array([[100.0, 300.0]])])
    settings = TileSettings(tile_px=32, positive_share=0.0, hard_share=1.0)
    images, _ = batches(training_tiles(known, settings, batch_size=8, tiles=16, seed=0, stage=0, epoch=0))
    # The columns are the red: a quarter of a tile around 100, and the rows around 300.
    middle = images[:, 15:17, 15:17, :2].mean(axis=(1, 2)) * 255
    assert (np.abs(middle[:, 0] - 100) <= 9).all()
    assert (np.abs(middle[:, 1] - (300 % 256)) <= 9).all()


def test_labelled_look_alikes_are_hard_places_where_they_are_asked_for():
    known = fields((400, 400), points=[[(200, 200)]])
    known = replace(known, look_alikes=(np.array([[60.0, 80.0]]),)).with_hard([np.array([[100.0, 300.0]])])

    def middles(**settings):
        wanted = TileSettings(tile_px=32, positive_share=0.0, hard_share=1.0, **settings)
        images, _ = batches(training_tiles(known, wanted, batch_size=8, tiles=16, seed=0, stage=0, epoch=0))
        return images[:, 15:17, 15:17, :2].mean(axis=(1, 2)) * 255

    def near(x, y, found):
        return (np.abs(found - (x, y % 256)) <= 9).all(axis=1)

    assert near(100, 300, middles()).all()
    both = middles(look_alikes=True)
    # Of what is mined and what is labelled, each comes as often.
    assert near(100, 300, both).sum() == near(60, 80, both).sum() == 8


def test_the_same_seed_gives_the_same_tiles_and_another_epoch_others():
    known = fields((200, 200), points=[[(100, 100)]])
    settings = TileSettings(tile_px=48, rotate="any", mirror=True, zoom=0.2, stain=0.2, transfer=0.5, scanner=1.0)

    def epoch(number):
        return batches(training_tiles(known, settings, batch_size=4, tiles=12, seed=3, stage=0, epoch=number))

    (first, one), (second, two), (other, _) = epoch(0), epoch(0), epoch(1)
    np.testing.assert_array_equal(first, second)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    assert not np.array_equal(first, other)


def test_a_share_of_the_masks_may_be_held_back_but_never_of_fields_without_figures():
    known = fields(*[(32, 32)] * 5, points=[[(9, 9)], [(9, 9)], [], [(9, 9)], [(9, 9)]])
    kept = strong_fields(known, 0.5)
    assert kept[2] and kept[[0, 1, 3, 4]].sum() == 2
    assert strong_fields(known, 1.0).all()


def test_positive_tiles_need_a_figure():
    with pytest.raises(DataError) as error:
        training_tiles(fields((64, 64)), TileSettings(), batch_size=1, tiles=2, seed=0, stage=0, epoch=0)
    assert str(error.value) == "No field has a labelled mitotic figure to cut a tile around. Give other data."


@pytest.mark.parametrize(
    ("settings", "kind", "text"),
    [
        ({"tile_px": 8}, RecipeError, "A tile has at least 16 px a side, got 8 x 8."),
        ({"positive_share": 2}, RecipeError, "positive_share, hard_share and strong_share are shares between 0 and 1."),
        (
            {"rotate": "all"},
            UnknownNameError,
            "No way to rotate named 'all'. Known: 16-angles, 45-degrees, any, none, right-angles.",
        ),
        ({"shift": "ten"}, UnknownNameError, "No way to shift named 'ten'. Known: any, nine."),
        ({"shape": "disk"}, UnknownNameError, "No shape of weak labels named 'disk'. Did you mean 'disc'?"),
    ],
)
def test_settings_are_checked(settings, kind, text):
    with pytest.raises(kind) as error:
        TileSettings(**settings)
    assert str(error.value) == text


def test_fields_are_read_at_one_spacing_with_points_masks_and_damage(tmp_path):
    image = np.full((40, 60, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    mask = np.zeros((40, 60), np.uint8)
    mask[10:14, 20:26] = 255
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    cells = (Cell(22.5, 11.5, MITOTIC_FIGURE), Cell(5, 5, "non_mitotic"))
    field = Field(
        path=tmp_path / "a.png", case="s1", cells=cells, um_per_px=0.5, excluded=((50, 30, 4),),
        mask=MaskSource(tmp_path / "m.png", "image"),
    )  # fmt: skip
    seen, unseen = field, Field(path=tmp_path / "a.png", case="s2", labelled=False)
    steps = []
    found = read_training_fields(
        [Dataset(name="d", fields=(seen, unseen))],
        [Dataset(name="n", fields=(unseen,))],
        progress=lambda done, total: steps.append((done, total)),
    )
    assert steps == [(1, 2), (2, 2)]
    assert [image.shape for image in found.images] == [(80, 120, 3), (40, 60, 3)]
    np.testing.assert_allclose(found.points[0], [[(22.5 + 0.5) * 2 - 0.5, (11.5 + 0.5) * 2 - 0.5]])
    np.testing.assert_allclose(found.excluded[0], [[100.5, 60.5, 8]])
    np.testing.assert_allclose(found.look_alikes[0], [[10.5, 10.5]])
    assert found.look_alikes[1].shape == (0, 2)
    assert (found.labels[0] == 1).sum() == 4 * 24
    assert found.labels[0][60, 100] == IGNORED
    assert found.strong.tolist() == [True, True]
    assert not found.labels[1].any() and len(found.points[1]) == 0
    assert found.take(np.array([False, True])).cases.tolist() == ["s2"]


def test_tiles_come_in_graph_mode_with_known_shapes():
    known = fields((64, 64), points=[[(20, 20)]])
    data = training_tiles(known, TileSettings(tile_px=32), batch_size=2, tiles=4, seed=0, stage=0, epoch=0)
    image, targets = data.element_spec
    assert image == tf.TensorSpec((None, 32, 32, 3), tf.float32)
    assert targets["points"].shape == (None, 16, 3)
    assert targets["mask"].shape == (None, 32, 32)
