"""The pixel mask of a field, from all that can hold one."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mitozoo.base.errors import LabelError
from mitozoo.base.points import MITOTIC_FIGURE, Cell
from mitozoo.data import formats
from mitozoo.data.dataset import Field, MaskSource
from mitozoo.data.field_masks import field_mask, painted_mask_of

CELL = (Cell(20.0, 15.0, MITOTIC_FIGURE),)


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image if image.ndim == 2 else image[..., ::-1])
    return path


def tissue(height=60, width=80):
    noise = np.random.default_rng(0).normal(0, 5, (height, width, 3))
    return np.clip(np.array([200, 150, 190]) + noise, 0, 255).astype(np.uint8)


def square(height=60, width=80):
    mask = np.zeros((height, width), bool)
    mask[10:22, 14:27] = True
    return mask


def test_a_mask_image(tmp_path):
    image = save(tmp_path / "a.png", tissue())
    mask = save(tmp_path / "m.png", square().astype(np.uint8) * 255)
    field = Field(image, "c", CELL, mask=MaskSource(mask, "image"))
    np.testing.assert_array_equal(field_mask(field), square())
    save(mask, np.zeros((60, 80), np.uint8))
    assert not field_mask(field).any()


def test_a_mask_of_another_size(tmp_path):
    image = save(tmp_path / "a.png", tissue())
    mask = save(tmp_path / "m.png", np.zeros((30, 80), np.uint8))
    with pytest.raises(LabelError) as error:
        field_mask(Field(image, "c", CELL, mask=MaskSource(mask, "image")))
    assert str(error.value) == (f"{mask} has 80 x 30 px, but {image} has 80 x 60 px. Give a mask of the image's size.")


def test_a_marked_copy_gives_what_the_reader_took_its_points_from(tmp_path):
    image = tissue()
    marked = image.copy()
    marked[square()] = (255, 255, 0)
    marked[50:53, 50:53] = (255, 255, 0)  # too small to be a mitotic figure
    save(tmp_path / "x.png", image)
    save(tmp_path / "x_marked.png", marked)
    (field,) = formats.read(tmp_path).fields
    assert field.mask.kind == "marked"
    found = field_mask(field)
    np.testing.assert_array_equal(found, square())
    np.testing.assert_allclose(field.mitoses, [np.argwhere(found).mean(axis=0)[::-1]])


def test_a_list_of_pixels(tmp_path):
    pixels = ",".join(f"{x},{y}" for y, x in np.argwhere(square()))
    image = save(tmp_path / "A00_01.bmp", tissue())
    (tmp_path / "A00_01.csv").write_text(pixels + ",0.9\n")
    (field,) = formats.read(tmp_path).fields
    np.testing.assert_array_equal(field_mask(field), square())
    (tmp_path / "A00_01.csv").write_text("79,59\n200,3\n")
    with pytest.raises(LabelError) as error:
        field_mask(field)
    assert str(error.value) == (
        f"{tmp_path}/A00_01.csv: the pixel x 200, y 3 lies outside the image (80 x 60 px). Check that it belongs to "
        f"{image.name}."
    )


def test_paint_is_no_mitotic_figure_but_known_as_paint(tmp_path):
    image = tissue()
    image[square()] = (255, 255, 0)
    image[40, 40] = (255, 255, 0)
    save(tmp_path / "A00_00.jpg", image)
    (tmp_path / "mitoses.csv").write_text("file,x,y,major_axis_px\nA00_00.jpg,20,15,13\n")
    (field,) = formats.read(tmp_path).fields
    assert not field_mask(field).any() and field_mask(field).shape == (60, 80)
    np.testing.assert_array_equal(painted_mask_of(field, image), square())
    assert not painted_mask_of(replace(field, mask=None), image).any()


def test_without_a_mask_only_complete_fields_without_mitotic_figures_have_one(tmp_path):
    field = Field(save(tmp_path / "a.png", tissue()), "c")
    assert field_mask(field).sum() == 0
    assert field_mask(replace(field, cells=CELL)) is None
    assert field_mask(replace(field, complete=False)) is None
    assert field_mask(replace(field, labelled=False)) is None
