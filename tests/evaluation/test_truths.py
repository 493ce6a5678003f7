import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from mitozoo.base.errors import DataError, InputError, LabelError, UnknownNameError
from mitozoo.base.points import MITOTIC_FIGURE, NON_MITOTIC, Cell, Detection
from mitozoo.data.dataset import Dataset, Field
from mitozoo.evaluation.truths import (
    check_images,
    field_found,
    field_truth,
    image_names,
    is_patches,
    of_cases,
    unsearched,
)
from mitozoo.inference.result import FieldResult


def dataset(*cases, **settings):
    return Dataset("set", tuple(Field(Path(f"{i}.png"), case, **settings) for i, case in enumerate(cases)))


def test_cases_are_kept_whole():
    assert of_cases(dataset("a", "b", "a"), ()).cases == ["a", "b"]
    assert [field.path.name for field in of_cases(dataset("a", "b", "a"), ["a"]).fields] == ["0.png", "2.png"]


def test_a_case_that_does_not_exist():
    with pytest.raises(UnknownNameError) as caught:
        of_cases(dataset("slide1", "slide2"), ["slide1", "slde2"])
    assert str(caught.value) == "No case in set named 'slde2'. Did you mean 'slide2'?"


def test_an_empty_set():
    with pytest.raises(DataError) as caught:
        of_cases(dataset(), ())
    assert str(caught.value) == "set holds no image. Check the path."


def test_patches_or_fields():
    assert is_patches(dataset("a", complete=False))
    assert not is_patches(dataset("a"))
    # One field of many with complete labels is enough: the others are left out.
    mixed = Dataset("set", (*dataset("a").fields, *dataset("b", complete=False, labelled=False).fields))
    assert not is_patches(mixed)


def test_nothing_labelled():
    with pytest.raises(DataError) as caught:
        is_patches(dataset("a", "b", complete=False, labelled=False))
    assert str(caught.value) == (
        "None of the 2 images of set is labelled, so nothing can be measured. Give labelled images, or search these "
        "with 'mitozoo predict'."
    )


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/1.png", "x/2.png"], ["1.png", "2.png"]),
        (["x/1.png", "y/1.png", "y/2.png"], ["x/1.png", "y/1.png", "2.png"]),
        (["p/x/1.png", "q/x/1.png", "q/y/1.png"], ["p/x/1.png", "q/x/1.png", "y/1.png"]),
        (["1.png", "x/1.png"], ["1.png", "x/1.png"]),
        ([], []),
    ],
)
def test_names_are_as_long_as_needed(paths, names):
    assert [name for name, _ in image_names([Path(path) for path in paths])] == names


def test_images_are_looked_at_before_the_work(tmp_path):
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.zeros((50, 80, 3), np.uint8))
    inside = (Cell(79.9, 0, MITOTIC_FIGURE), Cell(-0.5, 49.9, NON_MITOTIC))
    check_images([Field(path, "1", inside)])
    with pytest.raises(LabelError) as caught:
        check_images([Field(path, "1", (*inside, Cell(40, 50, MITOTIC_FIGURE)))])
    assert str(caught.value) == (
        f"{path}: the mitotic_figure at x 40, y 50 lies outside the image (80 x 50 px). Correct the label file, or "
        "check that it belongs to this image."
    )
    with pytest.raises(InputError) as missing:
        check_images([Field(tmp_path / "b.png", "1")])
    assert str(missing.value) == f"No such file: {tmp_path / 'b.png'}. Did you mean 'a.png'?"


def result(**settings):
    return FieldResult("a", Path("a.png"), 1000, 800, 0.5, "file", 0.15, **settings)


def test_truth_of_a_field():
    cells = (Cell(1, 2, MITOTIC_FIGURE), Cell(3, 4, NON_MITOTIC))
    truth = field_truth(result(), Field(Path("a.png"), "case", cells, domain="scanner"))
    assert (truth.name, truth.case, truth.um_per_px, truth.area_mm2) == ("a", "case", 0.5, 0.15)
    assert (truth.labelled, truth.domain, truth.mitoses.tolist()) == (True, "scanner", [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("circles", "pixels"),
    [
        ([(300, 300, 100)], math.pi * 1e4),
        # The same one twice hides nothing more.
        ([(300, 300, 100), (300, 300, 100)], math.pi * 1e4),
        ([(300, 300, 100), (700, 300, 50)], math.pi * 12500),
        # A quarter and a half of circles that reach over the edge.
        ([(0, 0, 100)], math.pi * 2500),
        ([(999, 400, 100)], math.pi * 5000),
        ([(-300, 300, 100), (300, 1000, 100)], 0),
    ],
)
def test_excluded_circles_are_no_area(circles, pixels):
    truth = field_truth(result(), Field(Path("a.png"), "case", excluded=tuple(circles)))
    assert truth.area_mm2 == pytest.approx(0.15 - pixels * 0.25e-6, abs=0.03 * pixels * 0.25e-6)
    assert truth.excluded == tuple(circles)


def test_an_area_is_never_negative():
    assert field_truth(result(), Field(Path("a.png"), "case", excluded=((500, 400, 900),))).area_mm2 == 0


def test_an_unsearched_field_is_not_labelled():
    truth = unsearched("a", Field(Path("a.png"), "case", domain="d"))
    assert (truth.name, truth.case, truth.labelled, truth.domain) == ("a", "case", False, "d")


def test_found_has_every_score():
    found = field_found(result(detections=(Detection(1, 2, 0.9),), below=(Detection(3, 4, 0.2), Detection(5, 6, 0.1))))
    assert found.xy.tolist() == [[1, 2], [3, 4], [5, 6]] and found.scores.tolist() == [0.9, 0.2, 0.1]
    nothing = field_found(result())
    assert nothing.xy.shape == (0, 2) and nothing.scores.shape == (0,)
