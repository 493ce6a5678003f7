"""The inception block: what is seen at several scales, side by side."""

from __future__ import annotations

from keras import layers


def inception(x, filters: tuple[int, int, int, int], name: str):
    """Apply an inception block without padding, so that it means the same inside a field as inside a window.

    Branches: 1x1; 1x1 then 3x3; 1x1 then 5x5; 3x3 maximum then 1x1. The smaller branches are cut to the 5x5 branch's
    size: 2 pixels less on every side.

    Args: x (B, h, w, c); filters of the four branches' outputs (the reducing 1x1 have half as many); name, prefix.
    Returns: (B, h - 4, w - 4, sum(filters)). Source: Szegedy et al. 2015, arXiv:1409.4842, Fig. 2b.
    """
    one, three, five, pooled = filters

    def conv(y, width: int, size: int, part: str):
        return layers.Conv2D(width, size, activation="relu", name=f"{name}_{part}")(y)

    a = layers.Cropping2D(2, name=f"{name}_1x1_cut")(conv(x, one, 1, "1x1"))
    b = layers.Cropping2D(1, name=f"{name}_3x3_cut")(conv(conv(x, three // 2, 1, "3x3_reduce"), three, 3, "3x3"))
    c = conv(conv(x, five // 2, 1, "5x5_reduce"), five, 5, "5x5")
    d = layers.MaxPooling2D(3, strides=1, name=f"{name}_pool")(x)
    d = layers.Cropping2D(1, name=f"{name}_pool_cut")(conv(d, pooled, 1, "pool_1x1"))
    return layers.Concatenate(name=name)([a, b, c, d])
