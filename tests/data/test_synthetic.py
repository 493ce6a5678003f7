import json
import re

import cv2
import numpy as np
import pytest
from scipy import ndimage

from mitozoo.base.errors import DataError, InputError, OutputError
from mitozoo.base.points import ATYPICAL, CLASSES, MITOTIC_CLASSES, NON_MITOTIC, Cell
from mitozoo.data.synthetic import SyntheticField, draw_field, write_sample
from mitozoo.data.synthetic.canvas import Canvas, smooth_noise, step
from mitozoo.data.synthetic.figures import PHASES, bar, paint_mitosis
from mitozoo.data.synthetic.look import draw_look
from mitozoo.data.synthetic.sample import midog_json, png_bytes

SIZE = 512


@pytest.fixture(scope="module")
def fields() -> list[SyntheticField]:
    return [draw_field(SIZE, seed=seed) for seed in range(6)]


def mitoses(field: SyntheticField) -> np.ndarray:
    return np.array([(c.x_px, c.y_px) for c in field.cells if c.label in MITOTIC_CLASSES]).reshape(-1, 2)


def darkness(image: np.ndarray) -> np.ndarray:
    """Optical density of the red channel, which haematoxylin takes and eosin hardly."""
    return -np.log(np.clip(image[..., 0].astype(float), 1, None) / 255)


def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(fields):
    again = draw_field(SIZE, seed=2)
    assert again.image.tobytes() == fields[2].image.tobytes()
    assert again.mask.tobytes() == fields[2].mask.tobytes()
    assert again.cells == fields[2].cells
    assert not np.array_equal(fields[0].image, fields[1].image)


def test_a_field_is_what_it_says(fields):
    wide = draw_field((200, 300), seed=5)
    assert wide.image.shape == (200, 300, 3) and wide.mask.shape == (200, 300)
    for field in fields:
        assert field.image.dtype == np.uint8 and field.mask.dtype == np.uint8
        assert set(np.unique(field.mask)) == {0, 1}
        assert {cell.label for cell in field.cells} <= set(CLASSES)
        assert all(0 <= c.x_px <= SIZE - 1 and 0 <= c.y_px <= SIZE - 1 for c in field.cells)


def test_counts_are_exact_when_asked_for():
    field = draw_field(SIZE, seed=3, mitoses=5, look_alikes=4)
    assert len(mitoses(field)) == 5
    assert sum(cell.label == NON_MITOTIC for cell in field.cells) == 4
    empty = draw_field(SIZE, seed=3, mitoses=0, look_alikes=0)
    assert empty.cells == () and empty.mask.sum() == 0


def test_mask_pixels_are_the_labelled_figures_and_no_others(fields):
    for field in fields:
        rows, columns = np.nonzero(field.mask)
        centres = mitoses(field)
        distance = np.hypot(columns[:, None] - centres[:, 0], rows[:, None] - centres[:, 1])
        owner = distance.argmin(axis=1)
        # No figure reaches further than 12 um = 48 px from its centre, and each has 8 to 80 um2 of chromatin.
        assert distance.min(axis=1).max() < 48
        for number, (x, y) in enumerate(centres):
            own = owner == number
            assert 8 < own.sum() * 0.25**2 < 80
            assert abs(columns[own].mean() - x) < 1e-6 and abs(rows[own].mean() - y) < 1e-6


def test_chromatin_is_far_darker_than_what_is_around_it(fields):
    for field in fields:
        dark = darkness(field.image)
        inner = ndimage.binary_erosion(field.mask, iterations=2)
        around = ndimage.binary_dilation(field.mask, iterations=12) & ~ndimage.binary_dilation(field.mask, iterations=4)
        assert np.median(dark[inner]) > 1.2
        assert np.median(dark[inner]) > 3 * np.median(dark[around])


def test_look_alikes_are_dark_at_their_centre_and_not_in_the_mask(fields):
    for field in fields:
        dark = darkness(field.image)
        for cell in field.cells:
            if cell.label == NON_MITOTIC:
                x, y = round(cell.x_px), round(cell.y_px)
                assert dark[y - 2 : y + 3, x - 2 : x + 3].mean() > 1.5 * np.median(dark)
                assert field.mask[y - 10 : y + 11, x - 10 : x + 11].sum() == 0


def test_mitoses_keep_apart(fields):
    for field in fields:
        centres = mitoses(field)
        gaps = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1)) + 1e9 * np.eye(len(centres))
        # Drawn 26 um = 104 px apart; a label is the middle of the chromatin, which a lopsided figure shifts.
        assert gaps.min() > 80


@pytest.mark.parametrize("um_per_px", [0.1, 0.25, 1.0])
def test_the_smallest_fields_hold_their_figure(um_per_px):
    for seed in range(12):
        field = draw_field(max(64, round(16 / um_per_px)), seed=seed, um_per_px=um_per_px, mitoses=1)
        assert mitoses(field).shape == (1, 2) and np.isfinite(mitoses(field)).all() and field.mask.any()


@pytest.mark.parametrize("um_per_px", [0.25, 0.5])
def test_boxes_lie_inside_the_field(um_per_px):
    for seed in range(6):
        labels = midog_json({"a.png": (300, 300, draw_field(300, seed=seed, um_per_px=um_per_px).cells)})
        boxes = np.array([note["bbox"] for note in labels["annotations"]])
        assert boxes.min() >= 0 and boxes.max() <= 300


def test_half_the_spacing_doubles_a_figure_in_pixels():
    areas = []
    for um_per_px in (0.5, 0.25):
        found = [
            draw_field(round(48 / um_per_px), seed=s, um_per_px=um_per_px, mitoses=1).mask.sum() for s in range(12)
        ]
        areas.append(np.mean(found) * um_per_px**2)
    # The same size in um2 at either spacing, within the spread between the phases.
    assert 0.7 < areas[0] / areas[1] < 1.4


@pytest.mark.parametrize("phase", sorted(PHASES))
def test_every_phase_is_drawn_where_it_is_asked_for(phase):
    canvas = Canvas(160, 160, 0.25, np.random.default_rng(1))
    cell = paint_mitosis(canvas, draw_look(canvas.rng), 80, 80, phase)
    assert np.hypot(cell.x_px - 80, cell.y_px - 80) < 16
    assert (cell.label == ATYPICAL) == (phase in ("tripolar", "lagging", "uneven"))
    pieces, _ = ndimage.label(ndimage.binary_closing(canvas.mask, iterations=2))
    sizes = np.bincount(pieces.ravel())[1:]
    assert (sizes > 60).sum() == 2 if phase == "telophase" else (sizes > 60).sum() >= 1
    assert canvas.haematoxylin[canvas.mask == 1].min() > 1


def test_a_ring_is_pale_in_its_middle_and_labelled_there():
    canvas = Canvas(160, 160, 0.25, np.random.default_rng(4))
    cell = paint_mitosis(canvas, draw_look(canvas.rng), 80, 80, "ring")
    assert np.hypot(cell.x_px - 80, cell.y_px - 80) < 4
    assert canvas.mask[80, 80] == 0


def test_bar_is_a_rounded_rectangle():
    along = np.array([[0.0, 0.0, 5.0, 6.0, 0.0]], np.float32)
    across = np.array([[0.0, 1.0, 0.0, 0.0, 3.0]], np.float32)
    # 10 long and 2 thick: the middle is 1 deep, its side and end lie on the edge.
    np.testing.assert_allclose(bar(along, across, 10, 2), [[-1, 0, 0, 1, 2]], atol=1e-6)


def test_step_is_one_inside_and_half_on_the_edge():
    np.testing.assert_allclose(step(np.array([-50, 0, 50], np.float32), 0.5), [1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize("sigma_px", [1.0, 2.5, 12.0])
def test_smooth_noise_has_mean_0_and_deviation_1(sigma_px):
    noise = smooth_noise(np.random.default_rng(0), 600, 500, sigma_px)
    assert noise.shape == (600, 500)
    assert abs(noise.mean()) < 0.15 and 0.85 < noise.std() < 1.15


def test_too_small_and_too_full_fields_say_so():
    small = "A field of 90×40 px at 0.25 µm per pixel is too small to draw. Ask for at least 64 px a side."
    with pytest.raises(DataError, match=re.escape(small)):
        draw_field((40, 90), seed=0)
    with pytest.raises(DataError, match="Ask for at least 160 px a side."):
        draw_field(100, seed=0, um_per_px=0.1)
    coarse = "At 2 µm per pixel a mitotic figure is too small to draw. Ask for 1 µm per pixel or finer."
    with pytest.raises(DataError, match=re.escape(coarse)):
        draw_field(256, seed=0, um_per_px=2)
    with pytest.raises(DataError, match=r"Only \d+ of 500 mitoses fit into 256×256 px. Ask for fewer, or for a larger"):
        draw_field(256, seed=0, mitoses=500)
    with pytest.raises(InputError, match="not plausible"):
        draw_field(256, seed=0, um_per_px=0)


def test_png_holds_the_spacing_and_the_pixels():
    image = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    code = png_bytes(image, 0.25)
    # 1 m / 0.25 um = 4,000,000 = 0x003d0900, twice, unit 1 = metre; right behind the header.
    assert code[33:50] == bytes.fromhex("00000009") + b"pHYs" + bytes.fromhex("003d0900003d090001")
    decoded = cv2.imdecode(np.frombuffer(code, np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(decoded[..., ::-1], image)
    assert b"pHYs" not in png_bytes(image)


def test_midog_json_by_hand():
    cells = (Cell(100.4, 60.6, "mitotic_figure"), Cell(30, 40, "non_mitotic"), Cell(70, 80, "atypical_mitotic_figure"))
    labels = midog_json({"a.png": (120, 90, cells), "b.png": (120, 90, cells)})
    assert labels["images"][1] == {"id": 2, "file_name": "b.png", "width": 120, "height": 90}
    rows = [(a["id"], a["image_id"], a["category_id"], a["bbox"]) for a in labels["annotations"][:4]]
    assert rows == [
        (1, 1, 1, [75, 36, 125, 86]),
        (2, 1, 2, [5, 15, 55, 65]),
        (3, 1, 1, [45, 55, 95, 105]),
        (4, 2, 1, [75, 36, 125, 86]),
    ]
    assert [category["id"] for category in labels["categories"]] == [1, 2]


def test_a_sample_is_whole_and_its_boxes_sit_on_the_masks(tmp_path):
    paths = write_sample(tmp_path / "s", 2, 256, 7)
    assert [path.name for path in paths] == ["field_0001.png", "field_0002.png"]
    labels = json.loads((tmp_path / "s" / "MIDOG.json").read_text())
    for image in labels["images"]:
        mask = cv2.imread(
            str(tmp_path / "s" / "masks" / image["file_name"].replace(".png", ".mask.png")), cv2.IMREAD_UNCHANGED
        )
        assert mask.shape == (256, 256) and set(np.unique(mask)) == {0, 255}
        for note in labels["annotations"]:
            x1, y1, x2, y2 = note["bbox"]
            assert (x2 - x1, y2 - y1) == (50, 50)
            if note["image_id"] == image["id"] and note["category_id"] == 1:
                assert mask[max(y1, 0) : y2, max(x1, 0) : x2].any()
    assert "do not train on them or quote a number from them" in (tmp_path / "s" / "README.txt").read_text()


def test_existing_files_are_kept_unless_told_otherwise(tmp_path):
    (tmp_path / "field_0002.png").write_text("mine")
    with pytest.raises(OutputError) as caught:
        write_sample(tmp_path, 2, 64, 0)
    first = tmp_path / "field_0002.png"
    assert str(caught.value) == f"Already there: {first}. Choose another folder, or replace with --overwrite."
    assert first.read_text() == "mine" and len(list(tmp_path.iterdir())) == 1
    write_sample(tmp_path, 2, 64, 0, overwrite=True)
    assert first.read_bytes().startswith(b"\x89PNG")


def test_samples_of_neighbouring_seeds_share_no_field(tmp_path):
    images = {path.read_bytes() for seed in (0, 1) for path in write_sample(tmp_path / str(seed), 3, 64, seed)}
    assert len(images) == 6
