"""`mitozoo tune` from end to end, with a network that finds the same known points in every image."""

import json
import sys
import types

import painted
import pytest

from mitozoo.api import choosing
from mitozoo.commands import main
from mitozoo.evaluation.tuning import read_tuned
from mitozoo.models import zoo


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


@pytest.fixture
def fields(tmp_path):
    """a.png has figures at (40, 30) and (100, 90), b.png at (40, 30), c.png none."""
    folder = tmp_path / "fields"
    images, boxes = [], []
    for number, (name, points) in enumerate({"a.png": [(40, 30), (100, 90)], "b.png": [(40, 30)], "c.png": []}.items()):
        painted.save(folder / name, painted.flat())
        images.append({"id": number, "file_name": name, "width": 200, "height": 160})
        for x, y in points:
            boxes.append(
                {"id": len(boxes), "image_id": number, "category_id": 1, "bbox": [x - 25, y - 25, x + 25, y + 25]}
            )
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "mitotic figure"}]}
    (folder / "MIDOG.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def split(monkeypatch, tmp_path):
    """A split file that says: validation a, b; test c."""
    module = types.ModuleType("mitozoo.data.split")
    parts = {"train": (), "validation": ("a.png", "b.png"), "test": ("c.png",)}
    module.read_split = lambda path: parts
    monkeypatch.setitem(sys.modules, "mitozoo.data.split", module)
    return tmp_path / "split.json"


def test_a_threshold(fields, known_points, tmp_path, capsys):
    # Every image has a detection at (40, 30) of 0.9 and one at (100, 90) of 0.4. On a and b, from 0.4: 3 right, 1
    # wrong, F1 6/7; from 0.9: 2 right, 1 missed, F1 4/5.
    out = tmp_path / "tuned.json"
    arguments = ["tune", fields, "--model", "colour", "--case", "a.png", "--case", "b.png", "--out", out]
    assert run(capsys, *arguments) == (
        0,
        "Tuned on 2 fields of 2 cases: a.png, b.png\n"
        "Threshold 0.4 with the model's own settings: precision 0.750, recall 1.000, F1 0.857, protocol default\n"
        f"Choice: {out}, curve: {tmp_path / 'tuned.png'}\n",
        "",
    )
    content = json.loads(out.read_text(encoding="utf-8"))
    assert content["command"] == "mitozoo " + " ".join(map(str, arguments))
    assert (content["model"], content["data"], content["split"], content["part"]) == ("colour", "MIDOG", None, None)
    assert content["f1"] == pytest.approx(6 / 7) and content["protocol"] == "default"
    assert read_tuned(out, zoo.load("colour").sha256) == (0.4, {}, ("a.png", "b.png"), 1)
    assert (tmp_path / "tuned.png").read_bytes().startswith(b"\x89PNG")
    assert run(capsys, *arguments) == (
        2,
        "",
        f"Error: {out} is there already. Choose another --out, or add --overwrite to replace it.\n",
    )
    assert run(capsys, *arguments, "--overwrite")[0] == 0


def test_a_decoder_that_cuts(fields, known_points, tmp_path, capsys):
    # Above a cut of 0.5 the weaker detections are no candidates for a threshold: F1 4/5 at 0.9.
    found = run(
        capsys, "tune", fields, "--model", "colour", "--case", "a.png", "--case", "b.png", "--out",
        tmp_path / "tuned.json", "--grid", "cut=0.05,0.5", "--grid", "merge_px=20",
    )  # fmt: skip
    assert "Threshold 0.4 with cut 0.05, merge_px 20:" in found[1]
    content = json.loads((tmp_path / "tuned.json").read_text(encoding="utf-8"))
    assert content["trials"] == [
        {"grid": {"cut": 0.05, "merge_px": 20}, "threshold": 0.4, "f1": pytest.approx(6 / 7)},
        {"grid": {"cut": 0.5, "merge_px": 20}, "threshold": 0.9, "f1": pytest.approx(4 / 5)},
    ]
    assert content["decoder"] == {"cut": 0.05, "merge_px": 20}
    assert known_points.settings == {"cut": 0.5, "merge_px": 20} and len(known_points.shapes) == 4


def test_a_split(fields, known_points, split, tmp_path, capsys):
    arguments = ["tune", fields, "--model", "colour", "--split", split, "--out", tmp_path / "tuned.json"]
    assert run(capsys, *arguments)[1].startswith("Tuned on 2 fields of 2 cases: a.png, b.png\n")
    content = json.loads((tmp_path / "tuned.json").read_text(encoding="utf-8"))
    assert (content["split"], content["part"]) == (str(split), "validation")
    assert run(capsys, *arguments, "--overwrite", "--case", "c.png") == (
        2,
        "",
        "Error: Case 'c.png' is in part 'test', not in 'validation'. Leave it out, or choose another --part.\n",
    )
    assert run(capsys, *arguments, "--overwrite", "--part", "test") == (
        2,
        "",
        "Error: Nothing is tuned on test cases: afterwards they could not tell how good the model is on new ones. Use "
        "--part validation.\n",
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Say which cases are for validation: --split FILE, or --case NAME for each of them."),
        (["--case", "d.png"], "No case in MIDOG named 'd.png'. Did you mean 'c.png'?"),
        (["--case", "a.png", "--grid", "merg_px=1"], "No decoder setting named 'merg_px'. Did you mean 'merge_px'?"),
        (["--case", "a.png", "--protocol", "midgo"], "No protocol named 'midgo'. Did you mean 'midog'?"),
        (
            ["--case", "c.png"],
            "No threshold can be chosen: the cases have no mitotic figure. Take other or more cases.",
        ),
    ],
)
def test_errors_are_one_line(fields, known_points, tmp_path, capsys, arguments, message):
    found = run(capsys, "tune", fields, "--model", "colour", "--out", tmp_path / "tuned.json", *arguments)
    assert found == (2, "", f"Error: {message}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fields", "zoo"]


def test_values_that_do_not_fit_the_decoder(fields, painted_zoo, tmp_path, capsys):
    found = run(
        capsys, "tune", fields, "--model", "colour", "--case", "a.png", "--out", tmp_path / "tuned.json", "--grid",
        "phases=2,0",
    )  # fmt: skip
    assert found == (
        2,
        "",
        "Error: --grid: colour cannot work with phases=0 (integer division or modulo by zero). Give other values.\n",
    )


def test_patches_have_no_threshold_of_a_detector(painted_zoo, tmp_path, capsys):
    painted.save(tmp_path / "patches" / "mitosis" / "a_1.png", painted.flat(painted.RED, 128, 128))
    painted.save(tmp_path / "patches" / "not_mitosis" / "a_2.png", painted.flat(painted.BLUE, 128, 128))
    found = run(capsys, "tune", tmp_path / "patches", "--case", "a", "--out", tmp_path / "tuned.json")
    assert found == (
        2,
        "",
        "Error: patches has patches of single cells, on which a detector's threshold cannot be chosen. Give fields "
        "with complete labels.\n",
    )


def test_ctrl_c(fields, known_points, tmp_path, capsys, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(choosing, "load_all", stop)
    found = run(capsys, "tune", fields, "--case", "a.png", "--out", tmp_path / "tuned.json")
    assert found == (130, "", "\nStopped. Nothing was written.\n")
