"""How wrong a forecast was: pure functions with their textbook names. A NaN actual is not scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gyropilot.domain import Floats


def pinball(actual: Floats, predicted: Floats, quantiles: Sequence[float]) -> Floats:
    """(..., Q) quantile loss of `predicted` (..., Q) against `actual` (...); Koenker and Bassett (1978)."""
    levels = np.asarray(quantiles, dtype=np.float64)
    error = np.asarray(actual, dtype=np.float64)[..., None] - predicted
    loss: Floats = np.maximum(levels * error, (levels - 1) * error)
    return loss


def wql(actual: Floats, predicted: Floats, quantiles: Sequence[float]) -> float:
    """Weighted quantile loss: twice the pinball loss, averaged over quantiles, per unit of actual demand."""
    total = float(np.nansum(np.abs(actual)))
    if total == 0:
        return float("nan")
    return 2 * float(np.nansum(pinball(actual, predicted, quantiles))) / len(quantiles) / total


def coverage(actual: Floats, low: Floats, high: Floats) -> float:
    """Share of actuals that lie within [low, high]; NaN where nothing was seen."""
    seen = np.isfinite(actual)
    if not seen.any():
        return float("nan")
    return float(np.mean((actual[seen] >= low[seen]) & (actual[seen] <= high[seen])))


def mase(actual: Floats, predicted: Floats, past: Floats, lag: int = 1) -> float:
    """Mean absolute error in units of the naive error at `lag` steps over `past`; Hyndman and Koehler (2006)."""
    naive_error = float(np.nanmean(np.abs(past[..., lag:] - past[..., :-lag])))
    if naive_error == 0:
        return float("nan")
    return float(np.nanmean(np.abs(actual - predicted))) / naive_error
