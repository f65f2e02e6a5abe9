"""Tomorrow is like today: the first row of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from forecasting.bands import Bands
from forecasting.demand.seen import DAY_S
from forecasting.forecasters.naive import plain
from forecasting.protocol import State
from forecasting.store import nested
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window


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

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)
        return over_instants(lambda ahead_s: _seasonal(bands, history, ahead_s, quantiles), windows, history.step)

    def state(self) -> State:
        """Its bands."""
        return {"bands": self.bands.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        return cls(Bands.restored(nested(state, "bands")))


def _seasonal(bands: Bands, history: DemandHistory, ahead_s: Floats, quantiles: Sequence[float]) -> Floats:
    """(L, N, Q) GPUs at instants."""
    days = np.maximum(1, np.ceil(ahead_s / DAY_S))
    past = _readings_ago(history, days * DAY_S - ahead_s)
    seasonal = bands.around(past, np.broadcast_to(days * DAY_S, past.shape), quantiles)
    if np.isfinite(past).all():
        return seasonal
    return np.where(np.isnan(past)[..., None], plain(bands, history, ahead_s, quantiles), seasonal)


def _readings_ago(history: DemandHistory, ago_s: Floats) -> Floats:
    """(L, H) demand `ago_s` (H,) seconds before the newest column; NaN where not seen."""
    steps = history.demand.shape[1]
    columns = steps - 1 - np.round(ago_s / history.step.total_seconds()).astype(np.int64)
    past = np.full((len(history.lines), len(ago_s)), np.nan)
    known = (columns >= 0) & (ago_s < steps * history.step.total_seconds())
    past[:, known] = history.demand[:, columns[known]]
    return past
