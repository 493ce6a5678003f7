"""The three models, exported, in one process that has TensorFlow alone: the points are those of `predict`."""

import functools
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

import mitozoo
from mitozoo.base.points import CLASSES
from mitozoo.data.synthetic import draw_field
from mitozoo.data.synthetic.sample import png_bytes
from mitozoo.inference.predictor import Predictor
from mitozoo.models import zoo

MODELS = ("cnn12", "stn", "scout")
LOW = 0.05
#: Width and height; the last two are larger than the models' blocks and tiles.
SIZES = {"point": (1, 1), "small": (50, 70), "window": (500, 300), "wide": (1200, 260), "high": (270, 1130)}
SCRIPT = """
import importlib.util, json, sys
for name in ("keras", "mitozoo"):
    sys.modules[name] = None  # from here on, to import them is an error
import numpy as np, tensorflow as tf
folder, place = sys.argv[1:]
given, out = np.load(place + "/given.npz"), {}
names = [name[6:] for name in given.files if name.startswith("image_")]
for model in ("cnn12", "stn", "scout"):
    run = tf.saved_model.load(f"{folder}/{model}/1").signatures
    def keep(key, found):
        out.update({f"{model}/{key}/{name}": value.numpy() for name, value in found.items()})
    def at(threshold, radius_px):
        return {"threshold": tf.constant(threshold, tf.float32), "radius_px": tf.constant(radius_px, tf.float32)}
    code = {name: given["bytes_" + name].tobytes() for name in names + ["jpeg"]}
    for name in names:
        pixels = tf.constant(given["image_" + name][None])
        keep("tensor/" + name, run["image_tensor_at"](image_tensor=pixels, **at([0.05], [30.0])))
        keep("alone/" + name, run["image_bytes"](image_bytes=tf.constant([code[name]])))
    keep("alone/jpeg", run["image_bytes"](image_bytes=tf.constant([code["jpeg"]])))
    batch = tf.constant([code[name] for name in names + ["jpeg"]])
    keep("batch", run["serving_default"](image_bytes=batch))
    two = tf.constant([code["window"], code["window"]])
    keep("own", run["image_bytes_at"](image_bytes=two, **at([0.05, 0.5], [30.0, 120.0])))
    keep("empty", run["image_bytes"](image_bytes=tf.zeros((0,), tf.string)))
imported = [n for n, m in sys.modules.items() if m is not None and n.split(".")[0] in ("keras", "mitozoo")]
assert not [n for n in imported if n.startswith("mitozoo") or n in ("keras.src.models", "keras.layers")], imported
np.savez(place + "/answers.npz", **out)
"""


@functools.cache
def images():
    # Fields side by side, so that there is something to find everywhere.
    strip = np.concatenate([draw_field(512, seed=seed).image for seed in (1, 2, 0)], axis=1)
    field = {name: strip for name in SIZES} | {"high": strip.transpose(1, 0, 2)}
    corners = {"point": (300, 90), "small": (250, 70), "window": (0, 0), "wide": (0, 230), "high": (20, 0)}
    return {
        name: np.ascontiguousarray(field[name][y : y + height, x : x + width])
        for name, (width, height) in SIZES.items()
        for x, y in [corners[name]]
    }


def jpeg():
    return cv2.imencode(".jpg", images()["window"][..., ::-1])[1]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Outputs of all models by "<model>/<what>/<output>", from one fresh process."""
    folder = tmp_path_factory.mktemp("served")
    for model in MODELS:
        mitozoo.export(model, out=folder, check=False)
    given = {f"image_{name}": image for name, image in images().items()}
    given |= {f"bytes_{name}": np.frombuffer(png_bytes(image), np.uint8) for name, image in images().items()}
    np.savez(folder / "given.npz", **given, bytes_jpeg=jpeg())
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(folder)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "answers.npz") as found:
        return dict(found)


@pytest.fixture(scope="module")
def wanted():
    """Detections of `predict` by model and image, and by radius where it is another; each model traced once."""

    @functools.cache
    def predictor(model):
        return Predictor(zoo.load(model), threshold=LOW)

    @functools.cache
    def detections(model, name, threshold, radius_px=30.0):
        predictor(model).decoders[0].merge_px = radius_px
        found = predictor(model).detections(images()[name], 0.25)
        return [item for item in found if item.score >= threshold]

    detections.predictor = predictor
    return detections


def rows(found):
    return np.array([(item.x_px, item.y_px, item.score) for item in found]).reshape(-1, 3)


def assert_same(points, valid, wanted):
    assert valid == len(wanted)
    assert (points[valid:] == -1).all()
    np.testing.assert_allclose(points[:valid, :2], wanted[:, :2], atol=0.5)
    np.testing.assert_allclose(points[:valid, 2], wanted[:, 2], atol=1e-4)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("model", MODELS)
def test_points_are_those_of_predict(answers, wanted, model, name):
    found = {key: answers[f"{model}/tensor/{name}/{key}"][0] for key in ("points", "valid", "probabilities")}
    exact = wanted(model, name, LOW)
    assert_same(found["points"], found["valid"], rows(exact))
    assert [CLASSES[int(row[3])] for row in found["points"]] == [item.label for item in exact]
    atypical = found["probabilities"][:, 2] / found["probabilities"][:, 1:].sum(axis=1)
    np.testing.assert_allclose(atypical, [item.atypical_score for item in exact], atol=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_the_images_have_something_to_find(answers, model):
    assert min(answers[f"{model}/tensor/{name}/valid"][0] for name in ("window", "wide", "high")) >= 3


@pytest.mark.parametrize("model", MODELS)
def test_a_batch_of_several_sizes_gives_what_each_gives_alone(answers, wanted, model):
    points, valid = answers[f"{model}/batch/points"], answers[f"{model}/batch/valid"]
    assert points.shape == (len(SIZES) + 1, valid.max(), 4) and valid.max() > 0
    for i, name in enumerate([*SIZES, "jpeg"]):
        alone = answers[f"{model}/alone/{name}/points"][0]
        assert valid[i] == answers[f"{model}/alone/{name}/valid"][0] == len(alone)
        np.testing.assert_allclose(points[i, : valid[i]], alone, atol=1e-4)
        assert (points[i, valid[i] :] == -1).all()
        if name != "jpeg":
            # Where no threshold is given it is the tuned one.
            assert_same(alone, len(alone), rows(wanted(model, name, zoo.manifest(model).threshold)))


@pytest.mark.parametrize("model", MODELS)
def test_each_image_has_its_own_threshold_and_radius(answers, wanted, model):
    points, valid = answers[f"{model}/own/points"], answers[f"{model}/own/valid"]
    for i, (threshold, radius_px) in enumerate([(0.05, 30.0), (0.5, 120.0)]):
        assert_same(points[i], valid[i], rows(wanted(model, "window", threshold, radius_px)))
    assert 0 < valid[1] < valid[0]


def test_a_heat_map_comes_where_places_are_proposed(answers, wanted):
    proposer = wanted.predictor("scout").decoders[0].proposer
    for name, (width, height) in SIZES.items():
        heat = answers[f"scout/tensor/{name}/heatmap"][0]
        assert heat.shape == (-(-height // 8), -(-width // 8))
        np.testing.assert_allclose(heat, proposer.heat(images()[name]), atol=1e-5)
    assert "scout/alone/small/heatmap" not in answers and "stn/tensor/small/heatmap" not in answers


def test_no_image_gives_no_rows(answers):
    for model in MODELS:
        assert answers[f"{model}/empty/points"].shape == (0, 0, 4)
        assert answers[f"{model}/empty/valid"].shape == (0,)


def test_answers_are_json(answers):
    assert json.dumps(answers["stn/batch/points"].tolist())
