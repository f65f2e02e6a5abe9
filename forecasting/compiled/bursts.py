"""Lines that nobody uses any more: since when, and how large what was asked for there was."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def idle_steps(demand: Floats, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """(R,) readings of each row of `demand` (L, T) since the last one above zero: a gap is not a zero."""
    found = np.zeros(len(rows), np.int64)
    for nth, row in enumerate(rows):
        for step in range(demand.shape[1] - 1, -1, -1):
            if demand[row, step] > 0:
                break
            if np.isfinite(demand[row, step]):
                found[nth] += 1
    return found


@compiled
def shares_used(demand: Floats, rows: NDArray[np.int64]) -> Floats:
    """(R,) share of each row's readings above zero, from the first to the last such one; 1 where there is none."""
    found = np.ones(len(rows))
    for nth, row in enumerate(rows):
        used, since, until_last = 0, 0, 0
        for step in range(demand.shape[1]):
            if demand[row, step] > 0:
                used += 1
            if used > 0 and np.isfinite(demand[row, step]):
                since += 1
                if demand[row, step] > 0:
                    until_last = since
        if used > 0:
            found[nth] = used / until_last
    return found


@compiled
def sizes(demand: Floats, rows: NDArray[np.int64], ranks: Floats, unknown: float) -> Floats:
    """(R, W, Q) quantiles at `ranks` (R, W, Q) of each row's demand above zero, as `row_quantiles` has them.

    None where the rank is 0; `unknown` where a row was never used.
    """
    found = np.zeros_like(ranks)
    for nth, row in enumerate(rows):
        likely = ranks[nth] > 0
        if not likely.any():
            continue
        used = np.sort(demand[row][demand[row] > 0])
        last = len(used) - 1
        for w in range(ranks.shape[1]):
            for q in range(ranks.shape[2]):
                if not likely[w, q]:
                    continue
                if last < 0:
                    found[nth, w, q] = unknown
                    continue
                at = min(max((last + 2) * ranks[nth, w, q] - 1, 0.0), float(last))
                below = int(np.floor(at))
                low, high = used[below], used[min(below + 1, last)]
                found[nth, w, q] = low + (high - low) * (at - below)
    return found
