"""Means of demand on past days; see `forecasting.slots`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats

Rows = NDArray[np.int64]


@compiled
def upto(early: Floats, late: Floats, whole: Rows, part: Floats) -> Floats:
    """(R, N) what was added up to edges of two running sums of some lines, one continuing the other.

    Edges are `whole` (N,) and a `part` (N,) of the next.
    """
    found, last, latest = np.empty((len(early), len(whole))), early.shape[1] - 1, late.shape[1] - 1
    old, old_next = np.minimum(np.maximum(whole, 0), last), np.minimum(np.maximum(whole + 1, 0), last)
    new, new_next = np.minimum(np.maximum(whole - last, 0), latest), np.minimum(np.maximum(whole + 1 - last, 0), latest)
    for line in range(len(early)):
        for n in range(len(whole)):
            here = early[line, old[n]] + late[line, new[n]]
            there = early[line, old_next[n]] + late[line, new_next[n]]
            found[line, n] = here + (there - here) * part[n]
    return found
