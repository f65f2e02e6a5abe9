"""Who is compared: our own forecasters, refitted and updated as time goes on, and peers, who see the same past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from forecasting.forecast import guard
from forecasting.protocol import Forecaster, updated
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError


class Peer(Protocol):
    """Whoever takes part. When it fits is its own affair."""

    @property
    def name(self) -> str: ...

    def forecast(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) quantiles of mean demand in each window after history.end; NaN where it has no answer."""
        ...


@dataclass(slots=True)
class Own:
    """A bare model of ours on its way through time: fitted at first and each `refit`, updated at each origin."""

    name: str  # as in forecast.model
    model: Forecaster
    refit: timedelta
    fitted_at: datetime | None = None

    def forecast(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """What it says having seen `history` and nothing else. Raises ForecastError where it breaks the protocol."""
        # As the daemon does: experts are scored on what they did not know before they are fitted on it.
        if self.fitted_at is None:
            self.model, self.fitted_at = self.model.fit(history), history.end
        self.model = updated(self.model, history)
        if self._due(history.end):
            self.model, self.fitted_at = self.model.fit(history), history.end
        said = self.model.predict(history, windows, quantiles)
        guard(said, (len(history.lines), len(windows), len(quantiles)), self.name)
        return said

    def _due(self, now: datetime | None) -> bool:
        return self.fitted_at is None or (now is not None and now - self.fitted_at >= self.refit)


def answer(entrant: Peer, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
    """What an entrant says, its quantiles sorted. Raises ForecastError where its table has another shape."""
    said = np.asarray(entrant.forecast(history, windows, quantiles), dtype=np.float64)
    shape = (len(history.lines), len(windows), len(quantiles))
    if said.shape != shape:
        raise ForecastError(f"{entrant.name} gave a table of shape {said.shape}, expected {shape}; leave it out")
    whole: Floats = np.where(np.isfinite(said).all(axis=-1, keepdims=True), said, np.nan)
    return np.sort(whole, axis=-1)
