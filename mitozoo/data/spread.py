"""Spread whole cases over parts, so that each part gets its share of everything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: With more cases than this the first assignment is even enough, and comparing all pairs would take long.
_MOST_REFINED = 2000
_LEAST_GAIN = 1e-9


def spread(amounts: np.ndarray, shares: Sequence[float], *, seed: int, refine: bool = False) -> list[int]:
    """Give every case to a part.

    Largest cases first, each to the part that has least of what the case holds, for its share; none is left empty.
    What is made least is the sum over parts of the squared portions of each amount, divided by the part's share, which
    is least where every part has its share of everything.
    Args: amounts (n, a) >= 0, what each case holds of each kind; shares (k,) > 0, up to a common factor, k <= n; seed
        breaks ties; refine moves and exchanges cases afterwards as long as this makes the parts more even.
    Returns: the part's number for each of the n cases.
    """
    portions = amounts / np.maximum(amounts.sum(axis=0), 1)
    weights = np.asarray(shares, float)
    order = np.random.default_rng(seed).permutation(len(portions))
    order = order[np.argsort(-portions[order].max(axis=1), kind="stable")]
    load, empty = np.zeros((len(weights), portions.shape[1])), np.ones(len(weights), bool)
    chosen = np.zeros(len(portions), int)
    for done, i in enumerate(order):
        cost = (((load + portions[i]) ** 2).sum(axis=1) - (load**2).sum(axis=1)) / weights
        if len(order) - done == empty.sum():
            cost[~empty] = np.inf
        chosen[i] = int(np.argmin(cost))
        load[chosen[i]] += portions[i]
        empty[chosen[i]] = False
    if refine and len(portions) <= _MOST_REFINED:
        _refine(chosen, portions, weights)
    return chosen.tolist()


def _refine(chosen: np.ndarray, portions: np.ndarray, weights: np.ndarray) -> None:
    """Change `chosen` by the best move or exchange until none helps; every step lowers the cost, so that it ends."""
    products = portions @ portions.T
    squares = products.diagonal()
    apart = squares[:, None] + squares[None, :] - 2 * products
    cases = np.arange(len(chosen))
    while True:
        load = np.stack([portions[chosen == part].sum(axis=0) for part in range(len(weights))])
        along = portions @ load.T / weights  # (n, k): what a case adds to a part's cost, halved
        own = along[cases, chosen]
        moves = 2 * (along - own[:, None]) + squares[:, None] * (1 / weights + 1 / weights[chosen][:, None])
        moves[cases, chosen] = np.inf
        moves[np.bincount(chosen, minlength=len(weights))[chosen] == 1] = np.inf
        # Exchanging i and j: part of i gains j and loses i, part of j the other way round.
        gained = along[:, chosen].T  # (n, n): row i, column j: what j adds to the part of i
        swaps = 2 * (gained - own[:, None] + gained.T - own[None, :])
        swaps += apart * (1 / weights[chosen][:, None] + 1 / weights[chosen][None, :])
        swaps[chosen[:, None] == chosen[None, :]] = np.inf
        if min(moves.min(), swaps.min()) > -_LEAST_GAIN:
            return
        if moves.min() <= swaps.min():
            i, part = np.unravel_index(np.argmin(moves), moves.shape)
            chosen[i] = part
        else:
            i, j = np.unravel_index(np.argmin(swaps), swaps.shape)
            chosen[i], chosen[j] = chosen[j], chosen[i]
