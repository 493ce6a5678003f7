import sqlite3

import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data import formats
from mitozoo.data.formats import sliderunner


def picture(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((height, width, 3), 200, np.uint8)).save(path)
    return path


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8", newline="")
    return path


def by_name(dataset):
    return {field.path.name: field for field in dataset.fields}


def test_icpr12_centre_is_the_mean_of_the_pixels(tmp_path):
    for name in ("A00_00.bmp", "A00_01.bmp", "H00_00.bmp", "A00_00.jpg"):
        picture(tmp_path / name)
    # Three pixels: mean x (4 + 5 + 9) / 3 = 6, mean y (7 + 7 + 10) / 3 = 8; the second line ends in a confidence.
    text(tmp_path / "A00_00.csv", "\ufeff4,7,5,7,9,10\r\n20,21,22,23,0.8\r\n")
    text(tmp_path / "A00_01.csv", "")
    text(tmp_path / "A01_05.csv", "1,2\n")
    dataset = formats.read(tmp_path)
    fields = by_name(dataset)
    assert formats.recognise(tmp_path) == "icpr12"
    assert fields["A00_00.bmp"].cells == (Cell(6.0, 8.0, MITOTIC_FIGURE), Cell(21.0, 22.0, MITOTIC_FIGURE))
    assert fields["A00_01.bmp"].labelled and fields["A00_01.bmp"].complete and not fields["A00_01.bmp"].cells
    assert not fields["H00_00.bmp"].labelled and not fields["H00_00.bmp"].complete
    assert (fields["A00_00.bmp"].um_per_px, fields["H00_00.bmp"].um_per_px) == (0.2456, 0.2273)
    assert fields["A00_00.bmp"].case == fields["H00_00.bmp"].case == "ICPR12/00"
    assert "A00_00.jpg" not in fields
    assert dataset.notes == (
        "1 of 4 images are not there: only their labels were read.",
        "1 fields have no CSV: unlabelled, not counted as negative.",
    )


def test_icpr12_never_takes_the_painted_copy_for_the_image_but_its_size(tmp_path):
    picture(tmp_path / "A00_00.jpg")
    text(tmp_path / "A00_00.csv", "4,7\n")
    assert formats.read(tmp_path).fields[0].path == tmp_path / "A00_00.bmp"
    text(tmp_path / "A00_00.csv", "40,7\n")
    with pytest.raises(LabelError, match=r"A00_00.bmp: the mitotic_figure at x 40, y 7 lies outside the image"):
        formats.read(tmp_path)
    text(tmp_path / "A00_00.csv", "4,7\n5\n")
    with pytest.raises(LabelError, match=r"A00_00.csv line 2 has one number; x,y,x,y,… of the pixels were expected"):
        formats.read(tmp_path)


def test_mitos_atypia14_in_the_layout_of_its_archives(tmp_path):
    for name in ("A03_00Aa", "A03_00Ab", "A03_00Ac"):
        picture(tmp_path / "A03" / "frames" / "x40" / f"{name}.tiff")
    picture(tmp_path / "A03" / "frames" / "x20" / "A03_00Aa.tiff")
    labels = tmp_path / "A03" / "mitosis"
    text(labels / "A03_00Aa_mitosis.csv", "5,6,1\n5,6,1\n")
    text(labels / "A03_00Aa_not_mitosis.csv", "7,8,0.6\r\n")
    text(labels / "A03_00Ab_mitosis.csv", "")
    text(labels / "A03_00Ac_not_mitosis.csv", "9,9,0.2\n")
    text(labels / "H04_00Aa_mitosis.csv", "1000,1000,1\n")
    dataset = formats.read(tmp_path)
    fields = by_name(dataset)
    assert formats.recognise(tmp_path) == "mitos_atypia14"
    assert fields["A03_00Aa.tiff"].path.parent.name == "x40"
    assert fields["A03_00Aa.tiff"].cells == (Cell(5.0, 6.0, MITOTIC_FIGURE), Cell(7.0, 8.0, NON_MITOTIC))
    assert fields["A03_00Ab.tiff"].labelled and not fields["A03_00Ab.tiff"].cells
    assert not fields["A03_00Ac.tiff"].labelled and fields["A03_00Ac.tiff"].cells[0].label == NON_MITOTIC
    assert fields["H04_00Aa.tiff"].cells == (Cell(1000.0, 1000.0, MITOTIC_FIGURE),)
    assert dataset.cases == ["MITOS14/03", "MITOS14/04"]
    assert dataset.notes == (
        "A03_00Aa.tiff: 1 point was listed twice, kept once.",
        "1 of 4 images are not there: only their labels were read.",
        "1 frames have no _mitosis.csv: unlabelled, not counted as negative.",
    )
    text(labels / "A03_00Aa_mitosis.csv", "5\n")
    with pytest.raises(LabelError, match="line 1 has 1 numbers, not x,y,confidence"):
        formats.read(tmp_path)


def test_mitos_atypia14_with_decimal_commas(tmp_path):
    picture(tmp_path / "A03_00Aa.tiff")
    text(tmp_path / "A03_00Aa_mitosis.csv", "5,5;6,25;1,0\n")
    assert formats.read(tmp_path).fields[0].cells == (Cell(5.5, 6.25, MITOTIC_FIGURE),)


def test_tupac_row_comes_before_column(tmp_path):
    for name in ("01/01.tif", "01/02.tif", "24/01.tif"):
        picture(tmp_path / "images" / name)
    text(tmp_path / "ground_truth" / "01" / "01.csv", "29,35\n3,4\n")
    text(tmp_path / "ground_truth" / "24" / "01.csv", "")
    dataset = formats.read(tmp_path)
    assert formats.recognise(tmp_path) == "tupac"
    assert [(field.case, field.path.name, field.labelled, field.domain) for field in dataset.fields] == [
        ("TUPAC16/01", "01.tif", True, "AMIDA13"),
        ("TUPAC16/01", "02.tif", False, "AMIDA13"),
        ("TUPAC16/24", "01.tif", True, "TUPAC16"),
    ]
    # Row 29, column 35 is x 35, y 29.
    assert dataset.fields[0].cells == (Cell(35.0, 29.0, MITOTIC_FIGURE), Cell(4.0, 3.0, MITOTIC_FIGURE))
    assert dataset.notes == ("1 fields have no CSV: unlabelled, not counted as negative.",)


def test_tupac_saved_as_x_y_is_noticed(tmp_path):
    picture(tmp_path / "01" / "01.tif")
    picture(tmp_path / "01" / "02.tif")
    text(tmp_path / "01" / "01.csv", "35,29\n")
    text(tmp_path / "01" / "02.csv", "3,4\n")
    dataset = formats.read(tmp_path)
    # Row 35 does not exist in 30 rows, so all files of the set are x,y.
    assert [field.cells[0] for field in dataset.fields] == [Cell(35, 29, MITOTIC_FIGURE), Cell(3, 4, MITOTIC_FIGURE)]
    assert dataset.notes == ("The points fit their images only as x,y, not as row,column: they were read as x,y.",)
    text(tmp_path / "01" / "02.csv", "3,35\n")
    with pytest.raises(LabelError, match=r"01.tif: the mitotic_figure at x 29, y 35 lies outside the image \(40 x 30"):
        formats.read(tmp_path)


def database(path, *, deleted=False, slides=None, annotations=(), classes=("Mitosis", "Nonmitosis", "Eosinophils")):
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE Slides (uid INTEGER, filename TEXT, width INTEGER, height INTEGER, directory TEXT)"
    )
    extra = ", deleted INTEGER" if deleted else ""
    connection.execute(
        f"CREATE TABLE Annotations (uid INTEGER, slide INTEGER, type INTEGER, agreedClass INTEGER{extra})"
    )
    connection.execute(
        "CREATE TABLE Annotations_coordinates (uid INTEGER, coordinateX INTEGER, coordinateY INTEGER, slide INTEGER, "
        "annoId INTEGER, orderIdx INTEGER)"
    )
    connection.execute("CREATE TABLE Classes (uid INTEGER, name TEXT)")
    connection.executemany("INSERT INTO Classes VALUES (?, ?)", enumerate(classes, start=1))
    connection.executemany("INSERT INTO Slides VALUES (?, ?, ?, ?, ?)", slides or [(1, "a.svs", 5000, 4000, None)])
    for uid, (slide, chosen, points, *gone) in enumerate(annotations, start=1):
        values = (uid, slide, 1, chosen, *gone)
        connection.execute(f"INSERT INTO Annotations VALUES ({','.join('?' * len(values))})", values)
        for order, (x, y) in enumerate(points):
            connection.execute("INSERT INTO Annotations_coordinates VALUES (?,?,?,?,?,?)", (0, x, y, slide, uid, order))
    connection.commit()
    connection.close()
    return path


def test_sliderunner(tmp_path):
    annotations = [
        (1, 1, [(100, 200)]),
        (1, 2, [(10, 20), (30, 60)]),
        (1, 3, [(5, 5)]),
        (1, 0, [(7, 7)]),
        (2, 1, [(1, 2)]),
    ]
    slides = [(1, "a.svs", 5000, 4000, None), (2, "25.tif", None, None, "01"), (3, "A03_00Aa.tiff", None, None, None)]
    path = database(tmp_path / "labels.sqlite", slides=slides, annotations=annotations)
    picture(tmp_path / "01" / "25.tif")
    before = path.read_bytes(), sorted(tmp_path.iterdir())
    dataset = formats.read(path)
    fields = by_name(dataset)
    assert formats.recognise(path) == "sliderunner"
    # A rectangle's point is the mean of its corners: (10 + 30) / 2, (20 + 60) / 2.
    assert fields["a.svs"].cells == (
        Cell(100.0, 200.0, MITOTIC_FIGURE), Cell(20.0, 40.0, NON_MITOTIC), Cell(5.0, 5.0, "eosinophils"),
    )  # fmt: skip
    assert fields["25.tif"].path == tmp_path / "01" / "25.tif"
    assert dataset.cases == ["MITOS14/03", "TUPAC16/01", "a"]
    assert dataset.notes == (
        "1 annotations have no agreed class and were left out.",
        "2 of 3 images are not there: only their labels were read.",
        "1 slides have no annotation: they are taken as looked at and free of mitotic figures.",
    )
    assert before == (path.read_bytes(), sorted(tmp_path.iterdir()))


def test_sliderunner_leaves_deleted_annotations_out(tmp_path):
    annotations = [(1, 1, [(100, 200)], 0), (1, 1, [(300, 400)], 1)]
    dataset = formats.read(database(tmp_path / "new.sqlite", deleted=True, annotations=annotations))
    assert dataset.fields[0].cells == (Cell(100.0, 200.0, MITOTIC_FIGURE),)


def test_sliderunner_errors(tmp_path):
    path = database(tmp_path / "a.sqlite", annotations=[(1, 1, [(5000, 10)])])
    with pytest.raises(LabelError, match="a.svs: the mitotic_figure at x 5000, y 10 lies outside the image"):
        formats.read(path)
    path = database(tmp_path / "b.sqlite", annotations=[(9, 1, [(1, 1)])])
    with pytest.raises(LabelError, match="annotation 1 is on slide 9, which is not in Slides"):
        formats.read(path)
    (tmp_path / "c.sqlite").write_bytes(b"SQLite format 3\0" + bytes(200))
    with pytest.raises(LabelError, match="cannot be read as a SlideRunner database"):
        formats.read(tmp_path / "c.sqlite", "sliderunner")


def test_sliderunner_in_use_and_of_another_schema(tmp_path, monkeypatch):
    monkeypatch.setattr(sliderunner, "_PATIENCE_S", 0.0)
    path = database(tmp_path / "a.sqlite", annotations=[(1, 1, [(10, 10)])])
    writer = sqlite3.connect(path)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LabelError) as error:
        formats.read(path)
    assert str(error.value) == f"{path} is in use by another program. Close it there, and try again."
    writer.rollback()
    writer.close()
    assert len(formats.read(path).fields) == 1
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE Cells (x INTEGER)")
    other.commit()
    other.close()
    with pytest.raises(DataError, match="is in no known label format"):
        formats.read(tmp_path / "other.sqlite")
