"""Samples of single queues, put in the order in which queues moved, and added up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats

Rows = NDArray[np.int64]


@compiled
def summed(quantiles: Floats, low: Rows, share: Floats, ranks: NDArray[np.uint16], rows: Rows) -> Floats:
    """(N,) GPUs of some lines together at each moment, from `ranks` (L, N) of their samples; none is below zero.

    The sample of rank n lies a `share` (N,) of the way from the quantile (L, Q) at `low` (N,) to the next one.
    """
    total, ascending, last = np.zeros(len(low)), np.empty(len(low)), quantiles.shape[1] - 1
    for line in rows:
        for n in range(len(low)):
            below, above = quantiles[line, low[n]], quantiles[line, min(low[n] + 1, last)]
            ascending[n] = max(below + (above - below) * share[n], 0.0)
        for moment in range(len(low)):
            total[moment] += ascending[ranks[line, moment]]
    return total
