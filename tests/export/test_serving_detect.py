"""The graph of the decoder of boxes gives what the decoder gives, with a network that marks dark squares."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from mitozoo.export.serving.graph import search_of
from mitozoo.inference.decoders.detect import Detect

SIDE, MOST = 64, 6


class Squares(keras.layers.Layer):
    """The darkest places of a grid of 8 px as boxes of 20 px, with masks that lean to the left."""

    def call(self, tiles):
        cells = keras.ops.mean(keras.ops.average_pool(tiles, 8, 8), axis=-1)
        flat = 1.0 - keras.ops.reshape(cells, (-1, (SIDE // 8) ** 2))
        score, index = keras.ops.top_k(flat, MOST)
        column = keras.ops.cast(index % (SIDE // 8), "float32") * 8 + 4
        row = keras.ops.cast(index // (SIDE // 8), "float32") * 8 + 4
        boxes = keras.ops.stack([column - 10, row - 10, column + 10, row + 10], axis=-1)
        line = keras.ops.cast(keras.ops.arange(4) < 3, "float32")
        masks = keras.ops.ones_like(boxes[..., :1, None]) * line[None, None, None, :]
        masks = keras.ops.tile(masks, (1, 1, 4, 1)) * keras.ops.cast(score > 0.5, "float32")[..., None, None]
        return {"boxes": boxes, "scores": score, "masks": masks}


@pytest.fixture(scope="module")
def model():
    field = keras.Input((SIDE, SIDE, 3))
    return keras.Model(field, Squares()(field))


@pytest.mark.parametrize("size", [(40, 30), (64, 64), (65, 200), (150, 131)])
def test_the_graph_finds_what_the_decoder_finds(model, size):
    generator = np.random.default_rng(1)
    pixels = generator.integers(200, 256, (*size, 3)).astype(np.uint8)
    for x, y in generator.integers(0, size[::-1], (4, 2)):
        pixels[max(y - 6, 0) : y + 6, max(x - 6, 0) : x + 6] = generator.integers(0, 120)
    settings = {"cut": 0.3, "merge_px": 15.0, "batch_size": 3}
    expected = Detect(model, **settings)(pixels)
    assert len(expected.xy)
    search = tf.function(search_of("detect", model, settings))
    found = search(tf.constant(pixels), tf.constant(0.3, tf.float64), tf.constant(15.0, tf.float64))
    order, mine = (np.lexsort((xy[:, 0].round(2), xy[:, 1].round(2))) for xy in (expected.xy, found.xy.numpy()))
    np.testing.assert_allclose(found.xy.numpy()[mine], expected.xy[order], atol=1e-3)
    np.testing.assert_allclose(found.probabilities.numpy()[mine], expected.probabilities[order], atol=1e-5)
