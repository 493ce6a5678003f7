import numpy as np
import pytest
from PIL import Image as PillowImage

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, NON_MITOTIC, Cell
from mitozoo.data import formats
from mitozoo.data.formats import points_csv

HEADER = "image,x_px,y_px,label\n"


def picture(path, width=40, height=30):
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(np.full((height, width, 3), 200, np.uint8)).save(path)


def table(folder, content, name="points.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refused(path):
    with pytest.raises(LabelError) as error:
        formats.read(path)
    return str(error.value)


def test_four_columns_are_enough(tmp_path):
    picture(tmp_path / "a.png")
    picture(tmp_path / "images" / "b.png", 8, 6)
    path = table(tmp_path, HEADER + "a.png,1.5,2,Mitosis\nb.png,,,\na.png,3,4,hard negative\n")
    assert formats.recognise(path) == formats.recognise(tmp_path) == "points_csv"
    first, second = formats.read(path).fields
    assert first.path == tmp_path / "a.png"
    assert first.cells == (Cell(1.5, 2.0, MITOTIC_FIGURE), Cell(3.0, 4.0, NON_MITOTIC))
    assert (first.case, first.um_per_px, first.domain, first.excluded) == ("a.png", None, "", ())
    assert second.path == tmp_path / "images" / "b.png"
    assert second.cells == () and second.labelled and second.complete


def test_all_that_is_said_of_an_image_may_be_said_once(tmp_path):
    path = table(
        tmp_path,
        "image,x_px,y_px,label,case,um_per_px,domain,labelled,complete,excluded,width_px,height_px\n"
        'a.png,1,2,atypical,slide 3,0.23,"lung, canine",yes,no,1 2 3.5 | 4 5 6,100,80\n'
        "a.png,5,6,eosinophil,,,,,,,,\n"
        "b.png,,,,slide 4,,,No,,,,\n",
    )
    dataset = formats.read(path)
    first, second = dataset.fields
    assert first.cells == (Cell(1.0, 2.0, ATYPICAL), Cell(5.0, 6.0, "eosinophil"))
    assert (first.case, first.um_per_px, first.domain) == ("slide 3", 0.23, "lung, canine")
    assert (first.labelled, first.complete) == (True, False)
    assert first.excluded == ((1.0, 2.0, 3.5), (4.0, 5.0, 6.0))
    assert (second.labelled, second.complete, second.case) == (False, False, "slide 4")
    assert points_csv.stated_sizes(path) == {tmp_path / "a.png": (100, 80)}
    assert dataset.notes == (
        "2 of 2 images are not there: only their labels were read.",
        "1 images are unlabelled, as the table says: not counted as negative.",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfimage,x_px,y_px,label\r\na.png,1.5,2,mf\r\n\r\n",
        b"Image;X_px;Y_px;Label\na.png;1,5;2;mf\n",
        b'image\tx_px\ty_px\tlabel\na.png\t"1,5"\t2\tmf\n',
        'image,x_px,y_px,label\na.png,"1,5",2,mf\n'.encode("utf-16"),
        b"label,image,y_px,note,x_px\nmf,a.png,2,sure,1.5\n",
    ],
)
def test_dialects(tmp_path, content):
    (field,) = formats.read(table(tmp_path, content)).fields
    assert field.cells == (Cell(1.5, 2.0, MITOTIC_FIGURE),)


def test_an_empty_table_is_not_a_missing_one(tmp_path):
    with pytest.raises(DataError, match="No such file or folder"):
        formats.read(tmp_path / "points.csv")
    path = table(tmp_path, "")
    with pytest.raises(DataError, match="is in no known label format"):
        formats.read(path)
    with pytest.raises(LabelError) as error:
        formats.read(path, "points_csv")
    assert str(error.value) == (
        f"{path} has no column image, x_px, y_px, label. Its first line must be image,x_px,y_px,label."
    )
    with pytest.raises(DataError, match="holds no image of the format points_csv"):
        formats.read(table(tmp_path, HEADER))


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.png,40,2,mf\n", "a.png: the mitotic_figure at x 40, y 2 lies outside the image (40 x 30 px). "),
        ("a.png,2,-0.6,mf\n", "lies outside the image"),
        (
            "a.png,2,35,mf\na.png,1,1,mf\n",
            "inside the image (40 x 30 px) only with x and y exchanged. Exchange the two",
        ),
        (
            "a.png,1,1,mf\na.png,1.0,1,neg\n",
            "the point x 1, y 1 is labelled mitotic_figure and non_mitotic. Remove one",
        ),
        ("a.png,nan,1,mf\n", "line 2: nan is not a finite number. Correct the line."),
        ("a.png,1,inf,mf\n", "line 2: inf is not a finite number."),
        ("a.png,1,1e999,mf\n", "line 2: 1e999 is not a finite number."),
        ("a.png,1,one,mf\n", "line 2: 'one' is not a number."),
        ("a.png,1,5,2,mf\n", "line 2 has 5 values, not 4. Where a comma is the decimal sign, separate the columns by"),
        ("a.png,1,2\n", "line 2 has 3 values, not 4."),
        ("a.png,1,,mf\n", "line 2: a cell needs x_px, y_px and label; leave all three empty for none."),
        ("a.png,1,2,\n", "line 2: a cell needs x_px, y_px and label"),
        ("a.png,1,2,??\n", "line 2: '??' is no name of a class."),
        (",1,2,mf\n", "line 2 names no image. Fill the column image."),
        ("a.png,,,\na.png,1,2,mf\n", "a.png holds nothing in line 2, but a cell in line 3. Remove one of the two."),
        ("a.png,1,2,mf\na.png,,,\n", "a.png holds nothing in line 3, but a cell in line 2."),
    ],
)
def test_bad_rows(tmp_path, rows, said):
    picture(tmp_path / "a.png")
    assert said in refused(table(tmp_path, HEADER + rows))


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("case", ("s1", "s2"), "line 3: case of a.png is 's2', but 's1' in line 2. Correct one."),
        ("um_per_px", ("250", ""), "line 2: 250 µm per pixel is not plausible (0.05 to 20). Correct it."),
        ("um_per_px", ("", "x"), "line 3: 'x' is not a number."),
        ("labelled", ("maybe", ""), "line 2: labelled is 'maybe'. Write yes or no."),
        ("excluded", ("1 2", ""), "line 2: excluded has '1 2'. Write circles as x y radius | x y radius."),
        ("excluded", ("1 2 -3", ""), "line 2: excluded has '1 2 -3'."),
        ("width_px", ("4.5", ""), "line 2: width_px is '4.5', not a number of pixels. Correct it."),
    ],
)
def test_bad_words_about_an_image(tmp_path, column, values, said):
    rows = "".join(f"a.png,{n},2,mf,{value}\n" for n, value in enumerate(values))
    assert said in refused(table(tmp_path, f"image,x_px,y_px,label,{column}\n{rows}"))


def test_a_column_twice_and_detections(tmp_path):
    path = table(tmp_path, "image,x_px,y_px,label,X_px\na.png,1,2,mf,3\n")
    assert refused(path) == f"{path} has the column x_px twice. Remove or rename one of the two."
    path = table(tmp_path, "image,x_px,y_px,x_um,y_um,score,label,atypical_score\na.png,1,2,,,0.9,mitotic_figure,\n")
    with pytest.raises(DataError, match="is in no known label format"):
        formats.read(path)
    with pytest.raises(LabelError) as error:
        formats.read(path, "points_csv")
    assert str(error.value) == (
        f"{path} holds detections with a score, not labels. Check every row, then remove the column score."
    )


def test_the_same_point_twice_is_kept_once_and_said(tmp_path):
    dataset = formats.read(table(tmp_path, HEADER + "a.png,1,2,mf\na.png,1,2,mf\n"))
    assert dataset.count(MITOTIC_FIGURE) == 1
    assert "a.png: 1 point was listed twice, kept once." in dataset.notes


def test_images_without_a_row_are_said_and_derived_pictures_are_not(tmp_path):
    for name in ("a.png", "b.png", "a.overlay.png"):
        picture(tmp_path / name)
    dataset = formats.read(table(tmp_path, HEADER + "a.png,1,2,mf\n"))
    assert [field.path.name for field in dataset.fields] == ["a.png"]
    assert dataset.notes == (
        "1 images beside the table have no row and were left out. One that was looked at and holds nothing needs a row "
        "with its name and nothing else.",
    )


def test_an_image_of_another_size_is_refused(tmp_path):
    picture(tmp_path / "a.png")
    path = table(tmp_path, "image,x_px,y_px,label,width_px,height_px\na.png,1,2,mf,80,60\n")
    assert refused(path) == (
        f"{tmp_path}/a.png has 40 x 30 px, but its labels are for 80 x 60 px: they would not fit. Give the image that "
        "was labelled."
    )


def test_two_tables_need_a_word(tmp_path):
    table(tmp_path, HEADER + "a.png,1,2,mf\n", "one.csv")
    table(tmp_path, HEADER + "a.png,1,2,mf\n", "two.csv")
    assert "but there are: one.csv, two.csv. Give the file." in refused(tmp_path)
    (tmp_path / "two.csv").write_text("something,else\n1,2\n")
    assert len(formats.read(tmp_path).fields) == 1


def test_other_tables_are_not_taken(tmp_path):
    for name, header in (
        ("labels.csv", "image,x,y,label"),
        ("index.csv", "file,label,dataset,slide"),
        ("x.txt", HEADER),
    ):
        assert not points_csv.recognises(table(tmp_path / name, header, name))
    assert not points_csv.recognises(tmp_path)
