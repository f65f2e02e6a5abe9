"""Means of demand on past days; see `forecasting.slots`."""

from __future__ import annotations

import numpy as np

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def upto(early: Floats, late: Floats, edge: float) -> float:
    """What was added up to an edge, which may be a fraction, of two running sums (N,), one continuing the other."""
    whole, last = int(np.floor(edge)), len(early) - 1
    found = early[min(max(whole, 0), last)] + late[min(max(whole - last, 0), len(late) - 1)]
    if edge > whole:
        next_ = early[min(max(whole + 1, 0), last)] + late[min(max(whole + 1 - last, 0), len(late) - 1)]
        found += (next_ - found) * (edge - whole)
    return found  # type: ignore[no-any-return]


@compiled
def added(early: Floats, late: Floats, begins: Floats, ends: Floats) -> Floats:
    """(R, N) what was added from `begins` to `ends` (N,) to running sums of some lines."""
    found = np.empty((len(early), len(begins)))
    for line in range(len(early)):
        for n in range(len(begins)):
            found[line, n] = upto(early[line], late[line], ends[n]) - upto(early[line], late[line], begins[n])
    return found
