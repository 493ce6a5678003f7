"""The sheet of labelled cells: which are chosen, and what is drawn where."""

import cv2
import numpy as np
import pytest

from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.export import contact_sheet
from mitozoo.export.colours import COLOURS
from mitozoo.export.contact_sheet import choose_cells, draw_sheet, write_sheet

GREEN = (0, 255, 0)


def field(path, *labels, case="", **more):
    return Field(path, case or path.stem, tuple(Cell(100 + 5 * i, 80, label) for i, label in enumerate(labels)), **more)


def save(path, colour=GREEN, width=400, height=300):
    assert cv2.imwrite(str(path), np.full((height, width, 3), colour[::-1], np.uint8))
    return path


def counts(chosen, key):
    names, numbers = np.unique([key(field, cell) for field, cell in chosen], return_counts=True)
    return dict(zip(names.tolist(), numbers.tolist(), strict=True))


def test_classes_share_the_sheet_and_small_ones_leave_their_places(tmp_path):
    one = field(tmp_path / "a.png", *[MITOTIC_FIGURE] * 50, *[NON_MITOTIC] * 50, *[ATYPICAL] * 4)
    assert counts(choose_cells([one]), lambda _, cell: cell.label) == {MITOTIC_FIGURE: 22, NON_MITOTIC: 22, ATYPICAL: 4}
    assert len(choose_cells([one], 500)) == 104
    assert [cell.label for _, cell in choose_cells([one], 3)] == [MITOTIC_FIGURE, ATYPICAL, NON_MITOTIC]


def test_cases_share_the_places_of_a_class(tmp_path):
    fields = [field(tmp_path / f"{n}.png", *[MITOTIC_FIGURE] * n, case=f"case {n}") for n in (1, 30, 100)]
    # The case of one cell gives it; the two others share the rest.
    assert counts(choose_cells(fields, 11), lambda field, _: field.case) == {"case 1": 1, "case 30": 5, "case 100": 5}


def test_the_same_seed_chooses_the_same_cells(tmp_path):
    fields = [field(tmp_path / f"{n}.png", *[MITOTIC_FIGURE] * 40) for n in range(3)]
    assert choose_cells(fields, seed=1) == choose_cells(fields[::-1], seed=1) != choose_cells(fields, seed=2)


def first_tile(sheet):
    """Frame colour and tile of the first crop."""
    left, top = contact_sheet._MARGIN_PX, contact_sheet._HEAD_PX
    inner = contact_sheet._FRAME_PX
    side = contact_sheet._TILE_PX
    tile = sheet.pixels[top + inner : top + inner + side, left + inner : left + inner + side]
    return tuple(sheet.pixels[top + 1, left + 1].tolist()), tile


@pytest.mark.parametrize(("um_per_px", "side_px"), [(0.25, 64), (0.5, 32), (None, 64)])
def test_a_crop_shows_16_um_about_the_cell_in_its_colour(tmp_path, um_per_px, side_px):
    image = save(tmp_path / "a.png")
    pixels = cv2.imread(str(image))
    # A square of half the crop's side about the cell at 100, 80 (pixels 100 - side / 4 ... 99 + side / 4).
    pixels[80 - side_px // 4 : 80 + side_px // 4, 100 - side_px // 4 : 100 + side_px // 4] = (255, 0, 0)
    cv2.imwrite(str(image), pixels)
    sheet = draw_sheet(Dataset("d", (field(image, ATYPICAL, um_per_px=um_per_px),)))
    frame, tile = first_tile(sheet)
    assert frame == COLOURS[ATYPICAL] and sheet.cells == 1 and tile.shape == (160, 160, 3)
    blue = (tile[..., 2] > 128) & (tile[..., 1] < 128)
    rows, columns = np.nonzero(blue)
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (80, 80)
    assert abs(rows.mean() - 79.5) < 3 and abs(columns.mean() - 79.5) < 3


def test_outside_the_image_is_grey(tmp_path):
    image = save(tmp_path / "a.png")
    dataset = Dataset("d", (Field(image, "a", (Cell(0, 150, MITOTIC_FIGURE),)),))
    frame, tile = first_tile(draw_sheet(dataset))
    assert frame == COLOURS[MITOTIC_FIGURE]
    assert tuple(tile[80, 20]) == contact_sheet._OUTSIDE and tuple(tile[80, 140]) == GREEN


def test_a_full_sheet_has_six_rows_of_eight(tmp_path):
    image = save(tmp_path / "a.png")
    sheet = draw_sheet(Dataset("d", (field(image, *[MITOTIC_FIGURE] * 60),)))
    frames = (sheet.pixels == COLOURS[MITOTIC_FIGURE]).all(axis=2).astype(np.uint8)
    boxes = cv2.connectedComponentsWithStats(frames)[2][1:]
    assert sheet.cells == 48
    # Every frame is a ring of one square; the legend has one more.
    assert sorted(set(map(tuple, boxes[:, 2:4].tolist()))) == [(14, 14), (170, 170)] and len(boxes) == 49
    assert len(set(boxes[1:, 0].tolist())) == 8 and len(set(boxes[1:, 1].tolist())) == 6


def test_images_that_cannot_be_read_are_left_out(tmp_path):
    good, damaged = save(tmp_path / "a.png"), save(tmp_path / "b.png")
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    cv2.imwrite(str(damaged), noise)
    content = bytearray(damaged.read_bytes())
    content[1000:1200] = bytes(200)
    damaged.write_bytes(content)
    fields = [field(path, MITOTIC_FIGURE) for path in (good, damaged, tmp_path / "missing.png")]
    sheet = draw_sheet(Dataset("d", tuple(fields)))
    assert sheet.cells == 1 and len(sheet.skipped) == 1 and str(damaged) in sheet.skipped[0]
    assert draw_sheet(Dataset("d", tuple(fields[2:]))) is None
    assert draw_sheet(Dataset("d", (Field(good, "a"),))) is None


def test_own_classes_and_long_names_have_a_place(tmp_path):
    image = save(tmp_path / ("slide_" * 20 + ".png"))
    labels = [f"class_{n}" for n in range(30)]
    sheet = draw_sheet(Dataset("name " * 60, (field(image, *labels, case="case " * 20),)), title="")
    ink = (sheet.pixels != 255).any(axis=2)
    margin = contact_sheet._MARGIN_PX
    assert not ink[:, :margin].any() and not ink[:, -margin:].any()


def test_a_written_sheet_is_the_sheet(tmp_path):
    sheet = draw_sheet(Dataset("d", (field(save(tmp_path / "a.png"), NON_MITOTIC),)))
    write_sheet(sheet, tmp_path / "out" / "sheet.png")
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "out" / "sheet.png"))[..., ::-1], sheet.pixels)
