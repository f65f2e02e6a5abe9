"""Every forecaster by the name that `forecast.model` in the settings takes."""

from __future__ import annotations

from collections.abc import Callable

from forecasting.demand.calendar import UTC_PLACE, Place, settled
from forecasting.forecasters.analog import Analog
from forecasting.forecasters.anomaly import Anomaly
from forecasting.forecasters.arima import Arima
from forecasting.forecasters.auto import Auto
from forecasting.forecasters.boosting import Boosting
from forecasting.forecasters.ets import Ets
from forecasting.forecasters.forest import Forest
from forecasting.forecasters.foundation import Foundation
from forecasting.forecasters.jobs import Jobs
from forecasting.forecasters.lightgbm_quantile import LightGbm
from forecasting.forecasters.naive import Naive
from forecasting.forecasters.profile import Profile
from forecasting.forecasters.ridge import Ridge
from forecasting.forecasters.seasonal_naive import SeasonalNaive
from forecasting.forecasters.smoothing import Smoothing
from forecasting.forecasters.stl import Stl
from forecasting.mixture.ensemble import Ensemble
from forecasting.protocol import Forecaster
from gyropilot.errors import ForecastError

ALL_FORECASTERS: dict[str, Callable[[], Forecaster]] = {
    "gyropilot": Ensemble,
    "seasonal-naive": SeasonalNaive,
    "naive": Naive,
    "ets": Ets,
    "stl": Stl,
    "arima": Arima,
    "ridge": Ridge,
    "boosting": Boosting,
    "lightgbm": LightGbm,
    "analog": Analog,
    "jobs": Jobs,
    "forest": Forest,
    "profile": Profile,
    "anomaly": Anomaly,
    "smoothing": Smoothing,
    "foundation": Foundation,
    "auto": Auto,
}


def make(name: str, place: Place = UTC_PLACE) -> Forecaster:
    """A forecaster that has learnt nothing yet, by the clocks of `place`."""
    if name not in ALL_FORECASTERS:
        known = ", ".join(sorted(ALL_FORECASTERS))
        raise ForecastError(f"no forecaster is called {name!r}; choose one of {known}")
    return settled(ALL_FORECASTERS[name](), place)
