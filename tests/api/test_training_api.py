"""What training from paths adds to training: hard negatives that a model finds in fields."""

import numpy as np

from mitozoo.api import training
from mitozoo.data.training_fields import TrainingFields
from mitozoo.inference.decoders import Candidates


class Model:
    name = "unet"


def test_hard_places_are_wrong_detections_the_surest_first(monkeypatch):
    image = np.zeros((200, 200, 3), np.uint8)
    fields = TrainingFields(
        (image,), (image[..., 0],), np.array([True]), (np.array([[50.0, 50.0]]),), (np.array([[150.0, 150.0, 20.0]]),),
        np.array(["a"]), np.zeros((1, 6), np.float32), (np.zeros((0, 2)),),
    )  # fmt: skip
    # Right; beside it by 31 px; damaged; two that are wrong.
    xy = np.array([[52.0, 50.0], [81.0, 50.0], [150.0, 165.0], [20.0, 180.0], [180.0, 20.0]])
    score = np.array([0.9, 0.3, 0.8, 0.5, 0.7])
    asked = []

    def decoder(task, model, settings):
        asked.append((task, settings))
        return lambda pixels: Candidates(xy, np.column_stack([1 - score, score]))

    monkeypatch.setattr(training, "decoder", decoder)
    found = training.hard_places(Model(), fields, {"normaliser": "x"})
    np.testing.assert_array_equal(found[0], [[180, 20], [20, 180], [81, 50]])
    assert asked == [("segment", {"normaliser": "x"})]
    monkeypatch.setattr(training, "MOST_HARD", 1)
    np.testing.assert_array_equal(training.hard_places(Model(), fields)[0], [[180, 20]])
