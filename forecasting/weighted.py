"""Quantiles of weighted samples, many at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gyropilot.domain import Floats

Numbers = NDArray[np.floating[Any]]


def weighted_quantiles(values: Numbers, weights: Numbers, quantiles: Sequence[float]) -> Floats:
    """(R, Q) conformal quantiles of each row of `values` (R, N), ascending, under `weights` (R, N); ends are held.

    With equal weights it is the (n + 1) q-th smallest (Tibshirani et al. 2019 give weights their say). A row
    without weight gives its first value.
    """
    rows, count = values.shape
    if not count:
        return np.zeros((rows, len(quantiles)))
    total = np.cumsum(weights, axis=1)
    target = _targets(weights, total[:, -1].astype(np.float64), quantiles)
    above = _first_at(total, weights, target)
    below = np.maximum(above - 1, 0)
    low, high = (_position(total, weights, at) for at in (below, above))
    share = np.clip((target - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    smaller, larger = (np.take_along_axis(values, at, axis=1).astype(np.float64) for at in (below, above))
    result: Floats = smaller + (larger - smaller) * share
    return result


def _targets(weights: Numbers, whole: Floats, quantiles: Sequence[float]) -> Floats:
    """(R, Q) weight that lies below each quantile, when what comes next counts as one more sample."""
    # Of the weight that a typical sample has.
    typical = np.einsum("rn,rn->r", weights, weights) / np.where(whole > 0, whole, 1.0)
    sought = (whole + typical)[:, None] * np.array(quantiles) - typical[:, None] / 2
    targets: Floats = np.clip(sought, 0.0, whole[:, None])
    return targets


def _first_at(total: Numbers, weights: Numbers, target: Floats) -> NDArray[np.int64]:
    """(R, Q) the first value of each row that stands at `target` or after it, else the last, by bisection."""
    low, high = np.zeros(target.shape, np.int64), np.full(target.shape, total.shape[1] - 1)
    while (low < high).any():
        middle = (low + high) // 2
        reached = _position(total, weights, middle) >= target
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
        low = np.minimum(low, high)
    return low


def _position(total: Numbers, weights: Numbers, at: NDArray[np.int64]) -> Floats:
    """(R, Q) weight below the middle of a sample."""
    own, below = (np.take_along_axis(table, at, axis=1).astype(np.float64) for table in (weights, total))
    return below - own / 2
