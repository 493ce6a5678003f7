"""AMi-Br: patches around one mitotic figure each."""

import pytest

from mitozoo.base.errors import DataError, LabelError
from mitozoo.base.points import ATYPICAL, MITOTIC_FIGURE, Cell
from mitozoo.data import formats
from mitozoo.data.formats import ami_br

HEAD = "file,label,dataset,slide,x,y,phase_expert1,phase_expert2"


def folder(path, *rows, head=HEAD, encoding="utf-8", end="\n"):
    (path / "patches").mkdir(exist_ok=True)
    for row in rows:
        (path / "patches" / row.split(",")[0].split(";")[0]).write_bytes(b"")
    (path / "index.csv").write_bytes((end.join([head, *rows]) + end).encode(encoding))
    return path


def test_labels_cases_and_places(tmp_path):
    folder(
        tmp_path,
        "a.png,normal,MIDOG21,001.tiff,10,20,,",
        "b.png,atypical,MIDOG21,001.tiff,30,40,,",
        "c.png,normal,TUPAC16,06_stitched1.tif,1,2,,",
        "d.png,normal,TUPAC16,06_stitched2.tif,1,2,,",
        "e.png,atypical,TUPAC16,07.tif,1,2,,",
    )
    assert formats.recognise(tmp_path) == "ami_br"
    dataset = formats.read(tmp_path)
    assert (dataset.name, dataset.licence) == ("AMi-Br", "MIT")
    # The centre of 128 pixels lies between the 63rd and the 64th.
    assert dataset.fields[0].cells == (Cell(63.5, 63.5, MITOTIC_FIGURE),)
    assert (dataset.count(MITOTIC_FIGURE), dataset.count(ATYPICAL)) == (3, 2)
    assert [field.case for field in dataset.fields] == ["MIDOG21/001.tiff"] * 2 + ["TUPAC16/06"] * 2 + ["TUPAC16/07"]
    assert {field.um_per_px for field in dataset.fields} == {0.25}
    assert not any(field.complete for field in dataset.fields) and all(field.labelled for field in dataset.fields)
    assert [field.domain for field in dataset.fields] == ["MIDOG21"] * 2 + ["TUPAC16"] * 3
    assert dataset.fields[4].path == tmp_path / "patches" / "e.png"


def test_another_figure_in_the_patch_is_excluded(tmp_path):
    folder(
        tmp_path,
        "a.png,normal,MIDOG21,001.tiff,1000,2000,,",
        "b.png,normal,MIDOG21,001.tiff,1050,1990,,",
        "c.png,normal,MIDOG21,001.tiff,1095,2000,,",  # 95 px from a: its circle of 30 px ends outside; 45 px from b
        "d.png,normal,MIDOG21,002.tiff,1000,2000,,",  # another slide
    )
    a, b, c, d = (field.excluded for field in formats.read(tmp_path).fields)
    assert a == ((63.5 + 50, 63.5 - 10, 30.0),)
    assert b == ((63.5 - 50, 63.5 + 10, 30.0), (63.5 + 45, 63.5 + 10, 30.0))
    assert c == ((63.5 - 45, 63.5 - 10, 30.0),)
    assert d == ()


@pytest.mark.parametrize(
    "dialect",
    [
        {"encoding": "utf-8-sig", "end": "\r\n"},
        {"encoding": "utf-16"},
        {"head": HEAD.upper()},
    ],
)
def test_as_spreadsheets_save_it(tmp_path, dialect):
    folder(tmp_path, "a.png, atypical ,MIDOG21,001.tiff,1,2,,", **dialect)
    assert formats.read(tmp_path).count(ATYPICAL) == 1


def test_a_label_that_is_neither(tmp_path):
    folder(tmp_path, "a.png,normal,M,1,1,2,,", "b.png,Atypic,M,1,1,2,,")
    with pytest.raises(LabelError) as error:
        ami_br.read(tmp_path)
    assert str(error.value) == f"{tmp_path}/index.csv line 3: label 'Atypic' is neither normal nor atypical."


@pytest.mark.parametrize("name", ["b.png", ""])
def test_a_row_without_its_patch(tmp_path, name):
    folder(tmp_path, "a.png,normal,M,1,1,2,,")
    (tmp_path / "index.csv").write_text(f"{HEAD}\n{name},normal,M,1,1,2,,\n")
    with pytest.raises(LabelError) as error:
        ami_br.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/index.csv line 2: {tmp_path / 'patches' / name} does not exist. Remove the row or add the file."
    )


def test_a_row_that_is_cut_off(tmp_path):
    folder(tmp_path, "a.png,normal,M,1,1,2,,", "b.png,normal")
    with pytest.raises(LabelError) as error:
        ami_br.read(tmp_path)
    assert str(error.value) == f"{tmp_path}/index.csv line 3 has 2 values, not 8. Correct the line."


def test_text_that_is_no_text(tmp_path):
    (tmp_path / "index.csv").write_bytes(HEAD.encode() + b"\n\xff\xfe\xfd,normal\n")
    with pytest.raises(LabelError, match="is not UTF-8 text. Save it as CSV in UTF-8."):
        ami_br.read(tmp_path)


def test_other_folders_are_not_taken(tmp_path):
    assert not ami_br.recognises(tmp_path)
    (tmp_path / "index.csv").write_text("file,source,tissue\n")
    assert not ami_br.recognises(tmp_path)
    assert not ami_br.recognises(tmp_path / "index.csv")
    (tmp_path / "index.csv").write_text(HEAD + "\n")
    with pytest.raises(DataError, match="holds no image of the format ami_br"):
        formats.read(tmp_path)
