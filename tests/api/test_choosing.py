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
