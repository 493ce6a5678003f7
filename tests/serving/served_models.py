"""Small SavedModels with the signatures of an export and answers that can be worked out by hand, and a running server.

The model gives one point for each image: at its middle, its score the mean of its red over 255, if that reaches the
threshold. `scale` multiplies the score, which tells versions apart.
"""

import asyncio
import json
import threading

import cv2
import numpy as np

from mitozoo.serving.engine import Limits
from mitozoo.serving.server import Server, ServeSettings

CLASSES = ["non_mitotic", "mitotic_figure", "atypical_mitotic_figure"]
ABOUT = {
    "name": "red", "title": "Red", "classes": CLASSES, "um_per_px": 0.25, "threshold": 0.5, "radius_px": 30.0,
    "weights_sha256": "ab" * 32, "decoder": {"cut": 0.05}, "max_px": 1_000_000,
}  # fmt: skip


def write_model(folder, scale=1.0, about=ABOUT):
    """Write a version into `folder`."""
    import tensorflow as tf

    def rows(image, threshold):
        red = tf.reduce_mean(tf.cast(image[..., 0], tf.float32)) / 255.0
        score, shape = red * scale, tf.cast(tf.shape(image)[:2], tf.float32)
        found = score >= threshold
        point = tf.stack([(shape[1] - 1) / 2, (shape[0] - 1) / 2, score, 1.0])
        probabilities = tf.stack([1 - score, score * 0.75, score * 0.25])
        lack = tf.fill((1, 4), -1.0)
        return (
            tf.where(found, point[None], lack),
            tf.cast(found, tf.int32),
            tf.where(found, probabilities[None], lack[:, :3]),
        )

    def search(images, threshold, decode):
        count = tf.shape(images)[0]
        limits = tf.broadcast_to(threshold, (count,))
        specs = (tf.float32, tf.int32, tf.float32)
        points, valid, probabilities = tf.map_fn(
            lambda i: rows(decode(images[i]), limits[i]), tf.range(count), fn_output_signature=specs
        )
        return {"points": points, "valid": valid, "probabilities": probabilities}

    def of_bytes(content):
        return tf.ensure_shape(tf.io.decode_image(content, channels=3, expand_animations=False), (None, None, 3))

    half, radius = tf.constant([0.5]), tf.constant([30.0])
    number = tf.TensorSpec((None,), tf.float32)
    text, pixels = tf.TensorSpec((None,), tf.string), tf.TensorSpec((None, None, None, 3), tf.uint8)

    @tf.function(input_signature=[text])
    def image_bytes(image_bytes):
        return search(image_bytes, half, of_bytes)

    @tf.function(input_signature=[pixels])
    def image_tensor(image_tensor):
        return search(image_tensor, half, tf.identity)

    @tf.function(input_signature=[text, number, number])
    def image_bytes_at(image_bytes, threshold=half, radius_px=radius):
        found = search(image_bytes, threshold, of_bytes)
        return {**found, "points": found["points"] + 0.0 * radius_px[0]}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])
    def echo(text_in):
        return {"text_bytes": text_in, "text": text_in, "length": tf.strings.length(text_in)}

    module = tf.Module()
    module.kept = tf.Variable(1.0)
    signatures = {
        "serving_default": image_bytes, "image_bytes": image_bytes, "image_tensor": image_tensor,
        "image_bytes_at": image_bytes_at, "echo": echo,
    }  # fmt: skip
    tf.saved_model.save(module, str(folder), signatures=signatures)
    if about is not None:
        (folder / "assets.extra").mkdir()
        (folder / "assets.extra" / "mitozoo.json").write_text(json.dumps(about))


def red_png(red, width=4, height=2):
    """PNG of one colour."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 2] = red
    return cv2.imencode(".png", image)[1].tobytes()


class Running:
    """A server on free ports, in a thread with an event loop of its own."""

    def __init__(self, folder, poll_s=60.0, max_request_mb=2.0, **limits):
        limits = Limits(**{"timeout_s": 20.0, **limits})
        self.settings = ServeSettings(
            folder=folder, rest_port=0, grpc_port=0, poll_s=poll_s, max_request_mb=max_request_mb, limits=limits
        )
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._ready = threading.Event()
        self._thread.start()
        assert self._ready.wait(60)
        self.do(self.server.start())
        self.rest = f"http://127.0.0.1:{self.server.rest_port}"
        self.grpc = f"grpc://127.0.0.1:{self.server.grpc_port}"

    def _run(self):
        asyncio.set_event_loop(self.loop)
        self.server = Server(self.settings)
        self.loop.call_soon(self._ready.set)
        self.loop.run_forever()

    def do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(60)

    def stop(self):
        self.do(self.server.stop())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(60)
        self.loop.close()
