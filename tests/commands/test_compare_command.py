"""`mitozoo compare` from end to end; the numbers themselves are worked out in tests/evaluation."""

import json

import painted
import pytest

from mitozoo.commands import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


@pytest.fixture
def reports(painted_zoo, tmp_path, capsys):
    """One model with its own threshold, and with one that no score reaches: 2 of 3 mitoses found, and none."""
    for name, colour in (("a_1", painted.RED), ("a_2", painted.RED), ("b_1", painted.BLUE)):
        painted.save(tmp_path / "patches" / "mitosis" / f"{name}.png", painted.flat(colour, 128, 128))
    painted.save(tmp_path / "patches" / "not_mitosis" / "b_2.png", painted.flat(painted.BLUE, 128, 128))
    for name, more in (("own", []), ("strict", ["--threshold", "1"])):
        arguments = ["evaluate", tmp_path / "patches", "--model", "colour", "--out", tmp_path / name, *more]
        assert run(capsys, *arguments)[0] == 0
    return [tmp_path / "own", tmp_path / "strict"]


def test_two_reports(reports, tmp_path, capsys):
    code, out, err = run(capsys, "compare", *reports, "--out", tmp_path / "both", "--seed", "7")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "2 models on 2 cases with 3 mitotic figures",
        "colour (1): precision 1.000, recall 0.667, F1 0.800",
        "colour (2): precision not defined, recall 0.000, F1 0.000",
        "Highest F1: colour (1), 0.800.",
    ]
    assert lines[4].startswith("colour (2) against colour (1): no clear difference (F1 −0.800 [−1.000 to +0.000], p ")
    assert lines[5:] == [f"Comparison: {tmp_path / 'both' / 'compare.html'}"]
    content = json.loads((tmp_path / "both" / "compare.json").read_text(encoding="utf-8"))
    assert content["bootstrap"]["seed"] == 7
    assert [model["threshold"] for model in content["models"]] == [0.5, 1.0]
    assert content["models"][1]["precision"] is None


def test_a_comparison_is_kept(reports, tmp_path, capsys):
    assert run(capsys, "compare", *reports, "--out", tmp_path / "both")[0] == 0
    assert run(capsys, "compare", *reports, "--out", tmp_path / "both") == (
        2,
        "",
        f"Error: {tmp_path / 'both'} holds a comparison already. Choose another --out, or add --overwrite to replace "
        "it.\n",
    )
    assert run(capsys, "compare", *reports, "--out", tmp_path / "both", "--overwrite")[0] == 0


def test_errors_are_one_line(reports, tmp_path, capsys):
    found = run(capsys, "compare", reports[0], "--out", tmp_path / "both")
    assert found == (
        2,
        "",
        "Error: A comparison needs two reports or more. Give the folders that 'mitozoo evaluate' wrote.\n",
    )
    found = run(capsys, "compare", *reports, tmp_path / "none", "--out", tmp_path / "both")
    assert found == (
        2,
        "",
        f"Error: {tmp_path / 'none'} has no report.json. Give a folder that this version of 'mitozoo evaluate' "
        "wrote.\n",
    )
    assert not (tmp_path / "both").exists()
