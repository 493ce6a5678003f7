"""`mitozoo data split` from end to end."""

import json

import pytest

from mitozoo.commands import main
from mitozoo.commands.data.split import command
from mitozoo.data.split import PARTS


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


@pytest.fixture
def labels(tmp_path):
    """Ten images of one mitotic figure and one look-alike each; their images are not there."""
    images = [{"id": i, "file_name": f"f{i}.png", "width": 500, "height": 500} for i in range(10)]
    annotations = [
        {
            "id": 2 * i + kind,
            "image_id": i,
            "category_id": 1 + kind,
            "bbox": [100 + 60 * kind, 100, 150 + 60 * kind, 150],
        }
        for i in range(10)
        for kind in (0, 1)
    ]
    content = {"images": images, "annotations": annotations, "categories": []}
    (tmp_path / "labels.json").write_text(json.dumps(content), encoding="utf-8")
    return tmp_path / "labels.json"


def test_a_table_and_a_file(labels, tmp_path, capsys):
    out = tmp_path / "split.json"
    parts = "train=0.6,validation=0.2,test=0.2"
    assert run(capsys, "data", "split", labels, "--out", out, "--parts", parts, "--seed", "2") == (
        0,
        "part        cases  images  mitotic figures  look-alikes\n"
        "train           6       6                6            6\n"
        "validation      2       2                2            2\n"
        "test            2       2                2            2\n"
        "total          10      10               10           10\n"
        f"Split: {out}\n",
        "",
    )
    content = json.loads(out.read_text(encoding="utf-8"))
    assert {part: len(cases) for part, cases in content["parts"].items()} == {"train": 6, "validation": 2, "test": 2}
    assert (content["seed"], content["data"], content["paths"]) == (2, ["labels"], [str(labels)])


def test_two_sets_that_share_all_cases(labels, tmp_path, capsys):
    code, out, err = run(capsys, "data", "split", labels, labels, "--out", tmp_path / "split.json")
    assert (code, err) == (0, "")
    assert "total          10      20               20           20\n10 cases are in several of the data sets" in out


def test_a_split_is_kept(labels, tmp_path, capsys):
    out = tmp_path / "split.json"
    arguments = ("data", "split", labels, "--out", out)
    assert run(capsys, *arguments)[0] == 0
    before = out.read_bytes()
    assert run(capsys, *arguments, "--seed", "1") == (
        2,
        "",
        f"Error: {out} exists already. Choose another --out, or add --overwrite to replace it.\n",
    )
    assert out.read_bytes() == before
    assert run(capsys, *arguments, "--seed", "1", "--overwrite")[0] == 0
    assert out.read_bytes() != before


def test_parts_without_a_mitotic_figure_are_said(labels, tmp_path, capsys):
    content = json.loads(labels.read_text(encoding="utf-8"))
    content["annotations"] = content["annotations"][:2]
    labels.write_text(json.dumps(content), encoding="utf-8")
    code, _, err = run(capsys, "data", "split", labels, "--out", tmp_path / "split.json", "--parts", "a=0.5,b=0.5")
    assert code == 0 and err.endswith(" holds no mitotic figure. Give more data, or another --seed.\n")
    assert err.count("\n") == 1


def test_errors_write_nothing(labels, tmp_path, capsys):
    out = tmp_path / "split.json"
    parts = ",".join(f"p{i}={1 / 16}" for i in range(16))
    assert run(capsys, "data", "split", labels, "--out", out, "--parts", parts)[::2] == (
        2,
        "Error: 10 cases cannot be divided into 16 parts, since no case is ever divided. Ask for fewer with --parts, "
        "or give more data.\n",
    )
    assert run(capsys, "data", "split", labels, "--out", out, "--parts", "a=0.5")[0] == 2
    assert not out.exists()


def test_the_default_parts_are_those_of_the_library():
    assert command.params[[item.name for item in command.params].index("parts")].default == PARTS
