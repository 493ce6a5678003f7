"""Several hits on one cell become one point."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree


def merge_hits(xy: np.ndarray, scores: np.ndarray, radius_px: float) -> list[np.ndarray]:
    """Group hits around the strongest ones.

    The strongest hit takes all hits within the radius; then the strongest of the rest, and so on. Equal scores go by
    y, then x, so that the order of the input does not matter.

    Args: xy (n, 2); scores (n,); radius_px.  Returns: index arrays, one a group, the strongest hit first in each.
    """
    if not len(xy):
        return []
    order = np.lexsort((xy[:, 0], xy[:, 1], -scores))
    near = cKDTree(xy).query_ball_point(xy, radius_px)
    free = np.ones(len(xy), bool)
    groups = []
    for i in order:
        if free[i]:
            members = np.array([j for j in near[i] if free[j]])
            members = members[np.lexsort((xy[members, 0], xy[members, 1], -scores[members]))]
            free[members] = False
            groups.append(members)
    return groups
