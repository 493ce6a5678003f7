"""The baseline: sizes by hand, and its trunk over a field."""

import numpy as np
import pytest

from mitozoo.models import registry
from mitozoo.models.architectures.cnn12 import TRUNK_STRIDE_PX


@pytest.fixture(scope="module")
def cnn12():
    return registry.build("cnn12")


def test_parameters_by_hand(cnn12):
    # 128 → 127 → 63 → 61 → 30 → 28 → 14 → 13 → 6 → 5 → 2 px.
    trunk = (4 * 3 + 1) * 16 + 2 * (9 * 16 + 1) * 16 + 2 * (4 * 16 + 1) * 16
    assert cnn12.count_params() == trunk + (2 * 2 * 16 + 1) * 100 + (100 + 1) * 3


def test_it_has_twelve_layers_with_those_that_pool(cnn12):
    trunk = [layer.name for layer in cnn12.get_layer("trunk").layers if layer.name[:4] in ("conv", "pool")]
    head = [layer.name for layer in cnn12.get_layer("head").layers if layer.count_params()]
    assert (len(trunk), len(head)) == (10, 2)


def test_a_step_of_the_trunk_is_its_stride(cnn12):
    trunk = cnn12.get_layer("trunk")
    field = np.random.default_rng(0).random((1, 192, 192, 3)).astype("float32")
    whole = trunk(field).numpy()
    side = 2
    for down, right in ((0, 0), (1, 2), (2, 1)):
        y, x = down * TRUNK_STRIDE_PX, right * TRUNK_STRIDE_PX
        alone = trunk(field[:, y : y + 128, x : x + 128]).numpy()
        assert alone.shape[1:3] == (side, side)
        np.testing.assert_allclose(whole[:, down : down + side, right : right + side], alone, atol=1e-5)


def test_width_is_a_setting():
    model = registry.build("cnn12", width=4, classes=2)
    assert {name: value.shape for name, value in model.output.items()} == {"logits": (None, 2)}
    assert model.get_layer("trunk").output_shape[-1] == 4
