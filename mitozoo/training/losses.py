"""Losses as pure functions: from logits, unreduced, never clipped."""

from __future__ import annotations

from keras import ops


def cross_entropy(labels, logits, *, smoothing: float = 0.0):
    """Cross-entropy of class logits, one value a sample.

    Args: labels (B,) class numbers; logits (B, C) before the softmax; smoothing, share of the truth that goes evenly to
    all classes.
    Returns: (B,) >= 0, in nats. Source: Aubreville et al. 2017, arXiv:1707.08525, Eq. 4; smoothing: Szegedy et al.
    2016, arXiv:1512.00567, section 7.
    """
    logits = ops.cast(logits, "float32")
    picked = ops.take_along_axis(logits, ops.cast(labels, "int32")[:, None], axis=-1)[:, 0]
    if smoothing:
        picked = (1 - smoothing) * picked + smoothing * ops.mean(logits, axis=-1)
    return ops.logsumexp(logits, axis=-1) - picked


def heat_loss(truth, logits):
    """Penalty-reduced focal loss of a heat map, one value a sample.

    Args: truth (B, H, W) in [0, 1], 1 at a cell's place and falling around it; logits (B, H, W) before the sigmoid.
    Returns: (B,) >= 0, in nats, the sum over the map. Source: Zhou et al. 2019, arXiv:1904.07850, Eq. 1, alpha 2,
    beta 4 (there divided by the number of cells of the batch; here a window has one at most).
    """
    logits, truth = ops.cast(logits, "float32"), ops.cast(truth, "float32")
    chance = ops.sigmoid(logits)
    at = ops.square(1.0 - chance) * ops.softplus(-logits)
    off = (1.0 - truth) ** 4 * ops.square(chance) * ops.softplus(logits)
    return ops.sum(ops.where(truth >= 1.0, at, off), axis=(1, 2))


def heat_truth(x_px, y_px, mitotic, *, side: int, stride_px: int, sigma_px: float = 8.0):
    """Heat maps of windows with one cell: 1 at the position nearest to a mitotic figure, a Gaussian around it.

    Args: x_px, y_px (B,) of the cell in the window; mitotic (B,) whether it is one, else the map is 0; side of the map;
    stride_px from one position to the next, the first at (stride_px - 1) / 2.
    Returns: (B, side, side) in [0, 1], rows down.
    """
    places = stride_px * ops.arange(side, dtype="float32") + (stride_px - 1) / 2
    across, down = places[None] - x_px[:, None], places[None] - y_px[:, None]
    square = ops.square(down)[:, :, None] + ops.square(across)[:, None, :]
    gauss = ops.exp(-square / (2 * sigma_px**2))
    nearest = square <= ops.min(square, axis=(1, 2), keepdims=True)
    return ops.where(nearest, 1.0, gauss) * ops.cast(mitotic, "float32")[:, None, None]


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
