"""Mask R-CNN as a whole."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from counts import conv, mobilenet, resnet
from symbolic import parameters

from mitozoo.base.errors import UnknownNameError
from mitozoo.models import registry
from mitozoo.models.imagenet import encoders_of

SMALL = {"backbone": "mobilenet", "pyramid": 16, "head": 32, "proposals": 50, "detections": 6, "tile_px": 64}


@pytest.fixture(scope="module")
def small():
    keras.utils.set_random_seed(0)
    return registry.build("maskrcnn", **SMALL)


def tiles(count, side=64):
    return np.random.default_rng(count).random((count, side, side, 3)).astype("float32")


def parts(stages, channels, head, ratios=3):
    """Parameters of all but the encoder."""
    pyramid = sum(conv(1, stage, channels) + conv(3, channels, channels) for stage in stages)
    rpn = conv(3, channels, channels) + conv(1, channels, ratios) + conv(1, channels, 4 * ratios)
    box = (49 * channels + 1) * head + (head + 1) * head + (head + 1) * (2 + 4)
    mask = 4 * conv(3, channels, channels) + conv(2, channels, channels) + conv(1, channels, 1)
    return pyramid + rpn + box + mask


def test_parameters_by_hand():
    wide = (256, 512, 1024, 2048)
    assert registry.spec("maskrcnn").params == resnet((3, 4, 23, 3)) + parts(wide, 256, 1024) == 63_121_302
    assert parameters("maskrcnn") == 63_121_302
    assert parameters("maskrcnn", backbone="resnet50") == resnet((3, 4, 6, 3)) + parts(wide, 256, 1024)


def test_parameters_of_the_small_one(small):
    assert small.count_params() == mobilenet() + parts((128, 256, 512, 1024), 16, 32)


def test_one_graph_serves_every_batch(small):
    traces = []

    @tf.function(input_signature=[tf.TensorSpec((None, 64, 64, 3))])
    def graph(batch):
        traces.append(1)
        return small(batch, training=False)

    for count in (1, 3, 2):
        found = graph(tiles(count))
        assert {key: tuple(value.shape) for key, value in found.items()} == {
            "boxes": (count, 6, 4), "scores": (count, 6), "masks": (count, 6, 28, 28),
        }  # fmt: skip
        for key, value in small(tiles(count), training=False).items():
            np.testing.assert_allclose(found[key], value, atol=1e-3)
    assert len(traces) == 1


def test_outputs_are_boxes_in_the_tile_with_probabilities(small):
    found = {key: np.array(value) for key, value in small(tiles(2)).items()}
    is_one = found["scores"] > 0
    assert is_one[:, 0].all() and (found["scores"] <= 1).all()
    assert (found["boxes"][is_one] >= 0).all() and (found["boxes"][is_one] <= 64).all()
    assert (found["boxes"][~is_one] == -1).all() and (found["scores"][~is_one] == -1).all()
    assert (np.diff(found["scores"]) <= 0).all()
    assert (found["masks"] >= 0).all() and (found["masks"] <= 1).all()


def test_weights_do_not_depend_on_the_tile(small):
    large = registry.build("maskrcnn", **{**SMALL, "tile_px": 128})
    large.set_weights(small.get_weights())
    assert tuple(large(tiles(1, 128))["boxes"].shape) == (1, 6, 4)


def test_saved_weights_give_equal_outputs(small, tmp_path):
    small.save_weights(tmp_path / "a.weights.h5")
    other = registry.build("maskrcnn", **SMALL)
    assert not np.allclose(other(tiles(1))["boxes"], small(tiles(1))["boxes"])
    other.load_weights(tmp_path / "a.weights.h5")
    for key, value in small(tiles(1)).items():
        np.testing.assert_array_equal(value, other(tiles(1))[key])


def test_half_precision_finds_boxes_near_those_of_single(small):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = registry.build("maskrcnn", **SMALL)
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(small.get_weights())
    found, wanted = half(tiles(1)), small(tiles(1))
    assert {key: keras.backend.standardize_dtype(value.dtype) for key, value in found.items()} == {
        "boxes": "float32", "scores": "float32", "masks": "float32",
    }  # fmt: skip
    np.testing.assert_allclose(found["scores"][:, 0], wanted["scores"][:, 0], atol=0.02)


def test_its_encoder_may_start_from_imagenet(small):
    assert [encoder.name for encoder in encoders_of(small)] == ["mobilenet"]


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"anchors": (32, 64)}, ValueError, "anchors must be 4 sizes, one for each of P2 to P5, got 2."),
        ({"tile_px": 500}, ValueError, "tile_px must be a multiple of 32, got 500."),
        ({"backbone": "mobilnet"}, UnknownNameError, "No encoder named 'mobilnet'. Did you mean 'mobilenet'?"),
    ],
)
def test_settings_that_cannot_be(settings, error, text):
    with pytest.raises(error) as found:
        registry.build("maskrcnn", **{**SMALL, **settings})
    assert str(found.value) == text


def test_its_spec_does_not_import_kerascv():
    code = (
        "import sys; from mitozoo.models import registry; registry.spec('maskrcnn'); "
        "import mitozoo.training.rcnn_trainer, mitozoo.inference.decoders.detect; sys.exit('keras_cv' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
