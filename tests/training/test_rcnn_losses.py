"""Losses of Mask R-CNN, by hand."""

import numpy as np

from mitozoo.training.rcnn_losses import (
    box_loss,
    log_loss,
    mask_loss,
    mean_where,
    roi_class_loss,
    rpn_class_loss,
    smooth_l1,
)

LN2, LN3, LN4 = np.log([2.0, 3.0, 4.0])


def test_smooth_l1_by_hand():
    found = smooth_l1(np.zeros(7, "float32"), np.array([0, 0.5, -0.5, 1, 2, -3, 1000], "float32"))
    np.testing.assert_allclose(found, [0, 0.125, 0.125, 0.5, 1.5, 2.5, 999.5])


def test_log_loss_by_hand_and_at_extremes():
    # Odds of 3: probabilities of 3/4 and 1/4.
    labels, logits = np.array([1, 0, 1, 0, 1, 0, 0.5], "float32"), np.array([LN3, LN3, 0, 1000, -1000, -1000, 0])
    wanted = [LN4 - LN3, LN4, LN2, 1000, 1000, 0, LN2]
    np.testing.assert_allclose(log_loss(labels, logits.astype("float32")), wanted, rtol=1e-6, atol=1e-7)


def test_a_mean_of_nothing_is_nothing():
    found = mean_where(np.array([[1, 1, 0], [0, 0, 0]]), np.array([[1, 2, 50], [1, 2, 3]], "float32"))
    assert np.array(found).tolist() == [1.5, 0]


def test_classes_of_anchors_and_regions_agree():
    positive, drawn = np.array([[1, 0, 0, 1], [0, 0, 0, 0]]), np.array([[1, 1, 0, 1], [0, 1, 0, 0]])
    logits = np.array([[LN3, LN3, 700, 0], [5, 0, 5, 5]], "float32")
    wanted = [(LN4 - LN3 + LN4 + LN2) / 3, LN2]
    np.testing.assert_allclose(rpn_class_loss(positive, drawn, logits), wanted, rtol=1e-6)
    # Of a softmax only the difference counts.
    two = np.stack([np.full_like(logits, 7), logits + 7], axis=-1)
    np.testing.assert_allclose(roi_class_loss(positive, drawn, two), wanted, rtol=1e-5)


def test_boxes_count_where_they_are_positive():
    steps = np.zeros((2, 3, 4), "float32")
    found = np.zeros((2, 3, 4), "float32")
    found[0, 0] = [1, 2, 0, 0]
    found[0, 1] = [0.5, 0, 0, 0]
    found[0, 2] = 99
    found[1] = 99
    loss = box_loss(np.array([[1, 1, 0], [0, 0, 0]]), steps, found)
    np.testing.assert_allclose(loss, [((0.5 + 1.5) / 4 + 0.125 / 4) / 2, 0])


def test_masks_count_where_they_are_known():
    masks = np.array([[[[1, 0], [-1, -1]], [[-1, -1], [-1, -1]]], [[[-1, -1], [-1, -1]]] * 2], "float32")
    logits = np.array([[[[LN3, LN3], [9, -9]], [[9, 9], [9, 9]]], [[[9, 9], [9, 9]]] * 2], "float32")
    np.testing.assert_allclose(mask_loss(masks, logits), [(LN4 - LN3 + LN4) / 2, 0], rtol=1e-6)
