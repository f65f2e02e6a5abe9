"""What lines of a group have in common; see `forecasting.pooling`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def means(values: Floats, groups: NDArray[np.int64], count: int) -> Floats:
    """(E, G, W, Q) of `values` (E, L, W, Q) over the lines of each of so many `groups` (L,), NaN left out."""
    shape = values.shape
    total, seen = np.zeros((shape[0], count, *shape[2:])), np.zeros((shape[0], count, *shape[2:]))
    for e, line, w, q in np.ndindex(shape):
        value, group = values[e, line, w, q], groups[line]
        if np.isfinite(value):
            total[e, group, w, q] += value
            seen[e, group, w, q] += 1
    return total / seen
