"""The past replayed: what was known at a moment, and what then came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from forecasting.losses import pinball
from forecasting.protocol import Forecaster
from gyropilot.domain import DemandHistory, Floats


@dataclass(frozen=True, eq=False, slots=True)
class Replay:
    """Forecasts from past moments beside what then came."""

    actual: Floats  # (O, L, H) GPUs; NaN: not seen
    predicted: Floats  # (O, L, H, Q) GPUs
    quantiles: tuple[float, ...]

    def loss(self) -> Floats:
        """(L, H) sum of pinball losses in GPUs over moments and quantiles; what was not seen costs nothing."""
        total: Floats = np.nansum(pinball(self.actual, self.predicted, self.quantiles), axis=(0, -1))
        return total


def until(history: DemandHistory, column: int) -> DemandHistory:
    """What was known when `column` was the newest one."""
    end = column + 1
    return DemandHistory(history.lines, history.times[:end], history.running[:, :end], history.pending[:, :end])


def outcome(history: DemandHistory, column: int, horizons: Sequence[timedelta]) -> Floats:
    """(L, H) demand that came after `column`; NaN where it was not seen or lies after the end."""
    steps = [round(h / history.step) for h in horizons]
    count = history.demand.shape[1]
    came = np.full((len(history.lines), len(steps)), np.nan)
    for i, step in enumerate(steps):
        if column + step < count:
            came[:, i] = history.demand[:, column + step]
    return came


def replay(
    model: Forecaster,
    history: DemandHistory,
    columns: Sequence[int],
    horizons: Sequence[timedelta],
    quantiles: Sequence[float],
) -> Replay:
    """Asks `model`, as it was fitted, at each of `columns`. Honest only if it was fitted before the first."""
    predicted = [model.predict(until(history, column), horizons, quantiles) for column in columns]
    actual = [outcome(history, column, horizons) for column in columns]
    return Replay(np.array(actual), np.array(predicted), tuple(quantiles))
