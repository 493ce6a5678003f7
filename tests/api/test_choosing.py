"""Ensembles, views and tuned thresholds, from weights on disk to results."""

import json

import painted
import pytest

import mitozoo
from mitozoo.api.choosing import identity, load_all, with_tuned
from mitozoo.base.errors import RecipeError, UnknownNameError, WeightsError
from mitozoo.commands import main
from mitozoo.models import zoo


def fold(folder, weights, model="cnn12"):
    folder.mkdir(parents=True)
    (folder / "model.weights.h5").write_bytes(weights.read_bytes())
    (folder / "run.json").write_text(json.dumps({"model": model}))
    return folder


@pytest.fixture
def folds(painted_zoo, painted_weights, tmp_path):
    """A cross-validation of two folds whose weights are the same."""
    for number in range(2):
        fold(tmp_path / "folds" / f"fold_{number}", painted_weights / "colour.weights.h5")
    (tmp_path / "folds" / "run.json").write_text('{"model": "cnn12"}')
    return tmp_path / "folds"


@pytest.fixture
def tuned(painted_zoo, tmp_path):
    def write(**change):
        path = tmp_path / "tuned.json"
        content = {
            "kind": "mitozoo tuned threshold", "threshold": 0.3, "decoder": {"merge_px": 20}, "cases": ["a.png"],
            "weights_sha256": zoo.load("colour").sha256, "model": "colour",
        }  # fmt: skip
        path.write_text(json.dumps(content | change))
        return path

    return write


def test_a_folder_of_folds_is_all_of_them(folds, tmp_path):
    members = load_all("cnn12", folds)
    assert [item.weights for item in members] == [folds / f"fold_{k}" / "model.weights.h5" for k in range(2)]
    assert identity(members) == "+".join([members[0].sha256] * 2)
    assert len(load_all("cnn12", [folds / "fold_0", folds / "fold_1" / "model.weights.h5"])) == 2
    image = painted.save(tmp_path / "a.png", painted.spotted([(200, 200)]))
    (one,) = mitozoo.predict(image, model="cnn12", weights=folds / "fold_0", threshold=0.5)
    (both,) = mitozoo.predict(image, model="cnn12", weights=folds, threshold=0.5)
    assert [(d.x_px, d.y_px) for d in both.detections] == [(d.x_px, d.y_px) for d in one.detections] != []


def test_what_cannot_be_loaded(folds, tmp_path):
    with pytest.raises(RecipeError, match="2 times --model and 1 times --weights do not go in pairs"):
        load_all(["cnn12", "stn"], [folds / "fold_0"])
    (folds / "fold_1" / "model.weights.h5").unlink()
    with pytest.raises(WeightsError, match="fold_1 has no model.weights.h5 yet. Let the cross-validation finish"):
        load_all("cnn12", folds)
    with pytest.raises(WeightsError, match="holds neither model.weights.h5 nor folds"):
        load_all("cnn12", tmp_path)
    with pytest.raises(UnknownNameError):
        load_all(["colour", "color"], None)
    assert len(load_all(["colour", "colour"], None)) == 1


def test_a_tuned_threshold_and_its_settings(tuned):
    (member,), tta = with_tuned(load_all("colour", None), tuned())
    assert (member.threshold, member.decoder["merge_px"], member.tuned_on, tta) == (0.3, 20, ("a.png",), 1)
    with pytest.raises(RecipeError, match="was tuned for other weights"):
        with_tuned(load_all("colour", None), tuned(weights_sha256="0" * 64))


def test_it_is_used_and_never_measured_on_its_own_cases(known_points, tuned, tmp_path):
    fields = tmp_path / "fields"
    boxes = []
    for number, name in enumerate(("a.png", "b.png")):
        painted.save(fields / name, painted.flat())
        boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [15, 5, 65, 55]})
    images = [{"id": k, "file_name": n, "width": 200, "height": 160} for k, n in enumerate(("a.png", "b.png"))]
    categories = [{"id": 1, "name": "mitotic figure"}]
    (fields / "own.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))
    path = tuned()
    # Points of 0.9 and 0.4: at 0.3 both count.
    results = mitozoo.predict(fields, model="colour", tuned=path)
    assert [len(result.detections) for result in results] == [2, 2]
    with pytest.raises(
        RecipeError, match=r"The threshold was chosen on a\.png: measured there, it would look too good"
    ):
        mitozoo.evaluate(fields, model="colour", tuned=path)
    report = mitozoo.evaluate(fields, model="colour", tuned=path, cases=["b.png"])
    assert (report.counts.tp, report.counts.fp, report.counts.fn) == (1, 1, 0)
    assert mitozoo.evaluate(fields, model="colour", tuned=path, threshold=0.5).counts.fp == 0
    with pytest.raises(RecipeError, match="The threshold was tuned with --tta 1, not 4"):
        mitozoo.predict(fields, model="colour", tuned=path, tta=4)


def test_tune_keeps_its_choice_beside_the_weights(known_points, painted_weights, tmp_path, capsys):
    run = fold(tmp_path / "run", painted_weights / "colour.weights.h5")
    fields = tmp_path / "fields"
    painted.save(fields / "a.png", painted.flat())
    images = [{"id": 0, "file_name": "a.png", "width": 200, "height": 160}]
    box = {"id": 0, "image_id": 0, "category_id": 1, "bbox": [15, 5, 65, 55]}
    content = {"images": images, "annotations": [box], "categories": [{"id": 1, "name": "mitotic figure"}]}
    (fields / "own.json").write_text(json.dumps(content))
    words = ["tune", fields, "--model", "cnn12", "--weights", run, "--case", "a.png", "--out", tmp_path / "t.json"]
    with pytest.raises(SystemExit) as end:
        main([*map(str, words), "--keep", "--quiet"])
    assert end.value.code == 0, capsys.readouterr().err
    # One figure at (40, 30), found at 0.9; the point of 0.4 is wrong.
    record = json.loads((run / "run.json").read_text())
    assert (record["model"], record["threshold"], record["tuned_on"]) == ("cnn12", 0.9, ["a.png"])
    (member,) = load_all("cnn12", run)
    assert (member.threshold, member.tuned_on) == (0.9, ("a.png",))
    with pytest.raises(RecipeError, match="The threshold was chosen on a.png"):
        mitozoo.evaluate(fields, model="cnn12", weights=run)


def test_the_record_tells_members_and_views(known_points, folds, tmp_path):
    image = painted.save(tmp_path / "a.png", painted.flat())
    mitozoo.predict(image, model="cnn12", weights=folds, tta=2, out=tmp_path / "found", formats=["csv"])
    record = json.loads((tmp_path / "found" / "run.json").read_text())
    assert record["tta"] == 2 and [item["model"] for item in record["ensemble"]] == ["cnn12", "cnn12"]
    assert len(known_points.shapes) == 4  # two models, two views


@pytest.fixture
def fields(tmp_path):
    """a.png and b.png have a figure at (40, 30); the network finds it at 0.9, and a wrong one at 0.4."""
    images, boxes = [], []
    for number, name in enumerate(("a.png", "b.png")):
        painted.save(tmp_path / "fields" / name, painted.flat())
        images.append({"id": number, "file_name": name, "width": 200, "height": 160})
        boxes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [15, 5, 65, 55]})
    content = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "mitotic figure"}]}
    (tmp_path / "fields" / "own.json").write_text(json.dumps(content))
    return tmp_path / "fields"


def command(*words):
    with pytest.raises(SystemExit) as end:
        main([*map(str, words), "--quiet"])
    return end.value.code


def test_an_ensemble_is_tuned_and_searched_as_it_was_tuned(known_points, folds, fields, tmp_path):
    path, model = tmp_path / "t.json", ["--model", "cnn12", "--weights", folds]
    known_points.xy, known_points.scores = [[40.0, 30.0], [199 - 40, 159 - 30]], [0.9, 0.6]
    assert command("tune", fields, *model, "--case", "a.png", "--tta", 2, "--out", path) == 0
    # Turned by half, the two places change: both are found by every opinion, the mean score is 0.75, and one is wrong.
    content = json.loads(path.read_text())
    assert (content["threshold"], content["tta"], content["model"]) == (0.75, 2, "cnn12 + cnn12")
    settings = {"model": "cnn12", "weights": folds, "tuned": path, "tta": 2}
    (result,) = mitozoo.predict(fields / "b.png", out=tmp_path / "found", formats=["csv"], **settings)
    assert [item.score for item in result.detections] == [0.75, 0.75]
    record = json.loads((tmp_path / "found" / "run.json").read_text())
    assert (record["threshold"], record["tuned_on"], record["tuned"]) == (0.75, ["a.png"], str(path))
    report = mitozoo.evaluate(fields, cases=["b.png"], out=tmp_path / "measured", **settings)
    assert (report.counts.tp, report.counts.fp) == (1, 1)
    about = json.loads((tmp_path / "measured" / "report.json").read_text())["about"]
    assert (about["threshold chosen on"], about["views of each image"]) == ("a.png", "2")
    with pytest.raises(RecipeError, match="The threshold was tuned with --tta 2, not 1"):
        mitozoo.predict(fields, **{**settings, "tta": 1})
    with pytest.raises(RecipeError) as caught:
        mitozoo.predict(fields, **{**settings, "weights": folds / "fold_0"})
    short = zoo.load("colour").sha256[:12]
    assert str(caught.value) == (
        f"{path} was tuned for other weights (cnn12 + cnn12, {short}+{short}), not {short}. Tune again for these."
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--keep puts the choice beside your own weights: give --weights, or leave --keep out."),
        (["folds"], "--keep is for one model; a choice for several is kept in --out. Leave --keep out."),
        (
            ["folds/fold_0", "--tta", "2"],
            "--keep is for one view of each image; a choice for --tta is kept in --out. Leave one out.",
        ),
        (["bare"], "run.json cannot be read"),
    ],
)
def test_what_cannot_be_kept_is_said_before_the_search(known_points, folds, fields, tmp_path, capsys, words, message):
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "model.weights.h5").write_bytes((folds / "fold_0" / "model.weights.h5").read_bytes())
    weights = ["--model", "cnn12", "--weights", tmp_path / words[0], *words[1:]] if words else ["--model", "colour"]
    assert command("tune", fields, *weights, "--case", "a.png", "--out", tmp_path / "t.json", "--keep") == 2
    assert message in capsys.readouterr().err
    assert known_points.shapes == [] and not (tmp_path / "t.json").exists()


def test_patches_and_predictions_have_no_tuned_threshold(painted_zoo, fields, tuned, tmp_path):
    painted.save(tmp_path / "patches" / "mitosis" / "a_1.png", painted.flat(painted.RED, 128, 128))
    with pytest.raises(RecipeError) as caught:
        mitozoo.evaluate(tmp_path / "patches", model="colour", tuned=tuned())
    assert str(caught.value) == (
        "--tuned holds a detector's threshold, and patches has patches of single cells, which no detector searches. "
        "Leave --tuned out."
    )
    for given in ({"tuned": tuned()}, {"tta": 4}):
        with pytest.raises(RecipeError) as caught:
            mitozoo.evaluate(fields, predictions=tmp_path, **given)
        assert str(caught.value) == (
            "--predictions are measured as they are, without a search: leave --tuned and --tta out."
        )


def test_patches_by_two_models(painted_zoo, tmp_path):
    painted.save(tmp_path / "patches" / "mitosis" / "a_1.png", painted.flat(painted.RED, 128, 128))
    painted.save(tmp_path / "patches" / "not_mitosis" / "b_1.png", painted.flat(painted.BLUE, 128, 128))
    one = mitozoo.evaluate(tmp_path / "patches", model="colour")
    both = mitozoo.evaluate(
        tmp_path / "patches", model="colour", weights=[zoo.load("colour").weights] * 2, tta=8, out=tmp_path / "measured"
    )
    assert (
        (both.patches, both.mitotic.tp, both.mitotic.fp) == (one.patches, one.mitotic.tp, one.mitotic.fp) == (2, 1, 0)
    )
    about = json.loads((tmp_path / "measured" / "report.json").read_text())["about"]
    assert about["views of each image"] == "8" and "threshold chosen on" not in about
