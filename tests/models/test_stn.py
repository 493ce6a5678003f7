"""The spatial transformer network: sizes by hand, and what each part depends on."""

import numpy as np
import pytest
import tensorflow as tf
from keras import Input, Model

from mitozoo.models import registry
from mitozoo.models.architectures.stn import TRUNK_STRIDE_PX, build_localizer
from mitozoo.models.layers.inception import inception


@pytest.fixture(scope="module")
def stn():
    return registry.build("stn")


def conv(size, channels, filters):
    return (size * size * channels + 1) * filters


def block(channels, one, three, five, pooled):
    return (
        conv(1, channels, one)
        + conv(1, channels, three // 2) + conv(3, three // 2, three)
        + conv(1, channels, five // 2) + conv(5, five // 2, five)
        + conv(1, channels, pooled)
    )  # fmt: skip


def test_parameters_of_the_localizer_by_hand(stn):
    # 128 → 124 → 31 → 27 → 13 → 9 px.
    trunk = conv(5, 3, 16) + conv(5, 16, 48) + block(48, 32, 48, 32, 16)
    head = (9 * 9 * 128 + 1) * 20 + (20 + 1) * 6
    assert stn.get_layer("localizer").count_params() == trunk + head


def test_parameters_of_the_classifier_by_hand(stn):
    # 32 → 28 → 14 → 14 → 7 px.
    convolutions = conv(5, 3, 32) + conv(3, 32, 64) + block(64, 24, 32, 24, 16)
    assert stn.get_layer("classifier").count_params() == convolutions + (7 * 7 * 96 + 1) * 256 + (256 + 1) * 3


def test_the_sampler_has_no_parameters_and_the_whole_is_its_parts(stn):
    parts = [stn.get_layer(name).count_params() for name in ("localizer", "sampler", "classifier")]
    assert parts[1] == 0
    assert sum(parts) == stn.count_params() == registry.spec("stn").params


def test_a_step_of_the_trunk_is_its_stride(stn):
    trunk = stn.get_layer("localizer").get_layer("trunk")
    field = np.random.default_rng(0).random((1, 160, 160, 3)).astype("float32")
    whole = trunk(field).numpy()
    assert whole.shape[1:3] == (9 + 32 // TRUNK_STRIDE_PX,) * 2
    for down, right in ((0, 0), (1, 3), (4, 2)):
        y, x = down * TRUNK_STRIDE_PX, right * TRUNK_STRIDE_PX
        alone = trunk(field[:, y : y + 128, x : x + 128]).numpy()
        np.testing.assert_allclose(whole[:, down : down + 9, right : right + 9], alone, atol=1e-5)


def test_classes_and_dropout_are_settings():
    model = registry.build("stn", classes=2, dropout=0.25)
    shapes = {name: value.shape for name, value in model.output.items()}
    assert shapes == {"theta": (None, 2, 3), "logits": (None, 2)}
    assert model.get_layer("classifier").get_layer("dropout").rate == 0.25


def test_the_class_depends_on_the_middle_alone_at_the_start(stn):
    generator = np.random.default_rng(0)
    window = generator.random((1, 128, 128, 3)).astype("float32")
    other = generator.random((1, 128, 128, 3)).astype("float32")
    other[:, 32:96, 32:96] = window[:, 32:96, 32:96]
    np.testing.assert_array_equal(stn(window)["logits"], stn(other)["logits"])
    other[:, 64, 64] = 1 - other[:, 64, 64]
    assert not np.array_equal(stn(window)["logits"], stn(other)["logits"])


def test_the_class_teaches_the_place(stn):
    window = np.random.default_rng(0).random((2, 128, 128, 3)).astype("float32")
    head = stn.get_layer("localizer").get_layer("head").get_layer("dense6")
    with tf.GradientTape() as tape:
        logits = stn(window)["logits"]
    gradient = tape.gradient(logits, head.bias.value)
    assert gradient is not None and np.abs(gradient.numpy()).min() > 0


def test_a_localizer_of_another_size():
    assert build_localizer(96)(np.zeros((1, 96, 96, 3), "float32")).shape == (1, 2, 3)


def test_inception_by_hand():
    image = Input((7, 7, 2))
    model = Model(image, inception(image, (1, 2, 2, 1), "i"))
    for layer in model.layers:
        if layer.get_weights():
            layer.set_weights([np.ones_like(layer.get_weights()[0]), np.zeros_like(layer.get_weights()[1])])
    x = np.random.default_rng(0).random((1, 7, 7, 2)).astype("float32")
    both = x[0].sum(-1)
    wanted = np.empty((3, 3, 6))
    for row in range(3):
        for column in range(3):
            y, c = row + 2, column + 2
            peaks = x[0, y - 1 : y + 2, c - 1 : c + 2].max((0, 1)).sum()
            near, far = both[y - 1 : y + 2, c - 1 : c + 2].sum(), both[y - 2 : y + 3, c - 2 : c + 3].sum()
            wanted[row, column] = [both[y, c], near, near, far, far, peaks]
    np.testing.assert_allclose(model(x)[0], wanted, rtol=1e-5)
