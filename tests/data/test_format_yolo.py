"""YOLO text files."""

import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data import formats


def picture(path, width=200, height=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((height, width, 3), 200, np.uint8)).save(path)
    return path


def text(path, content=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def by_name(dataset):
    return {field.path.name: field for field in dataset.fields}


def test_boxes_beside_the_images(tmp_path):
    for name in ("a.jpg", "b.png", "c.tif"):
        picture(tmp_path / name)
    text(tmp_path / "a.txt", "0 0.5 0.25 0.1 0.2\n1 0.125 1.0 0.1 0.2\n")
    text(tmp_path / "b.txt", "\n")
    text(tmp_path / "README.txt", "Fields of one slide.")
    assert formats.recognise(tmp_path) == "yolo"
    dataset = formats.read(tmp_path)
    fields = by_name(dataset)
    # 0.5 of 200 px and 0.25 of 100 px; a centre on the lower edge is moved onto the last row.
    assert fields["a.jpg"].cells == (Cell(100, 25, MITOTIC_FIGURE), Cell(25, 99, NON_MITOTIC))
    assert fields["b.png"].cells == () and fields["b.png"].complete and fields["b.png"].labelled
    assert not fields["c.tif"].complete and not fields["c.tif"].labelled
    assert dataset.notes == (
        "No classes.txt or data.yaml names the classes: 0 as mitotic_figure, 1 as non_mitotic. If that is wrong, add a "
        "classes.txt with a name a line.",
        "1 images have no text file: unlabelled, not counted as negative.",
    )


@pytest.mark.parametrize(
    ("images", "labels"), [("images", "labels"), ("images/val", "labels/val"), ("t/images", "t/labels")]
)
def test_boxes_in_labels_beside_images(tmp_path, images, labels):
    picture(tmp_path / images / "a.PNG")
    text(tmp_path / labels / "a.txt", "0 0.5 0.5 0.1 0.1")
    text(tmp_path / labels / "gone.txt", "0 0.5 0.5 0.1 0.1")
    dataset = formats.read(tmp_path)
    assert [field.cells for field in dataset.fields] == [(Cell(100, 50, MITOTIC_FIGURE),)]
    assert dataset.notes[-1] == (
        "1 text files of boxes have no image and were left out: their boxes are shares of its size."
    )


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("classes.txt", "hard negative\nAtypical\nmitotic figure\n"),
        ("data.yaml", "nc: 3\nnames: [hard negative, 'atypical', \"mitotic figure\"]  # three\n"),
        ("data.yaml", "names:\n  - hard negative\n  - atypical # rare\n- 'mitotic figure'\nnc: 3\n"),
        ("data.yaml", "train: x\nnames:\n  0: hard negative\n  2: mitotic figure\n  1: atypical\nval: y\n"),
        ("data.yml", "names: {0: hard negative, 1: atypical, 2: mitotic figure}\n"),
        ("dataset.yaml", "names: [hard negative,\n  atypical,\n  mitotic figure]\nnc: 3\n"),
    ],
)
def test_names_of_the_classes(tmp_path, file, content):
    picture(tmp_path / "a.png")
    text(tmp_path / "a.txt", "0 0.1 0.5 0.1 0.1\n1 0.2 0.5 0.1 0.1\n2 0.3 0.5 0.1 0.1\n")
    text(tmp_path / file, content)
    dataset = formats.read(tmp_path)
    assert [cell.label for cell in dataset.fields[0].cells] == [NON_MITOTIC, ATYPICAL, MITOTIC_FIGURE]
    assert dataset.notes == (
        f"Classes were read by {file}: 0 as non_mitotic, 1 as atypical_mitotic_figure, 2 as mitotic_figure.",
    )
    if file != "classes.txt":
        assert formats.read(tmp_path / file) == formats.read(tmp_path).__class__(
            **{**vars(dataset), "source": str(tmp_path / file)}
        )


def test_a_class_of_its_own_and_one_without_name(tmp_path):
    picture(tmp_path / "a.png")
    text(tmp_path / "a.txt", "0 0.1 0.5 0.1 0.1\n")
    text(tmp_path / "classes.txt", "Tumor Cell\n")
    assert formats.read(tmp_path).fields[0].cells[0].label == "tumor_cell"
    text(tmp_path / "a.txt", "4 0.1 0.5 0.1 0.1\n")
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/a.txt: class 4 has no name (there are: 0 Tumor Cell). Add it to the names."
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "0 0.5 1.2 0.1 0.1",
            "y is 1.2, but must be a share of the image between 0 and 1. Divide pixels by the image's ",
        ),
        ("0 -0.1 0.2 0.1 0.1", "x is -0.1, but must be a share"),
        ("0 0.5 0.2 50 0.1", "width is 50, but must be"),
        ("0 0.5 0.2 0.1 0.1 0.9", "has 6 values, not class x y width height. A sixth value is a model's confidence"),
        ("0 0.5 0.2 0.1", "has 4 values, not class x y width height. Export boxes again."),
        ("mitosis 0.5 0.2 0.1 0.1", "the class 'mitosis' is not a whole number"),
        ("0 0.5 b 0.1 0.1", "'b' is not a number"),
        ("0 0.5 nan 0.1 0.1", "nan is not a finite number"),
    ],
)
def test_malformed_lines_name_file_and_line(tmp_path, line, said):
    picture(tmp_path / "a.png")
    file = text(tmp_path / "a.txt", f"0 0.5 0.5 0.1 0.1\n\n{line}\n")
    with pytest.raises(LabelError) as error:
        formats.read(tmp_path)
    assert str(error.value).startswith(f"{file} line 3") and said in str(error.value)


def test_cases(tmp_path):
    names = ["S1_patch_0_1", "S1_patch_7_9", "A03_00Ad", "H03_00Bb", "f1_png.rf.0a1b", "f1_png.rf.9f", "f2"]
    for name in names:
        picture(tmp_path / f"{name}.png")
        text(tmp_path / f"{name}.txt", "0 0.5 0.5 0.1 0.1")
    cases = {field.path.stem: field.case for field in formats.read(tmp_path).fields}
    assert [cases[name] for name in names] == ["S1", "S1", "MITOS14/03", "MITOS14/03", "f1", "f1", "f2"]


def test_only_empty_text_files_need_names(tmp_path):
    picture(tmp_path / "a.png")
    text(tmp_path / "a.txt")
    with pytest.raises(DataError, match="no known label format"):
        formats.recognise(tmp_path)
    text(tmp_path / "classes.txt", "mitotic figure\n")
    assert formats.recognise(tmp_path) == "yolo"
    text(tmp_path / "b.txt", "12 words do not make a box, nor does this")
    assert len(formats.read(tmp_path).fields) == 1


def test_a_box_given_twice_is_kept_once(tmp_path):
    picture(tmp_path / "a.png")
    text(tmp_path / "a.txt", "0 0.5 0.5 0.1 0.1\n0 0.5 0.5 0.1 0.1\n")
    dataset = formats.read(tmp_path)
    assert len(dataset.fields[0].cells) == 1 and dataset.notes[0] == "a.png: 1 point was listed twice, kept once."
