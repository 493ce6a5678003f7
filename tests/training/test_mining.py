"""Hard negatives: the places that the network itself proposes."""

import cv2
import keras
import numpy as np
import pytest

from mitozoo.base.errors import DataError
from mitozoo.base.points import Cell
from mitozoo.data.dataset import Dataset, Field
from mitozoo.models import registry
from mitozoo.training.mining import Verified, hard_negatives

CLASSES = ("non_mitotic", "mitotic_figure", "atypical_mitotic_figure")


@pytest.fixture
def model():
    """Its proposer answers to red; haematoxylin means nothing to it."""
    field = keras.Input((None, None, 3))
    red = keras.layers.AveragePooling2D(8)(field[..., :1] - field[..., 2:])
    proposer = keras.Model(field, 20.0 * red[..., 0] - 10.0, name="proposer")
    window = keras.Input((128, 128, 3))
    return keras.Model(window, {"heat": proposer(window)})


def save(path, size, *discs):
    image = np.full((size, size, 3), 200, np.uint8)
    for x, y, colour in discs:
        cv2.circle(image, (x, y), 12, colour, -1)
    cv2.imwrite(str(path), image[..., ::-1])
    return path


RED, DARK = (250, 20, 20), (40, 20, 60)


def test_what_is_proposed_is_mined(model, tmp_path):
    field = save(tmp_path / "field.png", 600, (200, 200, RED), (400, 400, DARK), (300, 100, RED))
    patch = save(tmp_path / "patch.png", 128, (64, 64, DARK), (64, 26, DARK), (101, 64, RED))
    other = save(tmp_path / "other.png", 128, (64, 64, DARK))
    cells = (Cell(63.5, 63.5, "mitotic_figure"),)
    patches = (
        Field(patch, "slide 1", cells, 0.25, complete=False),
        Field(other, "slide 2", (Cell(63.5, 63.5, "atypical_mitotic_figure"),), 0.25, complete=False),
    )
    found = hard_negatives(
        model, [Dataset("p", patches)], [Dataset("n", (Field(field, "slide 3", um_per_px=0.25),))], CLASSES, seed=0
    )
    assert sorted(zip(found.origins, found.cases, strict=True)) == [
        ("hard field", "slide 3"), ("hard field", "slide 3"), ("hard neighbour", "slide 1"),
    ]  # fmt: skip
    assert set(found.labels) == {0}
    for canvas in found.canvases:  # red in the middle: the dark discs were not proposed
        assert canvas[94:98, 94:98, 0].min() > 200 and canvas[94:98, 94:98, 2].max() < 60


def test_a_model_that_proposes_nothing_cannot_mine():
    with pytest.raises(DataError, match="stn proposes no places"):
        hard_negatives(registry.build("stn"), [], [], CLASSES, seed=0)


class TestDetections:
    """What the verifier still gives a chance: here, by how much red is in the middle."""

    @pytest.fixture
    def verifier(self):
        cell = keras.Input((80, 80, 3))
        middle = keras.layers.Cropping2D(36)(cell)
        red = keras.ops.mean(middle[..., 0] - middle[..., 2], axis=(1, 2))
        logits = keras.ops.stack([0 * red, 10 * red - 8, 0 * red - 30], axis=-1)
        return keras.Model(cell, logits, name="verifier")

    def test_proposals_are_kept_by_their_chance(self, verifier):
        image = np.full((200, 200, 3), 200, np.uint8)
        cv2.circle(image, (50, 50), 12, (200, 0, 100), -1)
        cv2.circle(image, (150, 50), 12, (200, 0, 0), -1)

        def places(_):
            return np.array([[50.0, 50, 0.9], [100, 100, 0.8], [150, 50, 0.3]])

        found = Verified(places, verifier, cut=0.01)(image)
        np.testing.assert_array_equal(found[:, :2], [[150, 50], [50, 50]])
        # Softmax of 0 and 10 red - 8, red 200/255 and 100/255; where there is no red, 0.0003.
        wanted = [1 / (1 + np.exp(8 - 2000 / 255)), 1 / (1 + np.exp(8 - 1000 / 255))]
        np.testing.assert_allclose(found[:, 2], wanted, atol=1e-4)
        assert Verified(lambda _: np.zeros((0, 3)), verifier)(image).shape == (0, 3)

    def test_only_fields_that_somebody_has_looked_at(self, model, verifier, tmp_path):
        whole = keras.Model(
            model.input, {"heat": model.output["heat"], "logits": verifier(model.input[:, 24:104, 24:104])}
        )
        path = save(tmp_path / "field.png", 600, (200, 200, RED), (300, 100, RED))
        fields = (
            Field(path, "known", um_per_px=0.25),
            Field(path, "unlabelled", um_per_px=0.25, complete=False, labelled=False),
        )
        found = hard_negatives(whole, [], [Dataset("n", fields)], CLASSES, seed=0, what="detections")
        assert list(found.cases) == ["known", "known"]
        assert set(found.origins) == {"harder field"}
