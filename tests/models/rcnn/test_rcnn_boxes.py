"""Overlap and steps of boxes, by hand."""

import numpy as np

from mitozoo.models.layers.rcnn.boxes import clipped, iou, stepped, steps_to

NONE = [-1.0, -1, -1, -1]


def test_overlap_by_hand():
    boxes = np.array([[0, 0, 10, 10], [5, 5, 15, 15], [20, 20, 30, 30], NONE], "float32")
    truths = np.array([[[0, 0, 10, 10], [0, 0, 10, 20], NONE]], "float32")
    wanted = [[1, 100 / 200, -1], [25 / 175, 50 / 250, -1], [0, 0, -1], [0, 0, -1]]
    np.testing.assert_allclose(iou(boxes, truths)[0], wanted, atol=1e-6)
    np.testing.assert_allclose(iou(boxes[None], truths)[0], wanted, atol=1e-6)


def test_steps_by_hand():
    # From 10 x 20 at (5, 10) to 20 x 10 at (7, 15): 2 of 10, 5 of 20, twice and half as large.
    steps = steps_to(np.array([0, 0, 10, 20], "float32"), np.array([-3, 10, 17, 20], "float32"))
    wanted = [0.2 / 0.1, 0.25 / 0.1, np.log(2) / 0.2, np.log(0.5) / 0.2]
    np.testing.assert_allclose(steps, wanted, rtol=1e-5)


def test_steps_lead_to_the_truth():
    generator = np.random.default_rng(0)
    corner, side = generator.uniform(0, 100, (2, 50, 2)), generator.uniform(5, 60, (2, 50, 2))
    boxes, truths = np.concatenate([corner, corner + side], axis=-1).astype("float32")
    np.testing.assert_allclose(stepped(boxes, steps_to(boxes, truths)), truths, atol=1e-3)


def test_a_step_never_makes_a_box_more_than_62_times_as_large():
    box = stepped(np.array([0, 0, 10, 10], "float32"), np.array([0, 0, 1000, 0], "float32"))
    np.testing.assert_allclose(box, [5 - 312.5, 0, 5 + 312.5, 10], rtol=1e-5)


def test_a_box_without_area_has_finite_steps():
    assert np.isfinite(steps_to(np.array(NONE, "float32"), np.array([0, 0, 10, 10], "float32"))).all()
    assert np.isfinite(steps_to(np.array([0, 0, 10, 10], "float32"), np.array(NONE, "float32"))).all()


def test_what_lies_outside_is_cut_off():
    np.testing.assert_array_equal(clipped(np.array([-5, 3, 70, 90], "float32"), 64, 32), [0, 3, 32, 64])
