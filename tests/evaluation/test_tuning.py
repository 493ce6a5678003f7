import json

import numpy as np
import pytest

from mitozoo.base.errors import DataError, MitozooError, OutputError, RecipeError, UnknownNameError
from mitozoo.evaluation.fields import FieldFound, FieldTruth
from mitozoo.evaluation.tuning import (
    Tuned,
    best_trial,
    cases_of_part,
    check_out,
    parse_grid,
    read_tuned,
    record_beside,
    tune_threshold,
    write_tuned,
)

#: Two figures on "a", one on "b".
TRUTHS = [
    FieldTruth("1.png", "a", np.array([[50.0, 50.0], [150.0, 50.0]]), 0.25),
    FieldTruth("2.png", "b", np.array([[50.0, 50.0]]), 0.25),
]


def found(scores_1, scores_2, shift_px=0.0):
    """Detections at the places of the two images (a third place is wrong) with these scores."""
    places = np.array([[50.0, 50.0], [150.0, 50.0], [150.0, 150.0]]) + shift_px
    return [
        FieldFound("1.png", places[: len(scores_1)], np.array(scores_1, float)),
        FieldFound("2.png", places[: len(scores_2)], np.array(scores_2, float)),
    ]


#: By falling score: 0.9 right, 0.8 right, 0.7 wrong (on b, at 150 50), 0.3 right, 0.2 wrong.
FOUND = found([0.9, 0.3, 0.2], [0.8, 0.7])


def test_the_best_threshold():
    # F1 from 0.9: 2/4; 0.8: 4/5; 0.7: 4/6; 0.3: 6/7; 0.2: 6/8.
    got = tune_threshold({}, TRUTHS, FOUND)
    assert got.threshold == 0.3
    assert got.f1 == pytest.approx(6 / 7)
    assert got.report.curve.f1 == pytest.approx([2 / 4, 4 / 5, 4 / 6, 6 / 7, 6 / 8])
    assert [row.name for row in got.report.cases] == ["a", "b"]
    assert set(got.report.intervals) == {"precision", "recall", "f1"}


def test_the_rule_of_the_protocol_decides():
    # 24 px = 6 µm off: right within 7.5 µm, wrong within 5 µm.
    off = found([0.9, 0.8], [0.7], shift_px=24 / np.sqrt(2))
    assert tune_threshold({}, TRUTHS, off).f1 == 1
    assert tune_threshold({}, TRUTHS, off, "icpr12") is None


def test_no_threshold_under_the_cut():
    got = tune_threshold({}, TRUTHS, FOUND, cut=0.5)
    assert (got.threshold, got.f1) == (0.8, pytest.approx(4 / 5))
    assert got.report.curve.thresholds.tolist() == [0.9, 0.8, 0.7]
    assert tune_threshold({}, TRUTHS, FOUND, cut=0.9).threshold == 0.9


def test_cases_without_a_figure():
    empty = [FieldTruth("1.png", "a", np.zeros((0, 2)), 0.25)]
    with pytest.raises(DataError) as caught:
        tune_threshold({}, empty, FOUND[:1])
    assert str(caught.value) == (
        "No threshold can be chosen: the cases have no mitotic figure. Take other or more cases."
    )


def test_the_first_of_equal_trials():
    trials = [
        None,
        tune_threshold({"merge_px": 20}, TRUTHS, FOUND, cut=0.5),
        tune_threshold({"merge_px": 25}, TRUTHS, FOUND),
        tune_threshold({"merge_px": 30}, TRUTHS, FOUND),
    ]
    assert best_trial(trials) is trials[2]
    with pytest.raises(DataError, match="no mitotic figure was found at any score"):
        best_trial([None])


def test_grid():
    assert parse_grid([]) == [{}]
    assert parse_grid(["merge_px=20,25", "first_weight=0.5, 1.0"]) == [
        {"merge_px": 20, "first_weight": 0.5},
        {"merge_px": 20, "first_weight": 1.0},
        {"merge_px": 25, "first_weight": 0.5},
        {"merge_px": 25, "first_weight": 1.0},
    ]
    (point,) = parse_grid(["turns=4"])
    assert isinstance(point["turns"], int)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["merge_px"], "--grid takes name=value,value with each name once, e.g. merge_px=20,25, got 'merge_px'."),
        (["=3"], "--grid takes name=value,value with each name once, e.g. merge_px=20,25, got '=3'."),
        (["a=1", "a=2"], "--grid takes name=value,value with each name once, e.g. merge_px=20,25, got 'a=2'."),
        (["a=1,"], "--grid takes numbers, and '' in 'a=1,' is none."),
        (["a=nan"], "--grid takes numbers, and 'nan' in 'a=nan' is none."),
        (["a=1,1.0"], "--grid has a value twice: 'a=1,1.0'. Give each once."),
        (
            ["a=1,2,3,4,5", "b=1,2,3,4,5", "c=1,2,3"],
            "The grid has 75 settings, each a search of all fields. Give 64 or fewer.",
        ),
    ],
)
def test_grids_without_sense(given, message):
    with pytest.raises(RecipeError) as caught:
        parse_grid(given)
    assert str(caught.value) == message


PARTS = {"train": ("a",), "validation": ("b", "c"), "test": ("d",)}


def test_cases_of_a_part():
    assert cases_of_part(PARTS, "validation", []) == ["b", "c"]
    assert cases_of_part(PARTS, "validation", ["c"]) == ["c"]


@pytest.mark.parametrize(
    ("parts", "part", "cases", "kind", "message"),
    [
        (
            PARTS,
            "test",
            [],
            RecipeError,
            "Nothing is tuned on test cases: afterwards they could not tell how good the model is on new ones. Use "
            "--part validation.",
        ),
        (PARTS, "valid", [], UnknownNameError, "No part of the split named 'valid'. Did you mean 'validation'?"),
        (
            PARTS,
            "validation",
            ["b", "d"],
            DataError,
            "Case 'd' is in part 'test', not in 'validation'. Leave it out, or choose another --part.",
        ),
        (
            PARTS,
            "validation",
            ["e"],
            DataError,
            "Case 'e' is not in the split, not in 'validation'. Leave it out, or choose another --part.",
        ),
        (
            {"validation": ()},
            "validation",
            [],
            DataError,
            "The part 'validation' of the split has no case. Split again with a larger share for it.",
        ),
    ],
)
def test_cases_that_are_not_for_tuning(parts, part, cases, kind, message):
    with pytest.raises(kind) as caught:
        cases_of_part(parts, part, cases)
    assert str(caught.value) == message


def test_written_and_read_back(tmp_path):
    trials = [
        tune_threshold({"merge_px": 20}, TRUTHS, FOUND, cut=0.5),
        tune_threshold({"merge_px": 25}, TRUTHS, FOUND),
    ]
    out = tmp_path / "new" / "tuned.json"
    check_out(out, overwrite=False)
    files = write_tuned(out, trials, {"merge_px": 30, "turns": 4}, {"model": "stn", "weights_sha256": "ab" * 32})
    assert sorted(out.parent.iterdir()) == sorted(files) == [out, out.with_suffix(".png")]
    assert read_tuned(out) == Tuned(0.3, {"merge_px": 25, "turns": 4}, ("a", "b"))
    assert read_tuned(out, "ab" * 32).threshold == 0.3
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["trials"] == [
        {"grid": {"merge_px": 20}, "threshold": 0.8, "f1": pytest.approx(4 / 5)},
        {"grid": {"merge_px": 25}, "threshold": 0.3, "f1": pytest.approx(6 / 7)},
    ]
    assert (content["tp"], content["fp"], content["fn"], content["fields"]) == (3, 1, 0, 2)
    assert content["curve"]["thresholds"] == [0.9, 0.8, 0.7, 0.3, 0.2]
    with pytest.raises(RecipeError) as caught:
        read_tuned(out, "cd" * 32)
    assert str(caught.value) == (
        f"{out} was tuned for other weights (stn, abababababab), not cdcdcdcdcdcd. Tune again for these."
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kind": "mitozoo tuned threshold", "threshold": 1.5, "decoder": {}, "cases": []}',
        '{"kind": "mitozoo tuned threshold", "threshold": 0.5, "decoder": {}, "cases": [1]}',
        '{"kind": "mitozoo tuned threshold", "threshold": NaN, "decoder": {}, "cases": []}',
        '{"kind": "mitozoo tuned threshold", "threshold": 0.5, "decoder": 3, "cases": []}',
        '{"kind": "fields", "threshold": 0.5, "decoder": {}, "cases": []}',
    ],
)
def test_files_that_are_no_choice(tmp_path, text):
    (tmp_path / "tuned.json").write_text(text)
    with pytest.raises(RecipeError) as caught:
        read_tuned(tmp_path / "tuned.json")
    assert str(caught.value) == (
        f"{tmp_path / 'tuned.json'} is not a JSON file of 'mitozoo tune', or is damaged. Tune again."
    )


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(RecipeError) as caught:
        read_tuned(tmp_path / "none.json")
    assert str(caught.value) == (
        f"Cannot read {tmp_path / 'none.json'}: No such file or directory. Give the JSON file of 'mitozoo tune'."
    )


def test_places_for_the_result(tmp_path):
    with pytest.raises(OutputError) as caught:
        check_out(tmp_path / "tuned.png", overwrite=True)
    assert str(caught.value) == f"--out is the name of a JSON file, e.g. tuned.json, got {tmp_path / 'tuned.png'}."
    (tmp_path / "tuned.json").write_text("kept")
    with pytest.raises(MitozooError, match="is there already. Choose another --out, or add --overwrite to replace it."):
        check_out(tmp_path / "tuned.json", overwrite=False)
    check_out(tmp_path / "tuned.json", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["tuned.json"]


def test_no_record_beside_the_weights(tmp_path):
    for text in (None, "{", "[]"):
        if text is not None:
            (tmp_path / "run.json").write_text(text)
        with pytest.raises(OutputError, match="cannot be read .* Leave --keep out, and give the file to"):
            record_beside(tmp_path / "model.weights.h5")
    (tmp_path / "run.json").write_text('{"model": "stn"}')
    assert record_beside(tmp_path / "model.weights.h5") == (tmp_path / "run.json", {"model": "stn"})
