"""Losses as pure functions: from logits, unreduced, never clipped."""

from __future__ import annotations

from keras import ops


def cross_entropy(labels, logits):
    """Cross-entropy of class logits, one value a sample.

    Args: labels (B,) class numbers; logits (B, C) before the softmax.
    Returns: (B,) >= 0, in nats. Source: Aubreville et al. 2017, arXiv:1707.08525, Eq. 4.
    """
    logits = ops.cast(logits, "float32")
    picked = ops.take_along_axis(logits, ops.cast(labels, "int32")[:, None], axis=-1)[:, 0]
    return ops.logsumexp(logits, axis=-1) - picked


def safe_norm(a, b):
    """Return sqrt(a² + b²), with gradient 0 instead of none where both are 0."""
    square = a * a + b * b
    positive = square > 0
    return ops.where(positive, ops.sqrt(ops.where(positive, square, 1.0)), 0.0)


def localization_loss(theta_true, theta):
    """How far a transform is from the ground truth in place and scale, and from a rotation; the angle is free.

    Args: theta_true, theta (B, 2, 3) as [[t1, t2, tx], [t3, t4, ty]].
    Returns: (B,) >= 0, in squared half windows. Source: Aubreville et al. 2017, arXiv:1707.08525, Eq. 6 to 8.
    """
    theta = ops.cast(theta, "float32")
    t1, t2, tx = theta[:, 0, 0], theta[:, 0, 1], theta[:, 0, 2]
    t3, t4, ty = theta[:, 1, 0], theta[:, 1, 1], theta[:, 1, 2]
    scale = theta_true[:, 0, 0]
    place = ops.square(tx - theta_true[:, 0, 2]) + ops.square(ty - theta_true[:, 1, 2])
    size = ops.square(safe_norm(t1, t3) - scale) + ops.square(safe_norm(t2, t4) - scale)
    return place + size + ops.square(t1 - t4) + ops.square(t2 + t3)


def guided_loss(theta_true, theta, labels, logits, *, kappa: float):
    """Place and class together, one value a sample: l = l_loc + kappa * l_cla.

    Args: as in `localization_loss` and `cross_entropy`; kappa >= 0, weight of the class.
    Returns: (B,) >= 0. Raises: ValueError for a negative kappa. Source: Aubreville et al. 2017, Eq. 9.
    """
    if kappa < 0:
        raise ValueError(f"kappa must not be negative, got {kappa}.")
    return localization_loss(theta_true, theta) + kappa * cross_entropy(labels, logits)
