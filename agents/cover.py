"""The cheapest choice of whole things that covers a need: the knapsack cover, solved exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cheapest_cover(need: int, sizes: Sequence[int], costs: Sequence[float]) -> list[int] | None:
    """Indices of the things whose sizes sum to at least `need` at the least cost; None if all do not suffice.

    Dynamic programming over the need, O(len(sizes) * need). With costs above zero nothing is chosen in vain:
    without any one of the chosen, the need is not covered.
    """
    best = np.full(need + 1, np.inf)  # least cost to cover 0..need with the things seen so far
    best[0] = 0.0
    chosen = np.zeros((len(sizes), need + 1), dtype=bool)
    for i, (size, cost) in enumerate(zip(sizes, costs, strict=True)):
        with_it = cost + best[np.maximum(0, np.arange(need + 1) - size)]
        chosen[i] = with_it < best
        best = np.minimum(best, with_it)
    if np.isinf(best[need]):
        return None
    return _trace(need, sizes, chosen)


def _trace(need: int, sizes: Sequence[int], chosen: np.typing.NDArray[np.bool_]) -> list[int]:
    picked: list[int] = []
    for i in reversed(range(len(sizes))):
        if need > 0 and chosen[i, need]:
            picked.append(i)
            need = max(0, need - sizes[i])
    return picked[::-1]
