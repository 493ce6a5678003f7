"""Places of negatives that are left out, from a table."""

from pathlib import Path

import pytest

from mitozoo.base.errors import LabelError
from mitozoo.data.dataset import Dataset, Field
from mitozoo.data.leave_out import RADIUS_PX, leave_out


def sets():
    fields = (
        Field(Path("a/one.png"), "case 1", labelled=False),
        Field(Path("a/two.png"), "case 2", excluded=((5.0, 6.0, 7.0),)),
        Field(Path("b/two.png"), "case 3"),
    )
    return [Dataset("first", fields[:2]), Dataset("second", fields[2:])]


def table(tmp_path, text):
    path = tmp_path / "places.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_places_are_excluded_besides_those_that_were(tmp_path):
    path = table(tmp_path, "image,x_px,y_px,score\none.png,10.5,20,0.9\na/two.png,1,2,0.8\none.png,30,40,0.7\n")
    first, second = leave_out(sets(), [path])
    assert first.fields[0].excluded == ((10.5, 20.0, RADIUS_PX), (30.0, 40.0, RADIUS_PX))
    assert first.fields[1].excluded == ((5.0, 6.0, 7.0), (1.0, 2.0, RADIUS_PX))
    assert second.fields[0].excluded == ()
    assert (first.name, first.fields[0].labelled, first.fields[1].case) == ("first", False, "case 2")


def test_without_tables_nothing_changes():
    assert leave_out(sets(), []) == sets()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("three.png,1,2", "line 2: 'three.png' is the name of no field of --negatives"),
        ("two.png,1,2", "line 2: 'two.png' is the name of 2 fields of --negatives"),
        ("wo.png,1,2", "line 2: 'wo.png' is the name of no field"),
        (",1,2", "line 2: '' is the name of no field"),
        ("one.png,left,2", "line 2: 'left' is not a number"),
    ],
)
def test_what_fits_no_field_is_refused(tmp_path, row, said):
    with pytest.raises(LabelError, match=said):
        leave_out(sets(), [table(tmp_path, f"image,x_px,y_px\n{row}\n")])


def test_a_table_without_places_is_refused(tmp_path):
    with pytest.raises(LabelError, match="has no column x_px, y_px"):
        leave_out(sets(), [table(tmp_path, "image,x,y\none.png,1,2\n")])
