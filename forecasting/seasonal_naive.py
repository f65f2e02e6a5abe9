"""Tomorrow is like today: the first row of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import numpy as np

from forecasting.bands import DAY_S, Bands
from forecasting.naive import Naive
from gyropilot.domain import DemandHistory, Floats


@dataclass(frozen=True, eq=False)
class SeasonalNaive:
    """Demand at the same time of day, on the last day that is known, plus past changes over whole days.

    Where that time was not seen it answers as `Naive`.
    """

    bands: Bands = field(default_factory=Bands.none)

    name = "seasonal-naive"

    def fit(self, history: DemandHistory) -> Self:
        """Measures past changes from day to day."""
        return replace(self, bands=Bands.of_changes(history))

    def predict(self, history: DemandHistory, horizons: Sequence[timedelta], quantiles: Sequence[float]) -> Floats:
        """(L, H, Q) GPUs."""
        bands = self.bands.for_lines(history)
        ahead_s = np.array([h.total_seconds() for h in horizons])
        days = np.maximum(1, np.ceil(ahead_s / DAY_S))
        past = _readings_ago(history, days * DAY_S - ahead_s)
        leads_s = np.broadcast_to(days * DAY_S, past.shape)
        seasonal = bands.around(past, leads_s, quantiles)
        plain = Naive(bands).predict(history, horizons, quantiles)
        return np.where(np.isnan(past)[..., None], plain, seasonal)


def _readings_ago(history: DemandHistory, ago_s: Floats) -> Floats:
    """(L, H) demand `ago_s` (H,) seconds before the newest column; NaN where not seen."""
    steps = history.demand.shape[1]
    columns = steps - 1 - np.round(ago_s / history.step.total_seconds()).astype(np.int64)
    past = np.full((len(history.lines), len(ago_s)), np.nan)
    known = (columns >= 0) & (ago_s < steps * history.step.total_seconds())
    past[:, known] = history.demand[:, columns[known]]
    return past
