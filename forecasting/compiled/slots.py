"""Means of demand on past days; see `forecasting.slots`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats

Rows = NDArray[np.int64]


@compiled
def add(early: Floats, late: Floats, edges: Floats, sign: float, found: Floats) -> None:
    """Adds to `found` (R, N), with a sign, what two running sums hold at `edges` (N,), one continuing the other."""
    last, latest = early.shape[1] - 1, late.shape[1] - 1
    whole = np.floor(edges).astype(np.int64)
    part, after = edges - whole, whole + 1
    old, old_next = np.minimum(np.maximum(whole, 0), last), np.minimum(np.maximum(after, 0), last)
    new, new_next = np.minimum(np.maximum(whole - last, 0), latest), np.minimum(np.maximum(after - last, 0), latest)
    for line in range(len(early)):
        for n in range(len(edges)):
            here = early[line, old[n]] + late[line, new[n]]
            there = early[line, old_next[n]] + late[line, new_next[n]]
            found[line, n] += sign * (here + (there - here) * part[n])


@compiled
def added(early: Floats, late: Floats, begins: Floats, ends: Floats) -> Floats:
    """(R, N) what was added from `begins` to `ends` (N,), which may be fractions, to running sums of some lines."""
    found = np.zeros((len(early), len(begins)))
    add(early, late, ends, 1.0, found)
    add(early, late, begins, -1.0, found)
    return found
