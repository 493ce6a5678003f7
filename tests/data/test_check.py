"""What a data set holds, counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import InputError, LabelError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data.check import DomainCounts, check
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.set_aside import read_setting_aside


def picture(path, um_per_px=None, width=60, height=50):
    path.parent.mkdir(parents=True, exist_ok=True)
    dots = {"dpi": (25400 / um_per_px,) * 2} if um_per_px else {}
    PillowImage.fromarray(np.full((height, width, 3), 200, np.uint8)).save(path, **dots)
    return path


def cut(path):
    """Cut an image off in the middle of its header."""
    path.write_bytes(path.read_bytes()[:20])
    return path


def cells(*labels):
    return tuple(Cell(20.0 * i, 0, label) for i, label in enumerate(labels))


def test_everything_is_counted(tmp_path):
    a, b = picture(tmp_path / "a.png", 0.25), picture(tmp_path / "b.png")
    fields = (
        Field(a, "one", cells(MITOTIC_FIGURE, ATYPICAL, NON_MITOTIC, "tumour_cell"), domain="Leica"),
        Field(b, "one", cells(NON_MITOTIC, NON_MITOTIC), um_per_px=0.23, domain="Leica"),
        Field(picture(tmp_path / "c.png"), "two", (), domain="Aperio", excluded=((1, 2, 3), (4, 5, 6))),
        Field(tmp_path / "d.png", "three", cells(MITOTIC_FIGURE), complete=False, domain="Leica"),
        Field(cut(picture(tmp_path / "e.png")), "four", (), labelled=False, complete=False),
    )
    told = []
    dataset = Dataset("d", fields, licence="MIT", source="me", notes=("a note",))
    found = check(dataset, "midog", tell=lambda done, note: told.append((done, note)))
    assert (found.name, found.format, found.licence, found.source, found.notes) == (
        "d",
        "midog",
        "MIT",
        "me",
        ("a note",),
    )
    assert (found.images, found.cases, found.unlabelled, found.patches, found.excluded) == (5, 4, 1, 1, 2)
    assert (found.mitotic_figures, found.atypical, found.look_alikes) == (3, 1, 3)
    assert found.other_classes == {"tumour_cell": 1}
    assert (found.without_mitotic_figure, found.empty) == (2, 1)
    assert found.missing == (str(tmp_path / "d.png"),)
    assert list(found.damaged) == [str(tmp_path / "e.png")]
    assert found.damaged[str(tmp_path / "e.png")].startswith(f"{tmp_path / 'e.png'} is cut off within its header")
    assert found.spacing_known == 2 and found.um_per_px == pytest.approx((0.23, 0.25), abs=1e-3)
    assert found.domains == (
        DomainCounts("Leica", 2, 3, 3, 3), DomainCounts("", 1, 1, 0, 0), DomainCounts("Aperio", 1, 1, 0, 0),
    )  # fmt: skip
    assert found.warnings == ()
    assert told == [(1, "a.png"), (2, "b.png"), (3, "c.png"), (4, "d.png"), (5, "e.png")]
    assert json.loads(json.dumps(found.as_dict()))["domains"][0]["mitotic_figures"] == 3


def test_sets_that_do_not_tell():
    found = check(Dataset("d", (Field(Path("x.png"), "a", cells(MITOTIC_FIGURE)),)), "midog")
    assert found.atypical is None and found.um_per_px is None and found.spacing_known == 0


def test_an_image_whose_end_is_missing_is_damaged(tmp_path):
    image = picture(tmp_path / "a.png")
    image.write_bytes(image.read_bytes()[:-12])
    found = check(Dataset("d", (Field(image, "a"), Field(tmp_path / "b.png", "b", cells(MITOTIC_FIGURE)))), "midog")
    assert list(found.damaged.values()) == [f"{image} is cut off: its end is missing. Copy or download it again."]


def test_warnings(tmp_path):
    twice = picture(tmp_path / "a.png", 0.5)
    near = (Cell(0, 0, MITOTIC_FIGURE), Cell(3, 0, NON_MITOTIC), Cell(3, 5, MITOTIC_FIGURE))  # 0.5 µm per pixel
    fields = (Field(twice, "one", near, um_per_px=0.5), Field(twice, "one", um_per_px=0.25))
    assert check(Dataset("d", fields), "midog").warnings == (
        "All images are of one case: it cannot be divided into training and test.",
        "1 image is in the set more than once: a.png.",
        "1 image is of another spacing by the file than by the data set: a.png.",
        "1 of the images have 0.5 µm per pixel or more, so are not 40x scans.",
        "1 pairs of labels lie within 2 µm of each other. Is one cell labelled twice? 1 image is concerned: a.png.",
    )
    assert check(Dataset("d", (Field(twice, "a"), Field(tmp_path / "b", "b"))), "midog").warnings[0] == (
        "No mitotic figure is labelled: nothing can be trained or measured on this set alone."
    )


def frames(folder):
    """Three frames; the second is damaged and the third has no row."""
    for name in ("A01_00Aa.png", "A02_00Aa.png", "A03_00Aa.png"):
        picture(folder / name)
    cut(folder / "A02_00Aa.png")
    rows = "A01_00Aa.png,5,6,mitosis\nA02_00Aa.png,5000,6,mitosis\n"
    (folder / "labels.csv").write_text(f"image,x,y,label\n{rows}", encoding="utf-8")
    return folder


def test_labels_are_read_although_an_image_is_damaged(tmp_path):
    folder = frames(tmp_path / "set")
    dataset, name = read_setting_aside(folder)
    assert name == "mitos14_frames"
    assert [(field.path, len(field.cells), field.labelled) for field in dataset.fields] == [
        (folder / "A01_00Aa.png", 1, True), (folder / "A02_00Aa.png", 1, True), (folder / "A03_00Aa.png", 0, False),
    ]  # fmt: skip
    found = check(dataset, name)
    assert list(found.damaged) == [str(folder / "A02_00Aa.png")] and found.missing == ()
    assert (found.images, found.mitotic_figures) == (3, 2)


def test_a_damaged_image_of_a_stated_size_is_left_out(tmp_path):
    table = tmp_path / "set" / "points.csv"
    for name in ("a.png", "b.png"):
        picture(table.parent / name)
    cut(table.parent / "b.png")
    table.write_text(
        "image,x_px,y_px,label,width_px,height_px\na.png,5,6,mitosis,60,50\nb.png,7,8,mitosis,60,50\n", encoding="utf-8"
    )
    dataset, name = read_setting_aside(table)
    assert [field.path for field in dataset.fields] == [table.parent / "a.png", table.parent / "b.png"]
    found = check(dataset, name)
    assert (found.mitotic_figures, list(found.damaged)) == (2, [str(table.parent / "b.png")])
    assert str(found.source) == str(table)


def test_other_errors_stay(tmp_path):
    folder = frames(tmp_path / "set")
    (folder / "labels.csv").write_text("image,x,y,label\nA01_00Aa.png,5000,6,mitosis\n", encoding="utf-8")
    picture(folder / "A02_00Aa.png")
    with pytest.raises(LabelError, match="lies outside the image"):
        read_setting_aside(folder)
    cut(folder / "A02_00Aa.png")
    with pytest.raises((InputError, LabelError)):
        read_setting_aside(folder)
