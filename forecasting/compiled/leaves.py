"""Forests of distributions, asked many questions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from forecasting.trees import Halves, Nodes, Ways


@compiled
def leaf_of(row: Halves, node: int, ways: Ways) -> int:
    """The leaf below a node that a row (F,) falls into."""
    while ways.low[node] != node:
        node = ways.low[node] if row[ways.feature[node]] <= ways.threshold[node] else ways.high[node]
    return node


@compiled
def leaves(rows: Halves, ways: Ways) -> Nodes:
    """(N, T) the leaf of each row (N, F) in each tree."""
    found = np.empty((len(rows), len(ways.roots)), dtype=np.int32)
    for n in range(len(rows)):
        for t in range(len(ways.roots)):
            found[n, t] = leaf_of(rows[n], ways.roots[t], ways)
    return found


@compiled
def ranks(rows: Halves, ways: Ways, chances: Halves, levels: Halves) -> NDArray[np.int64]:
    """(N, Q) the first value at which the chances (nodes, V) of the leaves of a row, together, reach each level (Q,).

    Leaf by leaf into one short table that stays in the cache: written out, these would be most of the work.
    """
    found = np.empty((len(rows), len(levels)), dtype=np.int64)
    below = np.empty(chances.shape[1], dtype=np.float32)
    for n in range(len(rows)):
        below[:] = 0
        for t in range(len(ways.roots)):
            leaf = leaf_of(rows[n], ways.roots[t], ways)
            for v in range(len(below)):
                below[v] += chances[leaf, v]
        for v in range(1, len(below)):
            below[v] += below[v - 1]
        for q in range(len(levels)):
            found[n, q] = np.searchsorted(below, levels[q] * below[-1])
    return found
