import dataclasses
import math

import painted
import pytest

from mitozoo.base.errors import InputError, RecipeError
from mitozoo.data.images import MAX_PX
from mitozoo.inference.session import Search, Settings
from mitozoo.inference.speed import threads_in_use
from mitozoo.models import zoo

NOT_PLAUSIBLE = (
    "A spacing of {} µm per pixel is not plausible (0.05 to 20). Give the true one with --um-per-px (0.25 is usual at "
    "40x)."
)


@pytest.mark.parametrize(
    ("setting", "value", "kind", "message"),
    [
        ("threshold", 2, RecipeError, "--threshold is a score between 0 and 1, got 2."),
        ("threshold", -0.1, RecipeError, "--threshold is a score between 0 and 1, got -0.1."),
        ("threshold", math.nan, RecipeError, "--threshold is a score between 0 and 1, got nan."),
        ("batch_size", 0, RecipeError, "--batch-size must be 1 or more, got 0."),
        ("hotspot_mm2", 0, RecipeError, "--hotspot-mm2 is an area above 0, got 0."),
        ("hotspot_mm2", math.nan, RecipeError, "--hotspot-mm2 is an area above 0, got nan."),
        ("hotspot_mm2", math.inf, RecipeError, "--hotspot-mm2 is an area above 0, got inf."),
        ("um_per_px", 0, InputError, NOT_PLAUSIBLE.format("0")),
        ("um_per_px", math.nan, InputError, NOT_PLAUSIBLE.format("nan")),
        ("um_per_px", -1, InputError, NOT_PLAUSIBLE.format("-1")),
        ("um_per_px", 40, InputError, NOT_PLAUSIBLE.format("40")),
        ("limit_memory_mb", 10, InputError, "--limit-memory 10 is not enough: the least that works is 928 MB."),
        ("limit_memory_mb", math.nan, InputError, "--limit-memory nan is not enough: the least that works is 928 MB."),
    ],
)
def test_settings_without_sense(setting, value, kind, message):
    with pytest.raises(kind) as caught:
        Settings(**{setting: value})
    assert str(caught.value) == message


def test_settings_at_the_edge_of_sense():
    assert Settings(threshold=0, um_per_px=20, batch_size=1, hotspot_mm2=0.001).max_px == MAX_PX
    assert Settings(threshold=1, um_per_px=0.05).decoder() == {}
    assert Settings(batch_size=3, cut=0.01).decoder() == {"batch_size": 3, "cut": 0.01}
    assert Settings(limit_memory_mb=928).max_px == 1_000_000
    assert Settings(limit_memory_mb=1e6).max_px == MAX_PX


def test_flag_before_data_set_before_file_before_model(known_points, tmp_path):
    path = painted.save(tmp_path / "a.png", painted.flat())

    def spacing(flag, known):
        search = Search(zoo.load("colour"), Settings(um_per_px=flag))
        ((result, _),) = search.images([("a.png", path)], spacing={path: known})
        return result.um_per_px, result.spacing_source

    assert spacing(0.5, 0.3) == (0.5, "flag")
    assert spacing(None, 0.3) == (0.3, "flag")
    assert spacing(None, None) == (0.25, "assumed")


def test_images_above_the_limit_of_memory_are_refused(known_points, tmp_path):
    path = painted.save(tmp_path / "a.png", painted.flat(width=1001, height=1000))
    search = Search(zoo.load("colour"), Settings(limit_memory_mb=928))
    ((result, pixels),) = search.images([("a.png", path)])
    assert pixels is None
    assert result.status == (
        f"{path} is 1001 x 1000 px (0.0 GB), more than the 1 million pixels that are read at once. Cut it into tiles "
        "or save it as a pyramidal slide (.svs or tiled .tif), which is read piece by piece."
    )


def test_record(known_points):
    loaded = zoo.load("colour")
    assert Search(loaded, Settings(threshold=0.01, um_per_px=0.5, batch_size=3)).record() == {
        "model": "colour",
        "architecture": "cnn12",
        "weights": "colour.weights.h5",
        "weights_sha256": loaded.sha256,
        "threshold": 0.01,
        "look_again": 0.01,
        "decoder": {"batch_size": 3, "cut": 0.01},
        "model_um_per_px": 0.25,
        "um_per_px_flag": 0.5,
        "limit_memory_mb": None,
        "speed": {
            "precision": "float32",
            "xla": False,
            "threads": threads_in_use(),
            "why": "default: measured by benchmarks/precision_speed.py, figures in docs/speed.md",
        },
    }


def test_record_of_several(known_points):
    loaded = zoo.load("colour")
    first = dataclasses.replace(loaded, sha256="a" * 64, threshold=0.25, tuned_on=("7", "3"))
    second = dataclasses.replace(loaded, name="other", sha256="b" * 64, decoder={"merge_px": 20})
    record = Search([second, first], Settings(tta=2)).record()
    assert (record["model"], record["architecture"], record["weights"]) == (
        "colour + other", "cnn12", "colour.weights.h5",
    )  # fmt: skip
    assert (record["weights_sha256"], record["threshold"]) == ("a" * 64 + "+" + "b" * 64, (0.25 + 0.5) / 2)
    assert (record["tuned_on"], record["tta"]) == (["3", "7"], 2)
    assert record["ensemble"] == [
        {"model": "colour", "weights": "colour.weights.h5", "weights_sha256": "a" * 64, "threshold": 0.25,
         "decoder": {}},
        {"model": "other", "weights": "colour.weights.h5", "weights_sha256": "b" * 64, "threshold": 0.5,
         "decoder": {"merge_px": 20}},
    ]  # fmt: skip
    assert "tuned_on" not in Search(first, Settings(threshold=0.4)).record()


def test_views_and_models_take_memory(known_points):
    # 60 MB for each further model.
    loaded = zoo.load("colour")
    assert Search([loaded] * 3, Settings(limit_memory_mb=1048)).predictor.max_px == 1_000_000
    with pytest.raises(InputError, match="the least that works is 1048 MB"):
        Search([loaded] * 3, Settings(limit_memory_mb=1000))
    # 3 bytes a pixel more, for the turned copy.
    assert Settings(limit_memory_mb=931, tta=2).max_px == 1_000_000
    with pytest.raises(InputError, match="the least that works is 931 MB"):
        Settings(limit_memory_mb=928, tta=2)
