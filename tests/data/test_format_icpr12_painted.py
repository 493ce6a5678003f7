"""ICPR 2012 fields with painted mitotic figures."""

import numpy as np
import pytest

from mitozoo.base.errors import LabelError
from mitozoo.data import formats
from mitozoo.data.formats import icpr12_painted

HEAD = "file,x,y,major_axis_px,minor_axis_px,um_per_px"


def folder(path, *rows, images=("A00_00.jpg",), head=HEAD):
    for name in images:
        (path / name).write_bytes(b"")
    (path / "mitoses.csv").write_text("\n".join([head, *rows]) + "\n")
    return path


def test_circles_spacings_and_cases(tmp_path):
    images = ("A00_00.jpg", "A00_01.jpg", "H00_00.jpg", "H04_02.jpg")
    folder(
        tmp_path,
        "A00_00.jpg,10,20.5,30,20,0.2456",
        "A00_00.jpg,100,200,30,20,0.2456",
        "H04_02.jpg,7,8,30,20,0.2273",
        images=images,
    )
    assert formats.recognise(tmp_path) == "icpr12_painted"
    fields = {field.path.name: field for field in formats.read(tmp_path).fields}
    # 40 px, 10 µm, around every painted centre.
    assert fields["A00_00.jpg"].excluded == ((10.0, 20.5, 40.0), (100.0, 200.0, 40.0))
    assert fields["A00_01.jpg"].excluded == ()
    assert fields["H04_02.jpg"].excluded == ((7.0, 8.0, 40.0),)
    # Both scanners show the same slides.
    assert [fields[name].case for name in images] == ["ICPR12/00", "ICPR12/00", "ICPR12/00", "ICPR12/04"]
    assert [fields[name].um_per_px for name in images] == [0.2456, 0.2456, 0.2273, 0.2273]
    assert [fields[name].domain for name in images] == ["Aperio", "Aperio", "Hamamatsu", "Hamamatsu"]
    assert all(field.complete and field.labelled and not field.cells for field in fields.values())


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A00_00.jpg,left,20,30,20,0.2", "line 2: 'left' is not a number. Correct the line."),
        ("A00_00.jpg,10,nan,30,20,0.2", "line 2: nan is not a finite number. Correct the line."),
        ("A00_00.jpg,10", "line 2 has 2 values, not 6. Correct the line."),
    ],
)
def test_a_malformed_row(tmp_path, row, said):
    folder(tmp_path, row)
    with pytest.raises(LabelError) as error:
        icpr12_painted.read(tmp_path)
    assert str(error.value) == f"{tmp_path}/mitoses.csv {said}"


def test_a_row_without_its_image(tmp_path):
    folder(tmp_path, "A00_07.jpg,10,20,30,20,0.2456")
    with pytest.raises(LabelError) as error:
        icpr12_painted.read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}/mitoses.csv names A00_07.jpg, which does not exist. Remove its rows or add the file."
    )


@pytest.mark.parametrize("name", ["B00_00.jpg", "A0.jpg", "A001_0.jpg"])
def test_a_name_of_no_scanner(tmp_path, name):
    folder(tmp_path, images=(name,))
    with pytest.raises(LabelError) as error:
        icpr12_painted.read(tmp_path)
    assert str(error.value) == f"{tmp_path / name}: the name does not start with a scanner and slide like A00_ or H00_."


def test_other_folders_are_not_taken(tmp_path):
    assert not icpr12_painted.recognises(tmp_path)
    folder(tmp_path, head="file,x,y")
    assert not icpr12_painted.recognises(tmp_path)


def test_the_mask_is_the_yellow():
    colours = {
        (255, 255, 0): True,
        (200, 190, 90): True,  # what JPEG makes of the rim
        (255, 255, 255): False,  # glass
        (230, 120, 180): False,  # eosin
        (90, 50, 130): False,  # haematoxylin
        (255, 171, 0): False,  # orange
        (0, 0, 0): False,
    }
    pixels = np.array([list(colours)], np.uint8)
    np.testing.assert_array_equal(icpr12_painted.painted_mask(pixels), [list(colours.values())])
