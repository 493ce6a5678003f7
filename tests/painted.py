"""A zoo whose weights are set by hand, so that every answer can be worked out from the colours of a picture.

"colour" is a cnn12 whose logits are 10 times the mean, over the window's pooled picture, of blue (non-mitotic), red
(mitotic figure) and green (atypical mitotic figure), each 0 to 1.
"""

import dataclasses
import hashlib
import struct
import zlib

import cv2
import numpy as np
import pytest

from mitozoo.base.points import CLASSES
from mitozoo.models import registry, zoo
from mitozoo.models.zoo_manifest import Manifest, WeightsFile

GAIN = 10.0
THRESHOLD = 0.5
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def colour_network():
    """cnn12 that passes the three colours on and averages them."""
    model = registry.build("cnn12")
    trunk, head = model.get_layer("trunk"), model.get_layer("head")
    for number in range(1, 6):
        layer = trunk.get_layer(f"conv{number}")
        kernel, bias = (np.zeros_like(value) for value in layer.get_weights())
        kernel[kernel.shape[0] // 2, kernel.shape[1] // 2, :3, :3] = np.eye(3)
        layer.set_weights([kernel, bias])
    dense, last = head.get_layer("dense100"), head.get_layer("logits")
    kernel, bias = (np.zeros_like(value) for value in dense.get_weights())
    places = len(kernel) // 16
    for place in range(places):
        kernel[16 * place : 16 * place + 3, :3] = np.eye(3) / places
    dense.set_weights([kernel, bias])
    kernel, bias = (np.zeros_like(value) for value in last.get_weights())
    kernel[2, 0] = kernel[0, 1] = kernel[1, 2] = GAIN
    last.set_weights([kernel, bias])
    return model


def manifest(name, model, threshold=THRESHOLD):
    """A manifest for weights that are put into the zoo."""
    weights = WeightsFile(file=f"{name}.weights.h5", sha256=hashlib.sha256(b"").hexdigest(), bytes=1)
    return Manifest(
        model=model, title="Set by hand", version="1", weights=weights, um_per_px=0.25, input_px=128, classes=CLASSES,
        threshold=threshold, licence="CC0", trained_on=("nothing",), command="by hand", seed=0, machine="a desk",
        date="2026-01-31",
    )  # fmt: skip


@pytest.fixture(scope="session")
def painted_weights(tmp_path_factory):
    """Weights of "colour", and of an untrained "stn"."""
    import keras

    folder = tmp_path_factory.mktemp("painted")
    colour_network().save_weights(folder / "colour.weights.h5")
    keras.utils.set_random_seed(0)
    registry.build("stn").save_weights(folder / "stn.weights.h5")
    return folder


@pytest.fixture
def painted_zoo(painted_weights, tmp_path, monkeypatch):
    """A zoo with the entries "colour" and "stn"."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    monkeypatch.setattr(zoo, "folder", lambda: folder)
    for name, model in (("colour", "cnn12"), ("stn", "stn")):
        zoo.write_entry(folder / name, manifest(name, model), painted_weights / f"{name}.weights.h5")
    return folder


@pytest.fixture
def known_points(painted_zoo, monkeypatch):
    """Replace the network: every image has the points of `known.xy` (at the model's spacing) with `known.scores`."""
    from mitozoo.inference import predictor
    from mitozoo.inference.decoders import Candidates

    class Known:
        xy = np.array([[40.0, 30.0], [100.0, 90.0]])
        scores = np.array([0.9, 0.4])
        shapes = []
        settings = None

        def decoder(self, task, model, settings):
            self.settings = dict(settings)
            return self

        def __call__(self, field):
            self.shapes.append(field.shape)
            scores = np.asarray(self.scores, float)
            return Candidates(np.asarray(self.xy, float).reshape(-1, 2), np.stack([1 - scores, scores, 0 * scores], 1))

    known = Known()
    known.shapes = []
    monkeypatch.setattr(predictor, "decoder", known.decoder)
    return known


def flat(colour=BLUE, width=200, height=160):
    """A picture of one colour, uint8 (height, width, 3) RGB."""
    return np.full((height, width, 3), colour, np.uint8)


def spotted(points, colour=RED, width=512, height=512, side=64):
    """A blue field with squares of another colour centred on points x, y."""
    field = flat(BLUE, width, height)
    for x, y in points:
        left, top = round(x - (side - 1) / 2), round(y - (side - 1) / 2)
        field[max(top, 0) : top + side, max(left, 0) : left + side] = colour
    return field


def save(path, rgb):
    """Write RGB (or grey) pixels by the suffix of the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb if rgb.ndim == 2 else rgb[..., ::-1])
    return path


def png_header(width, height):
    """A PNG that says it is this large, and holds nothing."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def without(result, *names):
    """A result without what differs from run to run."""
    return dataclasses.replace(result, **{name: None for name in ("seconds", *names)})
