"""Losses of Mask R-CNN as pure functions: from logits, one value a tile, never clipped.

Together they are E = E_cls + E_reg + E_mask (Sohail et al. 2020, arXiv:2003.08803, Eq. 1), E_cls and E_reg once for
anchors and once for regions.
"""

from __future__ import annotations

from keras import ops


def smooth_l1(truth, found):
    """Smooth L1 of each number: half the square of the difference up to 1, then the difference less one half.

    Args: truth, found, of one shape.  Returns: that shape, >= 0.  Source: Sohail et al. 2020, Eq. 4 and 5.
    """
    off = ops.abs(ops.cast(truth, "float32") - ops.cast(found, "float32"))
    return ops.where(off < 1.0, 0.5 * ops.square(off), off - 0.5)


def log_loss(labels, logits):
    """Binary cross-entropy of each logit.

    Args: labels in [0, 1] and logits, of one shape.  Returns: that shape, >= 0, in nats.
    Source: Sohail et al. 2020, Eq. 3 and 6.
    """
    labels, logits = ops.cast(labels, "float32"), ops.cast(logits, "float32")
    return ops.softplus(logits) - labels * logits


def mean_where(weights, values):
    """Mean of values (B, …) where weights (B, …) are 1, one a tile; 0 where none is."""
    axes = tuple(range(1, len(values.shape)))
    weights = ops.cast(weights, "float32")
    return ops.sum(weights * values, axis=axes) / ops.maximum(ops.sum(weights, axis=axes), 1.0)


def rpn_class_loss(positive, drawn, logits):
    """Whether anchors hold an object: the mean over those drawn.

    Args: positive and drawn (B, S), 1 or 0; logits (B, S).  Returns: (B,).
    """
    return mean_where(drawn, log_loss(positive, logits))


def roi_class_loss(positive, drawn, logits):
    """Whether regions are mitotic figures: the mean over those drawn.

    Args: positive and drawn (B, R), 1 or 0; logits (B, R, 2) before the softmax.  Returns: (B,).
    """
    logits = ops.cast(logits, "float32")
    # The softmax of two classes is the sigmoid of their difference.
    return mean_where(drawn, log_loss(positive, logits[..., 1] - logits[..., 0]))


def box_loss(positive, steps, found):
    """How far the steps of anchors or regions are from those to their truths: the mean over positives and the four.

    Args: positive (B, S), 1 or 0; steps, the true ones, and found (B, S, 4).  Returns: (B,).
    """
    return mean_where(positive, ops.mean(smooth_l1(steps, found), axis=-1))


def mask_loss(masks, logits):
    """How far masks are from the truth: the mean over all pixels that are known.

    Args: masks (B, P, S, S) in [0, 1], -1 where the truth is not known; logits (B, P, S, S).  Returns: (B,).
    Source: Sohail et al. 2020, Eq. 6.
    """
    masks = ops.cast(masks, "float32")
    return mean_where(masks >= 0.0, log_loss(ops.maximum(masks, 0.0), logits))
