"""Losses of pixels as pure functions: from logits, never clipped, with labels that are left out.

A label of `IGNORED` (255) says that nobody knows what the pixel is: it has a loss of 0 and is not counted in a mean.
"""

from __future__ import annotations

from keras import ops

#: The label of a pixel that is left out.
IGNORED = 255


def valid(labels):
    """Weights of pixels: 1.0 where there is a label, 0.0 where it is `IGNORED`; the shape of `labels`."""
    return ops.cast(ops.not_equal(ops.cast(labels, "int32"), IGNORED), "float32")


def masked_sum(values, weights):
    """Sum over all but the first axis: (B, …) values and weights to (B,)."""
    # What has no weight counts as nothing also where it is infinite.
    kept = ops.where(weights > 0, values, 0.0) * weights
    return ops.sum(ops.reshape(kept, (ops.shape(kept)[0], -1)), axis=1)


def masked_mean(values, weights):
    """Weighted mean over all but the first axis: (B, …) values and weights to (B,); 0 where no weight is above 0."""
    total = ops.sum(ops.reshape(weights, (ops.shape(weights)[0], -1)), axis=1)
    return masked_sum(values, weights) / ops.where(total > 0, total, 1.0)


def focal_loss(labels, logits, *, alpha: float = 0.25, gamma: float = 2.0):
    """Focal loss for rare positives, one value a pixel.

    Args: labels (B, H, W) 0, 1 or `IGNORED`; logits (B, H, W) before the sigmoid; alpha weight of positives in [0, 1];
        gamma >= 0.
    Returns: (B, H, W) >= 0, in nats, not reduced; 0 where ignored.
    Raises: ValueError if alpha is outside [0, 1] or gamma negative.
    Source: Lin et al. 2017, arXiv:1708.02002, Eq. 5.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}.")
    if gamma < 0:
        raise ValueError(f"gamma must not be negative, got {gamma}.")
    known = valid(labels)
    positive = ops.cast(ops.equal(ops.cast(labels, "int32"), 1), "float32")
    logits = ops.cast(logits, "float32")
    # The logit of what is true: p_t = sigmoid(truth), and (1 - p_t) ** gamma has no gradient that is not a number.
    truth = logits * (2.0 * positive - 1.0)
    modulation = ops.exp(-gamma * ops.softplus(truth))
    balance = alpha * positive + (1.0 - alpha) * (1.0 - positive)
    return known * balance * modulation * ops.softplus(-truth)


def pixel_cross_entropy(labels, logits):
    """Cross-entropy of class logits, one value a pixel.

    Args: labels (B, H, W) class numbers or `IGNORED`; logits (B, H, W, C) before the softmax.
    Returns: (B, H, W) >= 0, in nats, not reduced; 0 where ignored.
    Source: Sebai et al. 2020, doi 10.1109/ACCESS.2020.2978754, section III.B, "pixel-wise Softmax loss".
    """
    logits, known = ops.cast(logits, "float32"), valid(labels)
    classes = ops.where(known > 0, ops.cast(labels, "int32"), 0)
    picked = ops.take_along_axis(logits, classes[..., None], axis=-1)[..., 0]
    return known * (ops.logsumexp(logits, axis=-1) - picked)


def softmax_loss(labels, logits, *, normalised: bool = False):
    """Two-class softmax loss of a pixel mask, one value a sample: L_strong.

    Args: labels and logits as in `pixel_cross_entropy`; normalised, the mean over the pixels that count instead of the
        sum that the paper's learning rate of 1e-10 is for.
    Returns: (B,) >= 0, in nats. Source: Sebai et al. 2020, section III.C.
    """
    reduce = masked_mean if normalised else masked_sum
    return reduce(pixel_cross_entropy(labels, logits), valid(labels))


def concentric_loss(labels, logits, *, normalised: bool = False):
    """Concentric loss, one value a sample: L_concent, to which the ring between r and R does not contribute.

    Args: labels (B, H, W) 1 inside r, `IGNORED` between r and R, 0 outside; logits (B, H, W, 2); normalised as in
        `softmax_loss`.
    Returns: (B,) >= 0, in nats. Source: Sebai et al. 2020, section III.B, after Li et al. 2019,
    doi 10.1016/j.media.2019.01.013.
    """
    return softmax_loss(labels, logits, normalised=normalised)


def dice_loss(labels, logits, *, smooth: float = 1.0):
    """Soft Dice loss of a mask, one value a sample: 1 - (2 |P ∩ T| + smooth) / (|P| + |T| + smooth).

    Args: labels (B, H, W) 0, 1 or `IGNORED`; logits (B, H, W) before the sigmoid; smooth > 0, pixels that are added to
        both areas, so that nothing found where there is nothing costs nothing.
    Returns: (B,) in [0, 1]. Raises: ValueError if smooth is not above 0.
    Source: Milletari et al. 2016, arXiv:1606.04797, section 3, with the areas themselves instead of their squares.
    """
    if smooth <= 0:
        raise ValueError(f"smooth must be above 0, got {smooth}.")
    known = valid(labels)
    truth = known * ops.cast(ops.equal(ops.cast(labels, "int32"), 1), "float32")
    chance = ops.sigmoid(ops.cast(logits, "float32"))
    overlap = masked_sum(chance, truth)
    return 1.0 - (2.0 * overlap + smooth) / (masked_sum(chance, known) + masked_sum(truth, known) + smooth)
