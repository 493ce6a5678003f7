"""`mitozoo evaluate` from end to end; the numbers themselves are worked out in tests/api."""

import json

import painted
import pytest

from mitozoo.api import evaluating
from mitozoo.commands import main


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(map(str, arguments)))
    printed = capsys.readouterr()
    return left.value.code, printed.out, printed.err


@pytest.fixture
def patches(painted_zoo, tmp_path):
    """3 mitoses of which 2 look like one, and a right negative."""
    for name, colour in (("a_1", painted.RED), ("a_2", painted.RED), ("b_1", painted.BLUE)):
        painted.save(tmp_path / "patches" / "mitosis" / f"{name}.png", painted.flat(colour, 128, 128))
    painted.save(tmp_path / "patches" / "not_mitosis" / "b_2.png", painted.flat(painted.BLUE, 128, 128))
    return tmp_path / "patches"


def test_patches(patches, tmp_path, capsys):
    arguments = ["evaluate", patches, "--model", "colour", "--out", tmp_path / "report", "--seed", "3"]
    assert run(capsys, *arguments) == (
        0,
        "4 patches of 2 cases, mitotic against the rest: precision 1.000, recall 0.667, F1 0.800\n"
        f"Report: {tmp_path / 'report' / 'report.html'}\n",
        "",
    )
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["about"]["command"] == "mitozoo " + " ".join(map(str, arguments))
    assert content["bootstrap"]["seed"] == 3
    code, out, err = run(capsys, *arguments)
    assert (code, out, err) == (
        2,
        "",
        f"Error: {tmp_path / 'report'} holds a report already. Choose another --out, or add --overwrite to replace "
        "it.\n",
    )
    assert run(capsys, *arguments, "--overwrite")[0] == 0


def test_a_sample_has_its_labels_with_it(painted_zoo, tmp_path, capsys):
    drawn = tmp_path / "drawn"
    assert run(capsys, "sample", drawn, "--count", "2", "--size-px", "384")[0] == 0
    code, out, err = run(
        capsys, "evaluate", drawn, "--model", "colour", "--out", tmp_path / "report", "--threshold", "1"
    )
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "2 fields, protocol default: precision nan, recall 0.000, F1 0.000"
    labels = json.loads((drawn / "MIDOG.json").read_text())["annotations"]
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["fn"] == sum(item["category_id"] == 1 for item in labels) > 0
    assert content["about"]["spacing"] == "known"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--protocol", "midgo"], "No protocol named 'midgo'. Did you mean 'midog'?"),
        (
            ["--data-format", "foldr_per_class"],
            "No data format named 'foldr_per_class'. Did you mean 'folder_per_class'?",
        ),
        (["--case", "c"], "No case in patches named 'c'. Known: a, b."),
        (["--seed", "-1"], "--seed must be 0 or more, got -1."),
        (["--threshold", "nan"], "--threshold is a score between 0 and 1, got nan."),
        (["--model", "colours"], "No zoo entry named 'colours'. Did you mean 'colour'?"),
    ],
)
def test_errors_are_one_line(patches, tmp_path, capsys, arguments, message):
    found = run(capsys, "evaluate", patches, "--model", "colour", "--out", tmp_path / "report", *arguments)
    assert found == (2, "", f"Error: {message}\n")
    assert not (tmp_path / "report" / "report.json").exists()


def test_a_path_that_does_not_exist(patches, tmp_path, capsys):
    found = run(capsys, "evaluate", tmp_path / "patchs", "--out", tmp_path / "report")
    assert found == (2, "", f"Error: No such file or folder: {tmp_path / 'patchs'}. Did you mean 'patches'?\n")


def test_an_empty_data_set(painted_zoo, tmp_path, capsys):
    (tmp_path / "MIDOG.json").write_text('{"images": [], "annotations": [], "categories": []}')
    found = run(capsys, "evaluate", tmp_path / "MIDOG.json", "--out", tmp_path / "report")
    assert found == (
        2,
        "",
        f"Error: {tmp_path / 'MIDOG.json'} holds no image of the format midog (MIDOG or COCO json (images, categories, "
        "annotations with bbox)).\n",
    )
    (tmp_path / "nothing").mkdir()
    code, out, err = run(capsys, "evaluate", tmp_path / "nothing", "--out", tmp_path / "report")
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {tmp_path / 'nothing'} is in no known label format. Looked for:\n  ami_br: ")


def test_labels_outside_their_image(painted_zoo, tmp_path, capsys):
    painted.save(tmp_path / "set" / "a.png", painted.flat(width=100, height=100))
    image = {"id": 1, "file_name": "a.png", "width": 100, "height": 100}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [300, 300, 350, 350]}
    content = {"images": [image], "annotations": [box], "categories": [{"id": 1, "name": "mitotic figure"}]}
    (tmp_path / "set" / "MIDOG.json").write_text(json.dumps(content))
    found = run(capsys, "evaluate", tmp_path / "set", "--model", "colour", "--out", tmp_path / "report")
    assert found == (
        2,
        "",
        f"Error: {tmp_path / 'set' / 'a.png'}: the mitotic_figure at x 325, y 325 lies outside the image (100 x 100 "
        "px). Correct the label file, or check that it belongs to this image.\n",
    )


def test_ctrl_c(patches, tmp_path, capsys, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluating, "load_all", stop)
    found = run(capsys, "evaluate", patches, "--model", "colour", "--out", tmp_path / "report")
    assert found == (130, "", "\nStopped. No report was written.\n")


def test_predictions_of_another_program(painted_zoo, tmp_path, capsys):
    painted.save(tmp_path / "set" / "a.png", painted.flat())
    image = {"id": 1, "file_name": "a.png", "width": 200, "height": 160, "tumor_type": "canine"}
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [15, 5, 65, 55]}
    other = {**image, "id": 2, "file_name": "b.png", "tumor_type": "human"}
    far = {"id": 2, "image_id": 2, "category_id": 1, "bbox": [75, 65, 125, 115]}
    painted.save(tmp_path / "set" / "b.png", painted.flat())
    content = {"images": [image, other], "annotations": [box, far], "categories": [{"id": 1, "name": "mitotic figure"}]}
    (tmp_path / "set" / "MIDOG.json").write_text(json.dumps(content))
    (tmp_path / "found.csv").write_text("image,x_px,y_px,score\na.png,40,30,0.9\nb.png,10,10,0.8\nb.png,99,90,0.7\n")
    arguments = ["evaluate", tmp_path / "set", "--predictions", tmp_path / "found.csv", "--um-per-px", "0.25"]
    out = ["--out", tmp_path / "report"]
    assert run(capsys, *arguments, *out) == (
        2,
        "",
        f"Error: No run.json beside {tmp_path / 'found.csv'} says from which score a detection counts: give "
        "--threshold.\n",
    )
    # a: right. b: one right, one wrong, so F1 2 / 3.
    assert run(capsys, *arguments, *out, "--threshold", "0.5") == (
        0,
        "2 fields, protocol default: precision 0.667, recall 1.000, F1 0.800\n"
        "Worst of 2 domains: human, F1 0.667\n"
        f"Report: {tmp_path / 'report' / 'report.html'}\n",
        "",
    )
    assert run(capsys, *arguments, *out, "--model", "colour") == (
        2,
        "",
        "Error: --predictions are measured as they are, without a model: leave --model out.\n",
    )
    assert run(capsys, "evaluate", tmp_path / "set", *out, "--ignore-unknown") == (
        2,
        "",
        "Error: --ignore-unknown is about --predictions: give them, or leave it out.\n",
    )
