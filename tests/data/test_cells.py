"""Cells from fields: what is cut, pasted and mined."""

import cv2
import numpy as np
import pytest

from mitozoo.base.errors import DataError
from mitozoo.base.points import CLASSES, Cell
from mitozoo.data.cells import CANVAS_PX, collect, cut_canvas, mine_field, mine_neighbours, paste_over, surround
from mitozoo.data.dataset import Dataset, Field

DARK = (60, 30, 90)
PALE = (225, 190, 215)


def tissue(size: int, nuclei, radius: int = 7, colour=DARK) -> np.ndarray:
    image = np.full((size, size, 3), PALE, np.uint8)
    for x, y in nuclei:
        cv2.circle(image, (x, y), radius, colour, -1)
    return image


def save(path, image):
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def test_cut_canvas_puts_the_point_between_the_four_central_pixels():
    image = np.zeros((300, 300, 3), np.uint8)
    image[120, 140] = 255
    canvas = cut_canvas(image, 139.5, 119.5, 64)
    assert canvas[32, 32, 0] == 255
    image[:] = np.arange(300)[None, :, None] % 256
    np.testing.assert_array_equal(cut_canvas(image, 63.5, 150, 128)[0, :, 0], np.arange(128))


def test_cut_canvas_reflects_at_the_edge():
    image = np.arange(128, dtype=np.uint8)[None, :, None].repeat(128, 0).repeat(3, 2)
    row = cut_canvas(image, 63.5, 63.5, 192)[0, :, 0]
    np.testing.assert_array_equal(row[32:160], np.arange(128))
    np.testing.assert_array_equal(row[:32], np.arange(32)[::-1])


def test_paste_over_hides_the_target_and_nothing_else():
    image = tissue(128, [(64, 64)])
    covered = paste_over(image, (64, 64), (20, 20))
    assert covered.min() > 150
    assert image[64, 64].tolist() == list(DARK)
    np.testing.assert_array_equal(covered[:, :30], image[:, :30])


def test_surround_keeps_the_cell_and_shows_the_background_outside():
    image, background = tissue(128, [(63, 63)]), np.full((128, 128, 3), 7, np.uint8)
    canvas = surround(image, 63.5, 63.5, background, np.random.default_rng(0))
    assert canvas.shape == (CANVAS_PX, CANVAS_PX, 3)
    np.testing.assert_array_equal(canvas[60:132, 60:132], cut_canvas(image, 63.5, 63.5)[60:132, 60:132])
    assert (canvas[:30] == 7).all() and (canvas[:, -30:] == 7).all()


def test_neighbours_are_clear_of_what_is_pasted_over_the_figure_and_the_figure_is_gone(tmp_path):
    nuclei = [(64, 64), (64, 26), (101, 64), (64, 80)]  # 38, 37 and 16 px from the centre: the last is too near
    image = tissue(128, nuclei)
    field = Field(tmp_path / "x.png", "a", (Cell(63.5, 63.5, "mitotic_figure"),), 0.25, complete=False)
    found = mine_neighbours(field, image, 1.0, 5, None, np.random.default_rng(0))
    assert len(found) == 2
    for canvas in found:
        assert canvas[94:98, 94:98].max() < 100  # the neighbour itself, in the centre
        # The figure, at its place relative to the neighbour, is pasted over.
        places = [(96, 96 + 38), (96 - 37, 96)]
        assert any(canvas[y - 3 : y + 3, x - 3 : x + 3].min() > 100 for x, y in places)


def test_another_mitotic_figure_of_the_patch_is_not_mined(tmp_path):
    image = tissue(128, [(64, 64), (64, 26), (101, 64)])
    cells, circle = (Cell(63.5, 63.5, "mitotic_figure"),), ((101.0, 64.0, 30.0),)
    field = Field(tmp_path / "x.png", "a", cells, 0.25, complete=False, excluded=circle)
    (only,) = mine_neighbours(field, image, 1.0, 5, None, np.random.default_rng(0))
    # It is the one above: the other lies 37 px right and 38 px below of it.
    assert only[96 + 38, 96 + 37].max() < 100


def painted(tmp_path):
    image = tissue(700, [(150, 150), (500, 500), (520, 200), (300, 600)])
    cv2.circle(image, (350, 350), 15, (255, 255, 0), -1)
    path = save(tmp_path / "field.png", image)
    return Dataset("painted", (Field(path, "case", um_per_px=0.25, excluded=((350.0, 350.0, 40.0),)),))


def patches(tmp_path):
    fields = []
    for i, label in enumerate(["mitotic_figure", "atypical_mitotic_figure"] * 2):
        path = save(tmp_path / f"patch{i}.png", tissue(128, [(64, 64), (64, 100)]))
        fields.append(Field(path, f"slide {i % 2}", (Cell(63.5, 63.5, label),), 0.25, complete=False))
    return Dataset("patches", tuple(fields))


def test_no_mined_window_shows_the_paint(tmp_path):
    cells = collect([patches(tmp_path)], [painted(tmp_path)], CLASSES, seed=0, per_field=400)
    mined = cells.take(cells.origins == "field")
    assert len(mined) > 0
    assert (mined.labels == 0).all()
    yellow = (mined.canvases[..., 0] > 200) & (mined.canvases[..., 2] < 60)
    assert not yellow.any()


def test_mined_places_keep_half_a_canvas_from_an_excluded_circle(tmp_path):
    # The circle and half a canvas reach 40 + 96 = 136 px from 350, to the sides, up and down, and into the corners.
    far, near = [(350 + 142, 350), (350 + 250, 350), (350, 350 - 145)], [(350 + 100, 350), (350, 350 + 130), (240, 240)]
    image = tissue(700, far + near)
    field = Field(tmp_path / "f.png", "case", um_per_px=0.25, excluded=((350.0, 350.0, 40.0),))
    found = mine_field(field, image, 1.0, 400, np.random.default_rng(0))
    assert sum(canvas[96, 96, 0] < 100 for canvas in found) == len(far)


def test_half_of_the_mined_places_are_the_darkest(tmp_path):
    colours = [(20 + 10 * i,) * 3 for i in range(12)]
    image = tissue(900, [])
    for i, colour in enumerate(colours):
        cv2.circle(image, (150 + 200 * (i % 4), 150 + 200 * (i // 4)), 7, colour, -1)
    field = Field(tmp_path / "f.png", "case", um_per_px=0.25)
    found = mine_field(field, image, 1.0, 6, np.random.default_rng(0))
    assert len(found) == 6
    assert [int(canvas[96, 96, 0]) for canvas in found[:3]] == [20, 30, 40]
    assert min(int(canvas[96, 96, 0]) for canvas in found[3:]) >= 50


def test_small_fields_give_fewer_negatives(tmp_path):
    image = tissue(1000, [(100 + 80 * (i % 11), 100 + 80 * (i // 11)) for i in range(121)])
    path = save(tmp_path / "field.png", image)
    data = Dataset("n", (Field(path, "case", um_per_px=0.25),))
    # 1 Mpx is a quarter of 4 Mpx: a quarter of 240.
    assert len(collect([], [data], ("non_mitotic",), seed=0)) == 60


def test_a_neighbour_at_eight_and_a_half_micrometres_is_taken_and_a_nearer_one_not(tmp_path):
    def beside(px):
        image = tissue(128, [(64, 64), (64 + px, 64)], radius=5)
        field = Field(tmp_path / "x.png", "a", (Cell(64, 64, "mitotic_figure"),), 0.25, complete=False)
        return mine_neighbours(field, image, 1.0, 5, None, np.random.default_rng(0))

    dark = [[canvas[96, 96, 0] < 100 for canvas in beside(px)] for px in (32, 36)]
    assert not any(dark[0])
    assert any(dark[1])


def test_collects_labels_cases_and_origins(tmp_path):
    cells = collect([patches(tmp_path)], [painted(tmp_path)], CLASSES, seed=0)
    labelled = cells.origins == "labelled"
    assert np.bincount(cells.labels[labelled], minlength=3).tolist() == [0, 2, 2]
    assert set(cells.cases[labelled]) == {"slide 0", "slide 1"}
    assert set(cells.cases[cells.origins == "field"]) == {"case"}
    again = collect([patches(tmp_path)], [painted(tmp_path)], CLASSES, seed=0)
    np.testing.assert_array_equal(cells.canvases, again.canvases)


def test_images_at_another_spacing_are_resampled(tmp_path):
    path = save(tmp_path / "coarse.png", tissue(400, [(100, 100)], radius=10))
    field = Field(path, "a", (Cell(100, 100, "mitotic_figure"),), um_per_px=0.5)
    cells = collect([Dataset("coarse", (field,))], [], ("mitotic_figure",), seed=0)
    dark = cells.canvases[0, ..., 0] < 140
    rows, columns = np.nonzero(dark)
    assert dark.sum() == pytest.approx(np.pi * 20.5**2, rel=0.05)  # a disc of 21 px across is 41 at twice the size
    assert [rows.mean(), columns.mean()] == pytest.approx([95.5, 95.5], abs=1)


def test_a_class_without_example(tmp_path):
    with pytest.raises(DataError) as error:
        collect([patches(tmp_path)], [], (*CLASSES, "granulocyte"), seed=0)
    assert str(error.value) == (
        "No example of class 'granulocyte'. Add data that has it (--data, --negatives) or drop the class."
    )


def test_a_label_that_is_no_class(tmp_path):
    with pytest.raises(DataError) as error:
        collect([patches(tmp_path)], [], ("non_mitotic", "mitotic_figure"), seed=0)
    assert str(error.value).startswith("Class 'atypical_mitotic_figure' is not one of the model's")
