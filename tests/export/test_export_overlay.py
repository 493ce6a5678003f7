"""Overlays: colours counted on the ring, labels inside the picture, sizes."""

import dataclasses

import cv2
import numpy as np
import pytest

from mitozoo.base.points import ATYPICAL, Detection
from mitozoo.evaluation.hotspot import Hotspot
from mitozoo.export import overlay as module
from mitozoo.export.overlay import draw_overlay, encode_overlay, overlay_suffix
from mitozoo.export.pictures import crop, crop_side_px, thumbnail
from mitozoo.export.summary import summarise

RED, AZURE = (255, 0, 0), (0, 150, 255)


def grey(width, height):
    return np.full((height, width, 3), 128, dtype=np.uint8)


def test_a_ring_of_9_um_in_the_colour_of_its_kind(result):
    alone = dataclasses.replace(
        result,
        width_px=1000,
        height_px=1000,
        detections=(Detection(300.0, 500.0, 0.9), Detection(700.0, 500.0, 0.8, ATYPICAL)),
    )
    picture = draw_overlay(grey(1000, 1000), alone, None, labels=False)
    assert picture.shape == (1000, 1000, 3)
    # 9 um are 36 px.
    for x, colour in ((300, RED), (700, AZURE)):
        ring = [(x + 36, 500), (x - 36, 500), (x, 464), (x, 536)]
        assert [tuple(picture[row, column]) for column, row in ring] == [colour] * 4
        assert tuple(picture[500, x]) == (128, 128, 128)


def test_the_image_itself_stays_as_it_is(field, result):
    before = field.copy()
    draw_overlay(field, result, summarise(result).hotspot)
    assert (field == before).all()


def test_the_hotspot_is_drawn_where_it_lies_and_not_where_it_is_empty(result):
    none = dataclasses.replace(result, width_px=1000, height_px=1000, detections=())
    window = Hotspot(499.5, 399.5, 400, 200, 0.005, 3)
    picture = draw_overlay(grey(1000, 1000), none, window, labels=False)
    # Left border 499.5 - 200 = 299.5, that is, the edge of pixel 300.
    assert tuple(picture[400, 300]) == (20, 20, 20)
    assert tuple(picture[400, 500]) == (128, 128, 128)
    blank = draw_overlay(grey(1000, 1000), none, dataclasses.replace(window, count=0))
    assert (blank == 128).all()


@pytest.mark.parametrize("size", [(64, 64), (128, 100), (640, 480), (3000, 200)])
def test_labels_lie_inside_the_picture_and_off_each_other(monkeypatch, result, size):
    width, height = size
    corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1), (width / 2, height / 2)]
    found = tuple(Detection(float(x), float(y), 0.9, ATYPICAL) for x, y in corners)
    boxes = []
    write = module._write

    def noted(picture, text, box, colour, pen):
        boxes.append((picture.shape, text, box))
        write(picture, text, box, colour, pen)

    monkeypatch.setattr(module, "_write", noted)
    case = dataclasses.replace(result, width_px=width, height_px=height, detections=found)
    draw_overlay(grey(width, height), case, summarise(case).hotspot)
    assert boxes
    for shape, _, (left, top, right, bottom) in boxes:
        assert 0 <= left < right <= shape[1] and 0 <= top < bottom <= shape[0]
    for index, (_, _, one) in enumerate(boxes):
        for _, _, other in boxes[:index]:
            assert one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]
    if width == 640:
        assert [text for _, text, _ in boxes].count("0.90 atypical") == 5


def test_text_stays_inside_its_plate(result):
    alone = dataclasses.replace(result, detections=(Detection(320.0, 240.0, 0.88, ATYPICAL),))
    picture = draw_overlay(grey(640, 480), alone, None)
    changed = np.argwhere((picture != 128).any(axis=2))
    dark = np.argwhere((picture < 60).all(axis=2))
    assert len(dark) > 50
    assert (dark.min(axis=0) > changed.min(axis=0)).all() and (dark.max(axis=0) < changed.max(axis=0)).all()


def test_a_small_image_is_enlarged_and_a_large_one_becomes_a_smaller_jpeg(monkeypatch, result):
    small = dataclasses.replace(result, width_px=100, height_px=128, detections=(Detection(50.0, 60.0, 0.9),))
    # ceil(512 / 100) = 6.
    assert draw_overlay(grey(100, 128), small, None).shape == (768, 600, 3)
    assert overlay_suffix(small) == ".overlay.png"
    monkeypatch.setattr(module, "MAX_PNG_PX", 250_000)
    content = encode_overlay(grey(640, 480), result, None)
    assert overlay_suffix(result) == ".overlay.jpg"
    assert content[:3] == b"\xff\xd8\xff"
    limited = draw_overlay(grey(4000, 1000), dataclasses.replace(result, width_px=4000), None, max_px=1_000_000)
    assert limited.shape == (500, 2000, 3)


def test_a_smaller_copy_of_a_slide_carries_its_rings_in_the_right_place(result):
    slide = dataclasses.replace(
        result, width_px=64_000, height_px=48_000, detections=(Detection(32_000.0, 24_000.0, 0.9),)
    )
    picture = draw_overlay(grey(640, 480), slide, None, labels=False, min_side_px=1)
    rows, columns = np.nonzero((picture == RED).all(axis=2))
    assert (columns.mean(), rows.mean()) == (pytest.approx(320, abs=1), pytest.approx(240, abs=1))


def test_overlay_is_png_in_the_order_of_colours_given(result):
    image = grey(640, 480)
    image[:] = (200, 10, 60)
    back = cv2.imdecode(np.frombuffer(encode_overlay(image, result, None), np.uint8), cv2.IMREAD_COLOR)
    # OpenCV reads blue, green, red.
    assert tuple(back[470, 10]) == (60, 10, 200)


def test_crop_keeps_the_centre_and_pads_with_white():
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    image[4, 7] = 99
    inside = crop(image, 7.0, 4.0, 5)
    assert inside.shape == (5, 5, 3)
    assert tuple(inside[2, 2]) == (99, 99, 99)
    edge = crop(image, 0.0, 0.0, 5)
    # Two rows and columns lie outside.
    assert (edge[:2] == 255).all() and (edge[:, :2] == 255).all() and (edge[2:, 2:] == 0).all()
    assert (crop(image, 500.0, 500.0, 5) == 255).all()


def test_crops_show_24_um_in_96_px(field):
    assert (crop_side_px(0.25), crop_side_px(0.5), crop_side_px(None)) == (96, 48, 96)
    back = cv2.imdecode(np.frombuffer(thumbnail(crop(field, 100, 100, 48)), np.uint8), cv2.IMREAD_COLOR)
    assert back.shape == (96, 96, 3)
