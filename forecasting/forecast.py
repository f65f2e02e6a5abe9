"""From what was seen to a `DemandForecast`: the stage that the cycle calls."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from forecasting.protocol import Forecaster
from gyropilot.domain import DemandForecast, DemandHistory, Floats, Window
from gyropilot.errors import ForecastError
from gyropilot.settings import ForecastSettings


def forecast(
    forecaster: Forecaster, history: DemandHistory, settings: ForecastSettings, now: datetime
) -> DemandForecast:
    """Each line of `history` and the total per resource, at each horizon after `now`.

    Horizons count from `now`, which may be later than the newest reading: the forecaster is then asked to look
    that much further. With no history at all the table has no lines. Raises ForecastError.
    """
    whole = history.with_totals() if history.lines else history
    late = _lateness(whole, now)
    asked = [Window.step(late + horizon, whole.step) for horizon in settings.horizons]
    gpus = forecaster.predict(whole, asked, settings.quantiles)
    guard(gpus, (len(whole.lines), len(asked), len(settings.quantiles)), forecaster.name)
    return DemandForecast(
        made_at=now,
        lines=whole.lines,
        horizons=settings.horizons,
        quantiles=settings.quantiles,
        gpus=gpus,
        forecaster=forecaster.name,
    )


def learn(forecaster: Forecaster, history: DemandHistory) -> Forecaster:
    """The forecaster fitted on the lines that `forecast` asks about: totals are forecast directly."""
    return forecaster.fit(history.with_totals() if history.lines else history)


def guard(gpus: Floats, shape: tuple[int, int, int], name: str) -> None:
    """Raises ForecastError unless the table is one that a pilot may act on."""
    if gpus.shape != shape:
        raise ForecastError(f"{name} gave a table of shape {gpus.shape}, expected {shape}; choose another model")
    if not np.isfinite(gpus).all():
        raise ForecastError(f"{name} gave a number that is not finite; choose another forecast.model")
    if (gpus < 0).any():
        raise ForecastError(f"{name} gave negative demand; choose another forecast.model")
    if (np.diff(gpus, axis=-1) < 0).any():
        raise ForecastError(f"{name} gave quantiles that cross; choose another forecast.model")


def _lateness(history: DemandHistory, now: datetime) -> timedelta:
    """How long before `now` the newest reading is."""
    if history.end is None:
        return timedelta(0)
    late = now - history.end
    if late < -history.step:
        raise ForecastError(f"the history ends at {history.end:%F %T}, after {now:%F %T} UTC; check the clocks")
    return max(late, timedelta(0))
