"""Demand stays as it is, give or take what it changed by before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Self

import numpy as np

from forecasting.bands import Bands, newest
from gyropilot.domain import DemandHistory, Floats


@dataclass(frozen=True, eq=False)
class Naive:
    """The newest reading plus empirical quantiles of past changes over the same lead (see `Bands`).

    Gang demand is close to a random walk with jumps, so this is the baseline that is hard to beat. A line
    whose newest reading is old is forecast from it over a longer lead.
    """

    bands: Bands = field(default_factory=Bands.none)

    name = "naive"

    def fit(self, history: DemandHistory) -> Self:
        """Measures past changes once, so that `predict` only looks them up."""
        return replace(self, bands=Bands.of_changes(history))

    def predict(self, history: DemandHistory, horizons: Sequence[timedelta], quantiles: Sequence[float]) -> Floats:
        """(L, H, Q) GPUs."""
        now, age_s = newest(history)
        leads_s = age_s[:, None] + np.array([h.total_seconds() for h in horizons])
        centre = np.broadcast_to(now[:, None], leads_s.shape)
        return self.bands.for_lines(history).around(centre, leads_s, quantiles)
