"""How sure a score is: days drawn anew, with replacement, the same ones for every model.

Neighbouring origins share their weather, so whole days are drawn and not origins (Kunsch, 1989: the block bootstrap).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import Floats

DRAWS = 2_000
LOW, HIGH = 0.05, 0.95
"""Bounds of the 90 % interval."""


def draws(days: int, seed: int, count: int = DRAWS) -> Floats:
    """(count, days) how often each day is in each draw."""
    rng = np.random.default_rng(seed)
    drawn: Floats = rng.multinomial(days, np.full(days, 1 / days), size=count).astype(np.float64)
    return drawn


def by_day(sums: Floats, day: NDArray[np.int64]) -> Floats:
    """(D, ...) sums over the origins (O, ...) of each day, days in order."""
    days, at = np.unique(day, return_inverse=True)
    table = np.zeros((len(days), *sums.shape[1:]))
    np.add.at(table, at, sums)
    return table


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where there is no whole."""
    share: Floats = np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole != 0)
    return share


def interval(values: Floats) -> tuple[float, float]:
    """The bounds of what was drawn; NaN where nothing was."""
    seen = values[np.isfinite(values)]
    if not len(seen):
        return float("nan"), float("nan")
    low, high = np.quantile(seen, (LOW, HIGH))
    return float(low), float(high)
