"""Means of demand over stretches of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def running(demand: Floats) -> tuple[Floats, Floats]:
    """(L, T + 1) what was seen before each column of `demand` (L, T), and how many readings that were."""
    lines, columns = demand.shape
    total, seen = np.zeros((lines, columns + 1)), np.zeros((lines, columns + 1))
    for line in range(lines):
        for t in range(columns):
            known = np.isfinite(demand[line, t])
            total[line, t + 1] = total[line, t] + (demand[line, t] if known else 0.0)
            seen[line, t + 1] = seen[line, t] + known
    return total, seen


@compiled
def means(demand: Floats, columns: NDArray[np.int64], start: Floats, end: Floats, least_seen: float) -> Floats:
    """(L, W) of what was seen from `start` to `end` (W,), in steps that may be fractions, after the ends of `columns`.

    NaN where less than a share of `least_seen` of it was, or it begins before or ends after `demand` (L, T).
    """
    found = np.full((len(demand), len(columns)), np.nan)
    for line in range(len(demand)):
        for w in range(len(columns)):
            first, last, total, seen = columns[w] + 1 + start[w], columns[w] + 1 + end[w], 0.0, 0.0
            if first < 0 or last > demand.shape[1]:
                continue
            for step in range(int(np.floor(first)), int(np.ceil(last))):
                if not np.isnan(demand[line, step]):
                    part = min(last, step + 1.0) - max(first, float(step))
                    total, seen = total + part * demand[line, step], seen + part
            if seen > 0 and seen >= least_seen * (last - first) - 1e-9:
                found[line, w] = max(total / seen, 0.0)
    return found
