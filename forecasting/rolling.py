"""The past replayed: what was known at a moment, and what then came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.losses import pinball
from forecasting.protocol import Forecaster, updated
from forecasting.windows import outcome
from gyropilot.domain import DemandHistory, Floats, Window


@dataclass(frozen=True, eq=False, slots=True)
class Replay:
    """Forecasts from past moments beside what then came."""

    actual: Floats  # (O, L, W) GPUs; NaN: not seen
    predicted: Floats  # (O, L, W, Q) GPUs
    quantiles: tuple[float, ...]

    def loss(self) -> Floats:
        """(L, W) sum of pinball losses in GPUs over moments and quantiles; what was not seen costs nothing."""
        total: Floats = np.nansum(pinball(self.actual, self.predicted, self.quantiles), axis=(0, -1))
        return total


def until(history: DemandHistory, column: int) -> DemandHistory:
    """What was known when `column` was the newest one."""
    end = column + 1
    if end == len(history.times):
        return history
    return DemandHistory(history.lines, history.times[:end], history.running[:, :end], history.pending[:, :end])


def replay(
    model: Forecaster,
    history: DemandHistory,
    columns: Sequence[int],
    windows: Sequence[Window],
    quantiles: Sequence[float],
) -> Replay:
    """Asks `model`, as it was fitted, at each of `columns`; it learns on the way if it can.

    Honest only if it was fitted before the first of them.
    """
    predicted = []
    for column in columns:
        known = until(history, column)
        model = updated(model, known)
        predicted.append(model.predict(known, windows, quantiles))
    actual = [outcome(history, column, windows) for column in columns]
    return Replay(np.array(actual), np.array(predicted), tuple(quantiles))
