"""The graph of the decoder of maps gives what the decoder gives, with networks of one convolution."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.base.errors import RecipeError
from mitozoo.data.stain_normalisation import StainNormaliser
from mitozoo.export.serving.graph import search_of
from mitozoo.export.serving.peaks import connected
from mitozoo.export.serving.segment import _maps
from mitozoo.inference.decoders.segment import Segment


def network(outputs):
    """Looks at 5 x 5 pixels; its maps are chances of dark places."""
    field = keras.Input((None, None, 3))
    found = {}
    for number, name in enumerate(outputs):
        layer = keras.layers.Conv2D(1 if name == "mask" else 2, 5, padding="same", name=name)
        maps = layer(field)
        kernel = np.zeros(layer.kernel.shape, "float32")
        kernel[..., -1] = -12.0 / 75 * (1 + number)
        layer.set_weights([kernel, np.array([5.0 + number] if name == "mask" else [0.0, 5.0 + number], "float32")])
        found[name] = maps[..., 0] if name == "mask" else maps
    return keras.Model(field, found)


def field(height, width, seed=0):
    generator = np.random.default_rng(seed)
    pixels = generator.integers(150, 255, (height, width, 3)).astype(np.uint8)
    for x, y in generator.integers(0, [width, height], (height * width // 3000 + 1, 2)):
        pixels[max(y - 6, 0) : y + 7, max(x - 5, 0) : x + 6] //= 6
    return pixels


@pytest.mark.parametrize("size", [(1, 1), (40, 70), (200, 131), (64, 300)])
@pytest.mark.parametrize(
    ("task", "outputs", "settings"),
    [
        ("segment", ("mask",), {"level": 0.4, "min_area_px": 10, "small_px": 32}),
        ("segment-concentric", ("concentric",), {"score": "highest", "sigma_px": 0.0, "overlap": 0.25}),
        ("segment-fused", ("concentric", "strong"), {"fusion": 0.7, "sigma_px": 3.0}),
    ],
)
def test_the_graph_finds_what_the_decoder_finds(task, outputs, settings, size):
    settings = {"tile_px": 64, "merge_px": 20.0, **settings}
    model, pixels = network(outputs), field(*size)
    expected = Segment(model, **settings)(pixels)
    assert size == (1, 1) or len(expected.xy)
    search = tf.function(search_of(task, model, settings))
    found = search(tf.constant(pixels), tf.constant(0.05, tf.float64), tf.constant(20.0, tf.float64))
    order, mine = (np.lexsort((xy[:, 0], xy[:, 1])) for xy in (expected.xy, found.xy.numpy()))
    np.testing.assert_allclose(found.xy.numpy()[mine], expected.xy[order], atol=1e-3)
    np.testing.assert_allclose(found.probabilities.numpy()[mine], expected.probabilities[order], atol=1e-5)


def test_parts_are_numbered_by_their_first_position():
    at, number, count = connected(tf.constant(np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0]], bool)))
    assert at.numpy().tolist() == [[0, 0], [0, 2], [1, 2], [2, 0], [2, 1]]
    assert number.numpy().tolist() == [0, 1, 1, 1, 1]
    assert count == 2


def test_a_model_with_stain_normalisation_is_refused():
    settings = {"normaliser": StainNormaliser.standard("macenko").as_json()}
    with pytest.raises(RecipeError, match="A model that learnt with stain normalisation cannot be exported"):
        search_of("segment", network(("mask",)), settings)


def test_a_small_image_has_small_tiles_in_the_graph_too():
    """A network that answers with the mean of its whole tile tells how much of it is reflection."""
    image = keras.Input((None, None, 3))
    mean = keras.ops.mean(image, axis=(1, 2, 3), keepdims=True)[..., 0]
    model = keras.Model(image, {"mask": mean + 0.0 * image[..., 0]})
    pixels = field(20, 30)
    small, large = (Segment(model, tile_px=64, small_px=side) for side in (32, 16))
    assert np.abs(small.maps(pixels) - large.maps(pixels)).max() > 1e-4
    for decoder in (small, large):
        found = tf.function(lambda pixels, decoder=decoder: _maps(decoder, pixels))(tf.constant(pixels))
        np.testing.assert_allclose(found, decoder.maps(pixels), atol=1e-5)
