"""Forests of distributions, asked many questions at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from forecasting.forecasters.trees import Halves, Nodes, Ways

BLOCK_ROWS = 256


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

    Tree by tree for some rows at a time, so that a tree and what was added up for the rows stay in the cache.
    """
    found = np.empty((len(rows), len(levels)), dtype=np.int64)
    below = np.empty((min(len(rows), BLOCK_ROWS), chances.shape[1]), dtype=np.float32)
    for first in range(0, len(rows), BLOCK_ROWS):
        some = rows[first : first + BLOCK_ROWS]
        below[: len(some)] = 0
        fallen = leaves(some, ways)
        for t in range(len(ways.roots)):
            for n in range(len(some)):
                below[n] += chances[fallen[n, t]]
        for n in range(len(some)):
            for v in range(1, below.shape[1]):
                below[n, v] += below[n, v - 1]
            for q in range(len(levels)):
                found[first + n, q] = np.searchsorted(below[n], levels[q] * below[n, -1])
    return found
