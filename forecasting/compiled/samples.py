"""Quantiles of weighted samples, many at once; see `forecasting.weighted`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.compiled.loops import compiled
from forecasting.forecasters.paths import WHOLE
from gyropilot.domain import Floats

Numbers = NDArray[np.floating[Any]]


@compiled
def fill(values: Numbers, weights: Numbers, middle: Floats, levels: Floats, found: Floats) -> None:
    """Fills in `found` (Q,) for one sample (N,), ascending; `middle` (N,) is room for the weight below each middle."""
    whole, squares = 0.0, 0.0
    for i in range(len(values)):
        weight = np.float64(weights[i])
        middle[i] = whole + weight / 2
        whole += weight
        squares += weight * weight
    # Of the weight that a typical sample has: what comes next counts as one more.
    typical = squares / whole if whole > 0 else 0.0
    for q in range(len(levels)):
        target = min(max((whole + typical) * levels[q] - typical / 2, 0.0), whole)
        above = min(np.searchsorted(middle, target), len(values) - 1)
        below = max(above - 1, 0)
        gap = middle[above] - middle[below]
        share = min(max((target - middle[below]) / gap, 0.0), 1.0) if gap > 0 else 0.0
        smaller, larger = np.float64(values[below]), np.float64(values[above])
        found[q] = smaller + (larger - smaller) * share


@compiled
def quantiles(values: Numbers, weights: Numbers, levels: Floats) -> Floats:
    """(R, Q) of each row of `values` (R, N), ascending, under `weights` (R, N)."""
    found, middle = np.empty((len(values), len(levels))), np.empty(values.shape[1])
    for r in range(len(values)):
        fill(values[r], weights[r], middle, levels, found[r])
    return found


@compiled
def changes(
    lost: NDArray[np.uint16], arrived: Numbers, now: Floats, rows: NDArray[np.int64], windows: NDArray[np.int64]
) -> Numbers:
    """(R, W, P) GPUs by which demand changes on each path of some lines; infinite where it was not seen.

    What arrived (L, W, P) less the shares (L, W, LAYERS, P), of WHOLE, that are lost of layers `now` (R, LAYERS).
    """
    found = np.empty((len(rows), len(windows), arrived.shape[2]), dtype=np.float32)
    for r in range(len(rows)):
        for w in range(len(windows)):
            found[r, w] = arrived[rows[r], windows[w]]
            for layer in range(now.shape[1]):
                gpus = np.float32(now[r, layer] / WHOLE)
                if gpus:
                    gone = lost[rows[r], windows[w], layer]
                    for p in range(found.shape[2]):
                        found[r, w, p] -= gpus * np.float32(gone[p])
            for p in range(found.shape[2]):
                if np.isnan(found[r, w, p]):
                    found[r, w, p] = np.inf
    return found


@compiled
def ordered_quantiles(values: Numbers, order: NDArray[np.int64], weights: Numbers, levels: Floats) -> Floats:
    """(R, W, Q) of `values` (R, W, P) in ascending `order`, under `weights` (R, P); infinite ones are left out."""
    found = np.zeros((*values.shape[:2], len(levels)))
    ranked, weight, middle = np.empty(values.shape[2]), np.empty(values.shape[2]), np.empty(values.shape[2])
    for r in range(len(values)):
        for w in range(values.shape[1]):
            known = 0
            for p in order[r, w]:
                if not np.isinf(values[r, w, p]):
                    ranked[known], weight[known] = values[r, w, p], weights[r, p]
                    known += 1
            if known:
                fill(ranked[:known], weight[:known], middle[:known], levels, found[r, w])
    return found
