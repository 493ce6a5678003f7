"""`mitozoo review` from a search to labels that are measured on, with points that are known."""

import json

import painted
import pytest

from mitozoo.commands import main
from mitozoo.data import formats
from mitozoo.data.cells import collect


@pytest.fixture
def call(tmp_path, capsys, monkeypatch):
    """Run a command in a folder with a.png and b.png in fields/; exit code, output and error output."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "b.png"):
        painted.save(tmp_path / "fields" / name, painted.flat(width=200, height=160))

    def run(line):
        with pytest.raises(SystemExit) as left:
            main(line.split())
        printed = capsys.readouterr()
        return left.value.code, printed.out, printed.err

    return run


@pytest.fixture
def reviewed(call, known_points, tmp_path):
    """Both images have cells at 40, 30 (0.9), 100, 90 (0.4: doubtful, the threshold is 0.5) and 160, 30 (0.2)."""
    known_points.xy = [[40.0, 30.0], [100.0, 90.0], [160.0, 30.0]]
    known_points.scores = [0.9, 0.4, 0.2]
    assert call("predict fields --model colour --out found --um-per-px 0.25")[0] == 0
    assert call("review fields --found found --out review") == (
        0,
        "2 detections and 2 doubtful cells in 2 images.\n"
        "In QuPath, drag each file onto its image; delete or re-classify what is wrong, add what was missed, and "
        "export the objects under the same name. review/README.txt says how.\n"
        "Files: review\n",
        "",
    )
    return tmp_path / "review"


def edit(file, change):
    content = json.loads(file.read_text())
    change(content["features"])
    file.write_text(json.dumps(content["features"]))


def test_from_a_search_to_labels(call, reviewed):
    def change(features):
        del features[0]
        features[0]["properties"]["classification"] = {"name": "Atypical mitotic figure"}

    edit(reviewed / "a.png.geojson", change)
    edit(reviewed / "b.png.geojson", lambda features: features.pop())
    code, out, err = call("review --read review --images fields --out labels.json")
    assert (code, err) == (0, "")
    assert out == (
        "a.png: 0 confirmed, 0 re-classified, 1 removed, 0 added; of 1 doubtful cell 1 mitotic\n"
        "b.png: 1 confirmed, 0 re-classified, 0 removed, 0 added; of 1 doubtful cell 0 mitotic\n"
        "All 2 images: 1 confirmed, 0 re-classified, 1 removed, 0 added; of 2 doubtful cells 1 mitotic\n"
        "2 mitotic figures (1 of them atypical) and 2 look-alikes in 2 images.\n"
        "Labels: labels.json\n"
    )
    dataset = formats.read("labels.json")
    classes = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")
    gathered = collect([dataset], [], classes, seed=0)  # as `mitozoo train --data` reads them
    assert sorted(gathered.labels.tolist()) == [0, 0, 1, 2]
    # Of the truths b 40, 30 and a 100, 90 the search counts one; its other detection, a 40, 30, is false.
    assert call("evaluate labels.json --model colour --um-per-px 0.25 --out measured")[1].startswith(
        "2 fields, protocol default: precision 0.500, recall 0.500, F1 0.500"
    )


def test_what_is_left_open_is_refused_or_left_out(call, reviewed):
    edit(reviewed / "a.png.geojson", lambda features: features.pop(0))
    code, out, err = call("review --read review --images fields --out labels.csv")
    assert (code, out) == (2, "") and "1 cell is still of the class Look again: a.png at x 100, y 90." in err
    code, out, err = call("review --read review --images fields --out labels.csv --drop-unsure")
    assert (code, err) == (0, "Unlabelled, since their files were not saved again: b.png\n")
    assert out == (
        "a.png: 0 confirmed, 0 re-classified, 1 removed, 0 added, 1 unsure and left out\n"
        "0 mitotic figures (0 of them atypical) and 1 look-alike in 1 image.\n"
        "Labels: labels.csv\n"
    )


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("review fields --out r", "Give images and --found, or --read with --images. See 'mitozoo review --help'."),
        ("review fields --found found --out r --drop-unsure", "--drop-unsure goes with --read."),
        ("review fields --read r --images fields --out l.json", "--read reads files back: leave --found out"),
        ("review --read r --out l.json", "--read needs the images: give them, or their folder, as --images."),
        ("review --read r --images fields --out l.txt", "--out is one .json or .csv file of labels, got l.txt."),
        ("review fields --found fond --out r", "No such folder: fond."),
        ("review --read fields --images fields --out l.json", "fields has no review.json. Give a folder that"),
    ],
)
def test_wrong_usage_says_what_is_meant(call, line, text):
    code, out, err = call(line)
    assert (code, out) == (2, "") and text in err


def test_failed_and_other_images_get_no_file(call, known_points, tmp_path):
    (tmp_path / "fields" / "broken.png").write_bytes(b"nothing")
    assert call("predict fields --model colour --out found")[0] == 1
    painted.save(tmp_path / "fields" / "new.png", painted.flat())
    code, _, err = call("review fields --found found --out review")
    assert code == 0
    assert err == (
        "Without a file, since they could not be searched: broken.png\n"
        "Without a file, since they were not part of the run: new.png\n"
    )
