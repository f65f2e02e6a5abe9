"""Demand stays as it is, give or take what it changed by before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from forecasting.bands import Bands
from forecasting.demand.seen import newest
from forecasting.protocol import State
from forecasting.store import nested
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window


@dataclass(frozen=True, eq=False)
class Naive:
    """The newest reading plus empirical quantiles of past changes over the same lead (see `Bands`).

    Gang demand is close to a random walk with jumps, so this is the baseline that is hard to beat. A line
    whose newest reading is old is forecast from it over a longer lead.
    """

    bands: Bands = field(default_factory=Bands.none)

    name = "naive"
    each_alone = True
    """What it says of a line follows from the past of that line."""

    def fit(self, history: DemandHistory) -> Self:
        """Measures past changes once, so that `predict` only looks them up."""
        return replace(self, bands=Bands.of_changes(history))

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)
        return over_instants(lambda ahead_s: plain(bands, history, ahead_s, quantiles), windows, history.step)

    def state(self) -> State:
        """Its bands."""
        return {"bands": self.bands.state()}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        return cls(Bands.restored(nested(state, "bands")))


def plain(bands: Bands, history: DemandHistory, ahead_s: Floats, quantiles: Sequence[float]) -> Floats:
    """(L, N, Q) GPUs at instants: the newest reading within `bands`, which are those of the lines of `history`."""
    now, age_s = newest(history)
    leads_s = age_s[:, None] + ahead_s
    return bands.around(np.repeat(now[:, None], leads_s.shape[1], axis=1), leads_s, quantiles)
