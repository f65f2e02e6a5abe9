"""The numbers of a programme that change from look to look; see `agents.pilots.purchases`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from gyropilot.domain import Floats


@compiled
def bounds(offers: Floats, first: NDArray[np.int64], demand: Floats, always: Floats) -> tuple[Floats, Floats, Floats]:
    """The most of each column, then the least and the most of each row, of P pools, K courses and T steps.

    `offers` are (P, 7), in the order of `Offer`; what is coming is there from step `first` (P,) on, T: never. What the
    most of columns is that follows from no offer is `always` so. Rows say what is there without being bought, then what
    of `demand` (K, T) is to be covered.
    """
    pools, steps = len(offers), demand.shape[1]
    upper, least = always.copy(), np.zeros((pools + len(demand)) * steps)
    for pool in range(pools):
        there, coming, at_most, removable = offers[pool, :4]
        bought, released, stock = steps * pool, steps * (pool + pools), steps * (pool + 2 * pools)
        upper[bought] = max(0.0, at_most - there - coming) if first[pool] < steps else 0.0
        upper[released] = removable
        upper[stock : stock + steps] = max(at_most, there + coming)
        least[bought] += there
        if first[pool] < steps:
            least[bought + first[pool]] += coming
    most = least.copy()
    for course in range(len(demand)):
        row = steps * (pools + course)
        least[row : row + steps], most[row : row + steps] = demand[course], np.inf
    return upper, least, most
