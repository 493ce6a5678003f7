"""Drawn whole slides, read back with OpenSlide."""

import json
import re

import cv2
import numpy as np
import openslide
import pytest

from mitozoo.base.errors import DataError, InputError, OutputError
from mitozoo.data.slides import Box
from mitozoo.data.synthetic import SyntheticSlide, write_slide
from mitozoo.data.synthetic.marks import INKS
from mitozoo.data.tissue_map import tissue_of

WIDTH, HEIGHT = 3000, 2000
SMALL = {"width_px": 1000, "height_px": 1000, "look_alikes": 0}
MORE = {"width_px": WIDTH, "height_px": HEIGHT, "seed": 3, "tissue_mm2": 0.09, "mitoses": 12, "look_alikes": 6}


@pytest.fixture(scope="module")
def lossless(tmp_path_factory):
    """A slide whose file keeps every pixel: its folder, and all its pixels."""
    folder = tmp_path_factory.mktemp("slide")
    path = write_slide(folder, **MORE, seams=True, compression="deflate")
    with openslide.OpenSlide(str(path)) as slide:
        return folder, np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]


def centres(folder, category):
    labels = json.loads((folder / "MIDOG.json").read_text())
    assert [(i["file_name"], i["width"], i["height"]) for i in labels["images"]] == [("slide_0001.tif", WIDTH, HEIGHT)]
    boxes = np.array([note["bbox"] for note in labels["annotations"] if note["category_id"] == category])
    assert boxes.min() >= 0 and (boxes.max(axis=0) <= (WIDTH, HEIGHT) * 2).all()
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def darkness(image):
    """Optical density of the red channel, which haematoxylin takes and eosin hardly."""
    return -np.log(np.clip(image[..., 0].astype(float), 1, None) / 255)


def mask_of(image, um_per_px):
    """Tissue of a picture: between glass and ink, by colour alone."""
    red, green, blue = (cv2.GaussianBlur(image, (0, 0), 6)[..., k].astype(int) for k in range(3))
    return (red - green > 15) & (blue - green > 5) & (red > 90)


def test_the_file_is_a_slide_with_its_spacing(lossless):
    path = lossless[0] / "slide_0001.tif"
    assert openslide.OpenSlide.detect_format(str(path)) == "generic-tiff"
    with openslide.OpenSlide(str(path)) as slide:
        assert slide.level_dimensions == ((3000, 2000), (750, 500), (188, 125))
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.25)
    assert sorted(item.name for item in lossless[0].iterdir()) == ["MIDOG.json", "README.txt", "slide_0001.tif"]
    assert "do not train on it or quote a number from it" in (lossless[0] / "README.txt").read_text()


def test_a_part_is_the_same_in_whatever_order_it_is_asked_for(lossless):
    slide = SyntheticSlide(**MORE, seams=True)
    drawn = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    # From the lower right, in boxes that are not the file's tiles.
    for top in range(1750, -1, -250):
        for left in range(2700, -1, -300):
            part = slide.read(Box(left, top, 300, 250))
            drawn[top : top + 250, left : left + 300] = slide.glass if part is None else part
    np.testing.assert_array_equal(drawn, lossless[1])


def test_chromatin_is_where_the_labels_are(lossless):
    folder, image = lossless
    dark = darkness(image)
    figures = centres(folder, 1)
    assert len(figures) == 12 and len(centres(folder, 2)) == 6
    for x, y in figures.astype(int):
        near = dark[y - 28 : y + 29, x - 28 : x + 29]
        # At least 8 um2 = 128 px of chromatin, which is black; nuclei between mitoses hardly reach a density of 1.2.
        assert (near > 1.2).sum() > 100
        rows, columns = np.nonzero(near > 1.3)
        assert np.hypot(columns.mean() - 28, rows.mean() - 28) < 8
    for x, y in centres(folder, 2).astype(int):
        assert dark[y - 6 : y + 7, x - 6 : x + 7].mean() > 0.6
    apart = np.hypot(*(figures[:, None] - figures[None]).transpose(2, 0, 1)) + 1e9 * np.eye(12)
    assert apart.min() > 80


def test_half_of_the_mitoses_lie_across_seams(lossless):
    folder, image = lossless
    assert SyntheticSlide(**MORE, seams=True).on_seams == 6
    figures = centres(folder, 1)
    seams = np.rint((figures + 0.5) / 1024) * 1024 - 0.5
    off = np.abs(figures - seams)
    assert (off.min(axis=1) < 8).sum() >= 6
    dark = darkness(image) > 1.2
    for (x, y), seam, (dx, dy) in zip(figures.astype(int), seams, off, strict=True):
        near = dark[y - 28 : y + 29, x - 28 : x + 29]
        if dx < 8 and dx < dy:
            cut = int(seam[0] + 0.5) - (x - 28)
            assert near[:, :cut].sum() > 20 and near[:, cut:].sum() > 20
        elif dy < 8:
            cut = int(seam[1] + 0.5) - (y - 28)
            assert near[:cut].sum() > 20 and near[cut:].sum() > 20


def test_corners_of_tiles_have_mitoses_where_there_is_tissue():
    slide = SyntheticSlide(9000, 9000, seed=1, tissue_mm2=1.5, mitoses=90, look_alikes=0, seams=True)
    places = np.concatenate([part.mitoses for part in slide._parts])
    sewn = (places + 0.5) % 1024 == 0
    assert sewn.all(axis=1).sum() >= 3
    assert (sewn[:, 0] & ~sewn[:, 1]).sum() >= 10 and (sewn[:, 1] & ~sewn[:, 0]).sum() >= 10
    assert sewn.any(axis=1).sum() == slide.on_seams == 45


def test_there_is_as_much_tissue_as_asked_for(lossless):
    slide = SyntheticSlide(**MORE)
    assert slide.tissue_mm2 == pytest.approx(0.09, rel=0.01)
    # Holes and gaps in the tissue are less than a tenth of it.
    assert mask_of(lossless[1], 0.25).sum() * 0.0625e-6 == pytest.approx(0.09, rel=0.12)


def test_marks_are_there_away_from_tissue_and_are_not_taken_for_it(lossless):
    image = lossless[1]
    tissue = mask_of(image, 0.25)
    widened = cv2.dilate(tissue.astype(np.uint8), np.ones((61, 61), np.uint8)).astype(bool)
    with_marks = (image.astype(int) - SyntheticSlide(**MORE).glass).min(axis=-1) < -60
    assert (with_marks & ~widened).sum() > 20_000
    for colour in INKS.values():
        ink = (np.abs(image.astype(int) - colour) < 30).all(axis=-1)
        # A stroke of 0.1 mm or so, 20 um wide.
        assert (ink & ~widened).sum() > 5_000
    small = cv2.resize(image, (WIDTH // 16, HEIGHT // 16), interpolation=cv2.INTER_AREA)
    found = cv2.resize(tissue_of(small, 4.0).astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
    assert found[with_marks & ~widened].mean() < 0.01
    assert found[tissue].mean() > 0.95


def test_glass_is_clean_and_of_one_colour(lossless):
    glass = np.array(SyntheticSlide(**MORE).glass)
    empty = (lossless[1] == glass).all(axis=-1)
    assert empty.mean() > 0.6
    bare = SyntheticSlide(20_000, 20_000, seed=0, tissue_mm2=0, marks=False)
    assert bare.read(Box(0, 0, 20_000, 20_000)) is None and bare.cells == []


def test_the_same_seed_writes_the_same_bytes_and_jpeg_is_near(lossless, tmp_path):
    first, second = (write_slide(tmp_path / name, **MORE, seams=True) for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "a" / "MIDOG.json").read_bytes() == (lossless[0] / "MIDOG.json").read_bytes()
    with openslide.OpenSlide(str(first)) as slide:
        pixels = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3].astype(int)
    assert np.abs(pixels - lossless[1]).mean() < 2
    assert first.stat().st_size < (lossless[0] / "slide_0001.tif").stat().st_size / 3


def test_another_seed_draws_another_slide():
    one, other = (SyntheticSlide(**{**MORE, "seed": seed}) for seed in (3, 4))
    assert {part.box for part in one._parts}.isdisjoint(part.box for part in other._parts)


def test_a_coarser_slide_has_the_same_sizes_in_um(tmp_path):
    path = write_slide(tmp_path, width_px=1500, height_px=1000, um_per_px=0.5, seed=2, mitoses=4, tissue_mm2=0.05)
    with openslide.OpenSlide(str(path)) as slide:
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        image = np.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]
    notes = json.loads((tmp_path / "MIDOG.json").read_text())["annotations"]
    boxes = [note["bbox"] for note in notes if note["category_id"] == 1]
    assert len(boxes) == 4
    for x1, y1, x2, y2 in boxes:
        assert 8 < (darkness(image[y1:y2, x1:x2]) > 1.2).sum() * 0.25 < 120


@pytest.mark.parametrize(
    ("more", "error", "text"),
    [
        ({"tissue_mm2": 0.5}, DataError, r"Only 0\.\d+ of 0\.5 mm² of tissue fit into 3000×2000 px at 0.25 µm"),
        ({"mitoses": 900}, DataError, r"Only \d+ of 900 mitoses fit into the tissue of the slide. Ask for fewer, or"),
        ({"mitoses": 1, "tissue_mm2": 0}, DataError, "Only 0 of 1 mitoses fit into the tissue"),
        ({**SMALL, "tissue_mm2": 0.01, "mitoses": 1, "seams": True}, DataError, "No multiple of 1024 px runs through"),
        ({"width_px": 700}, DataError, "A slide of 700×2000 px at 0.25 µm per pixel is too small to draw. Ask for"),
        ({"um_per_px": 2.0}, DataError, "At 2 µm per pixel a mitotic figure is too small to draw."),
        ({"um_per_px": 0.0}, InputError, "not plausible"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_says_so_and_writes_nothing(tmp_path, more, error, text):
    with pytest.raises(error, match=text):
        write_slide(tmp_path / "s", **{**MORE, **more})
    assert not (tmp_path / "s").exists()


def test_what_is_there_is_kept_unless_told_otherwise(tmp_path):
    (tmp_path / "MIDOG.json").write_text("mine")
    small = {**SMALL, "tissue_mm2": 0, "mitoses": 0}
    with pytest.raises(OutputError, match=re.escape("MIDOG.json. Choose another folder, or replace with --overwrite.")):
        write_slide(tmp_path, **small)
    assert [path.name for path in tmp_path.iterdir()] == ["MIDOG.json"]
    write_slide(tmp_path, **small, overwrite=True)
    assert json.loads((tmp_path / "MIDOG.json").read_text())["annotations"] == []
