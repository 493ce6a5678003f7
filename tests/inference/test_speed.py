"""Precision, compiler and threads: what is asked for is used, chosen by measurement, and on record."""

import json
import os
import subprocess
import sys

import numpy as np
import painted
import pytest

import mitozoo
from mitozoo.base.errors import RecipeError, UnknownNameError
from mitozoo.inference import tune_speed
from mitozoo.inference.session import Search, Settings
from mitozoo.inference.speed import ASKED_REASON, Speed, asked_speed
from mitozoo.inference.tune_speed import chosen, same_calls, tuned_speed, ways
from mitozoo.models import zoo


def test_what_there_is_not():
    with pytest.raises(UnknownNameError) as error:
        Speed("float61")
    assert str(error.value) == "No precision named 'float61'. Did you mean 'float16'?"
    with pytest.raises(RecipeError) as error:
        Speed(threads=0)
    assert str(error.value) == "--threads must be 1 or more, got 0."


def test_why_is_said():
    assert asked_speed("float32", xla=False, threads=None) == Speed()
    assert asked_speed("bfloat16", xla=False, threads=None).why == ASKED_REASON


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_16_bits_compute_in_16_bits_and_find_the_same(painted_zoo, precision):
    loaded = zoo.load("colour")
    field = painted.spotted([(200, 150)])
    plain, fewer = Search(loaded), Search(loaded, Settings(speed=Speed(precision)))
    layer = fewer.predictor.loaded.model.get_layer("trunk").get_layer("conv1")
    assert layer.compute_dtype == precision and layer.variable_dtype == "float32"
    assert loaded.model.get_layer("trunk").get_layer("conv1").compute_dtype == "float32"
    one, two = (search.predictor.detections(field, 0.25) for search in (plain, fewer))
    assert [(item.x_px, item.y_px) for item in one] == [(item.x_px, item.y_px) for item in two]
    np.testing.assert_allclose([item.score for item in one], [item.score for item in two], atol=0.02)
    assert one[0].score > 0.5


def test_a_run_in_another_precision_is_another_run_and_threads_are_not(painted_zoo):
    loaded = zoo.load("colour")
    plain = Search(loaded)
    assert plain.mark() != Search(loaded, Settings(speed=Speed("bfloat16"))).mark()
    assert plain.mark() == Search(loaded, Settings(speed=Speed(why="measured"))).mark()


def test_run_json_says_what_was_used(painted_zoo, tmp_path):
    painted.save(tmp_path / "a.png", painted.spotted([(200, 150)]))
    mitozoo.predict(tmp_path / "a.png", model="colour", out=tmp_path / "found", precision="bfloat16", um_per_px=0.25)
    speed = json.loads((tmp_path / "found" / "run.json").read_text(encoding="utf-8"))["speed"]
    assert (speed["precision"], speed["xla"], speed["why"]) == ("bfloat16", False, ASKED_REASON)
    assert speed["threads"] >= 1


def test_threads_and_compiler_reach_tensorflow():
    """In a process of its own, where TensorFlow has not started."""
    code = """
import json, tensorflow as tf
from mitozoo.inference.speed import Speed, set_up, threads_in_use
set_up(Speed(threads=1, xla=True))
before = [threads_in_use(), tf.config.optimizer.get_jit()]
set_up(Speed(threads=1))
tf.constant(1.0) + 1.0
try:
    set_up(Speed(threads=2))
except Exception as error:
    said = [type(error).__name__, str(error)]
print(json.dumps([before, tf.config.optimizer.get_jit(), said]))
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    before, after, said = json.loads(done.stdout.splitlines()[-1])
    assert before == [1, "autoclustering"] and not after
    assert said == [
        "RecipeError",
        "--threads 2 comes too late: TensorFlow runs already. Start Python again and give them at once.",
    ]


def test_threads_are_given_before_the_model_is_loaded(tmp_path):
    painted.save(tmp_path / "a.png", painted.flat((225, 150, 190)))
    code = (
        "import sys, mitozoo; mitozoo.predict(sys.argv[1], model='cnn12', um_per_px=0.25, out=sys.argv[2], threads=1)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    given = [str(tmp_path / "a.png"), str(tmp_path / "found")]
    subprocess.run([sys.executable, "-c", code, *given], env=environment, check=True)
    assert json.loads((tmp_path / "found" / "run.json").read_text(encoding="utf-8"))["speed"]["threads"] == 1


def test_the_same_calls():
    assert same_calls([], [], 30) == 1 and same_calls([[0, 0]], [], 30) == 0
    assert same_calls([[0, 0], [100, 0]], [[0, 30], [100, 31]], 30) == pytest.approx(1 / 3)
    assert same_calls([[0, 0], [1, 0]], [[0, 0]], 30) == 0.5


def test_the_fastest_that_finds_the_same_is_chosen():
    cells = [[10 * i, 0] for i in range(20)]

    def said(seconds, calls=cells):
        return {"seconds": seconds, "calls": calls}

    plain, xla, half = Speed(), Speed(xla=True), Speed("bfloat16")
    assert chosen([(plain, said(1.0)), (xla, said(0.8)), (half, said(0.9))], 7.5)[0] == xla
    assert chosen([(plain, said(1.0)), (xla, said(0.96))], 7.5)[0] == plain  # not worth it
    best, why = chosen([(plain, said(1.0)), (half, said(0.5, cells[:18])), (xla, said(0.7))], 7.5)
    assert best == xla
    assert why == (
        "measured on this machine, a drawn field of 1024 px: float32 1.000 s (100% of the calls the same), bfloat16 "
        "0.500 s (90% of the calls the same), float32 with XLA 0.700 s (100% of the calls the same)"
    )


def test_ways_begin_with_the_default_and_16_bits_float_is_for_gpus():
    assert ways(0)[0] == Speed() and Speed("float16") not in ways(0) and Speed("float16") in ways(1)


def test_measured_once_for_a_machine_and_weights(painted_zoo, tmp_path, monkeypatch):
    monkeypatch.setenv("MITOZOO_CACHE", str(tmp_path / "cache"))
    tried = []

    def trial(members, field, way, rounds=3):
        assert field.exists()
        tried.append((members[0][0], way))
        if way.precision == "bfloat16":
            raise RecipeError("not here")
        return {"seconds": 0.5 if way.xla else 1.0, "calls": []}

    monkeypatch.setattr(tune_speed, "try_way", trial)
    lines = []
    loaded = zoo.load("colour")
    first = tuned_speed([loaded], lines.append)
    assert (first.precision, first.xla) == ("float32", True) and first.why.startswith("measured on this machine")
    assert tried[0] == ("colour", Speed()) and lines[0] == "Measuring float32"
    count = len(tried)
    assert tuned_speed([loaded]) == first and len(tried) == count
    (kept,) = (tmp_path / "cache" / "speed").iterdir()
    kept.write_text("{")
    assert tuned_speed([loaded]) == first and len(tried) == 2 * count


def test_a_trial_is_a_search_in_a_process_of_its_own(tmp_path):
    field = painted.save(tmp_path / "a.png", painted.flat((225, 150, 190)))
    said = tune_speed.try_way([("cnn12", str(zoo.load("cnn12").weights))], field, Speed("bfloat16"), rounds=1)
    assert 0 < said["seconds"] and said["calls"] == []
    with pytest.raises(RecipeError) as error:
        tune_speed.try_way([("none", "none")], field, Speed("bfloat16", xla=True, threads=2), rounds=1)
    assert str(error.value) == "bfloat16 with XLA and 2 threads does not work on this machine."


def test_tune_speed_goes_with_nothing_else(painted_zoo, tmp_path):
    painted.save(tmp_path / "a.png", painted.flat())
    with pytest.raises(RecipeError) as error:
        mitozoo.predict(tmp_path / "a.png", model="colour", tune_speed=True, xla=True)
    assert str(error.value) == (
        "--tune-speed chooses --precision, --xla and --threads by itself. Leave it or them out."
    )
    with pytest.raises(RecipeError, match=r"--precision, --xla and --threads and --server do not go together"):
        mitozoo.predict(tmp_path / "a.png", server="http://127.0.0.1:1", precision="float16")
