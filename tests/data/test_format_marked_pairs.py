"""Pairs of marked and unmarked copies, and the masks that they give."""

import cv2
import numpy as np
import pytest

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import MITOTIC_FIGURE
from mitozoo.data import formats
from mitozoo.data.masks import centres, mask_from_pair

YELLOW = (255, 255, 0)


def tissue(height=120, width=160, seed=0):
    """Noise of pink and violet, uint8 RGB."""
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    return np.clip(np.array([190, 140, 180]) + cv2.GaussianBlur(noise, (0, 0), 1.5) * 3, 0, 255).astype(np.uint8)


def save(path, rgb, *settings):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1], list(settings))
    return path


def painted(image, *squares):
    """Paint squares (left, top, side) yellow."""
    copy = image.copy()
    for left, top, side in squares:
        copy[top : top + side, left : left + side] = YELLOW
    return copy


def xy(field):
    return [(cell.x_px, cell.y_px) for cell in field.cells]


def test_a_mask_is_where_the_difference_exceeds_the_threshold():
    image = np.full((20, 30, 3), 100, np.uint8)
    marked = image.copy()
    marked[5:10, 5:15, 1] = 160  # differs by 60 in one channel
    marked[12:18, 20:26, 2] = 39  # by 61
    expected = np.zeros((20, 30), bool)
    expected[12:18, 20:26] = True
    np.testing.assert_array_equal(mask_from_pair(marked, image, threshold=60, closing_px=0), expected)
    expected[5:10, 5:15] = True
    np.testing.assert_array_equal(mask_from_pair(marked, image, threshold=59, closing_px=0), expected)


def test_closing_joins_what_a_gap_divides():
    image = np.zeros((30, 40, 3), np.uint8)
    marked = painted(image, (10, 10, 9))
    marked[:, 14] = 0  # a gap of one pixel
    assert len(centres(mask_from_pair(marked, image, closing_px=0), 1)) == 2
    np.testing.assert_allclose(centres(mask_from_pair(marked, image, closing_px=5), 1), [[14, 14]], atol=0.1)


def test_outlines_are_filled_and_their_centre_is_inside():
    image = tissue()
    marked = image.copy()
    cv2.circle(marked, (50, 60), 20, (0, 255, 0), 2)
    mask = mask_from_pair(marked, image)
    assert mask[60, 50] and abs(mask.sum() - np.pi * 21**2) < 60
    np.testing.assert_allclose(centres(mask), [[50, 60]], atol=0.3)


def test_centres_by_hand():
    mask = np.zeros((12, 12), bool)
    mask[1, 1:4] = True  # x 2, y 1
    mask[6:8, 6:8] = True  # with the next, at a corner: x (6+6+7+7+8)/5, y (6+6+7+7+8)/5
    mask[8, 8] = True
    mask[11, 0] = True
    np.testing.assert_allclose(centres(mask, 2), [[2, 1], [6.8, 6.8]])
    np.testing.assert_allclose(centres(mask, 1), [[2, 1], [6.8, 6.8], [0, 11]])
    assert centres(np.zeros((5, 5), bool), 1).shape == (0, 2)


def test_copies_of_two_sizes():
    with pytest.raises(DataError) as error:
        mask_from_pair(np.zeros((4, 5, 3), np.uint8), np.zeros((4, 6, 3), np.uint8))
    assert str(error.value) == (
        "The marked and the unmarked image have 5 x 4 px and 6 x 4 px. Give copies of one image."
    )


@pytest.mark.parametrize("folders", [("marked", "unmarked"), ("Annotated", "Original"), ("painted", "raw")])
def test_two_folders(tmp_path, folders):
    image = tissue()
    for name, squares in (("a", [(20, 30, 11), (100, 80, 21)]), ("b", [])):
        save(tmp_path / folders[0] / f"{name}.png", painted(image, *squares))
        save(tmp_path / folders[1] / f"{name}.bmp", image)
    assert formats.recognise(tmp_path) == "marked_pairs"
    dataset = formats.read(tmp_path)
    assert [field.path for field in dataset.fields] == [tmp_path / folders[1] / f"{name}.bmp" for name in "ab"]
    np.testing.assert_allclose(xy(dataset.fields[0]), [(25, 35), (110, 90)], atol=0.1)
    assert dataset.count(MITOTIC_FIGURE) == 2
    assert dataset.cases == ["a", "b"] and all(field.complete and field.labelled for field in dataset.fields)
    assert dataset.notes[0] == "1 pairs show no mark, so no mitotic figure: b.bmp."


def test_two_suffixes_in_sub_folders(tmp_path):
    image = tissue()
    save(tmp_path / "A00_01.png", image)
    save(tmp_path / "A00_01_marked.png", painted(image, (20, 30, 11)))
    save(tmp_path / "H00_01.png", image)
    save(tmp_path / "H00_01_marked.png", painted(image, (50, 30, 11)))
    save(tmp_path / "dog 1" / "x.png", image)
    save(tmp_path / "dog 1" / "x_marked.jpg", painted(image, (20, 30, 11)))
    assert formats.recognise(tmp_path) == "marked_pairs"
    dataset = formats.read(tmp_path)
    assert [(field.path.name, field.case, len(field.cells)) for field in dataset.fields] == [
        ("A00_01.png", "ICPR12/00", 1), ("H00_01.png", "ICPR12/00", 1), ("x.png", "dog 1", 1),
    ]  # fmt: skip


@pytest.mark.parametrize("quality", [95, 75, 50])
def test_jpeg_noise_makes_no_specks(tmp_path, quality):
    image = tissue(400, 400)
    image[100:112, 200:216] = (40, 20, 80)  # dark nuclei have hard edges
    image[300:310, 50:62] = (30, 10, 60)
    marked = painted(image, (196, 98, 18))
    save(tmp_path / "original" / "a.bmp", image)
    save(tmp_path / "marked" / "a.jpg", marked, cv2.IMWRITE_JPEG_QUALITY, quality)
    field = formats.read(tmp_path).fields[0]
    np.testing.assert_allclose(xy(field), [(204.5, 106.5)], atol=0.6)


def test_errors_name_the_pair(tmp_path):
    image = tissue()
    for folder in ("marked", "unmarked"):
        save(tmp_path / folder / "a.png", image)
    lone = save(tmp_path / "marked" / "b.png", image)
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert str(error.value) == f"{lone} has no unmarked copy. Add the copy or remove the image."
    lone.rename(tmp_path / "unmarked" / "b.png")
    save(tmp_path / "unmarked" / "c.png", image)
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/unmarked/b.png has no marked copy (and 1 more like it). Add the copy or remove the image."
    )
    save(tmp_path / "marked" / "c.png", image)
    save(tmp_path / "marked" / "b.png", image[:, :100])
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/marked/b.png has 100 x 120 px, but {tmp_path}/unmarked/b.png has 160 x 120 px. "
        "Give copies of one image at one size."
    )


def test_another_image_is_no_copy(tmp_path):
    save(tmp_path / "a.png", tissue())
    save(tmp_path / "a_marked.png", 255 - tissue())
    with pytest.raises(LabelError, match="differ in 100% of their pixels: they are not copies of one image"):
        formats.read(tmp_path)


def test_what_is_no_set_of_pairs(tmp_path):
    save(tmp_path / "a_marked.png", tissue())
    save(tmp_path / "b.png", tissue())
    with pytest.raises(DataError, match="no known label format"):
        formats.recognise(tmp_path)


def test_two_copies_of_one_kind(tmp_path):
    for name in ("unmarked/a.png", "unmarked/a.bmp", "marked/a.png"):
        save(tmp_path / name, tissue())
    with pytest.raises(LabelError, match="are copies of the same kind. Remove one of the two."):
        formats.read(tmp_path)
    save(tmp_path / "original" / "a.png", tissue())
    with pytest.raises(LabelError, match="holds original/ and unmarked/. Which is meant"):
        formats.read(tmp_path, "marked_pairs")
