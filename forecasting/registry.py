"""Every forecaster by the name that `forecast.model` in the settings takes."""

from __future__ import annotations

from collections.abc import Callable

from forecasting.analog import Analog
from forecasting.anomaly import Anomaly
from forecasting.arima import Arima
from forecasting.auto import Auto
from forecasting.boosting import Boosting
from forecasting.calendar import UTC_PLACE, Place, settled
from forecasting.ensemble import Ensemble
from forecasting.ets import Ets
from forecasting.forest import Forest
from forecasting.foundation import Foundation
from forecasting.jobs import Jobs
from forecasting.lightgbm_quantile import LightGbm
from forecasting.naive import Naive
from forecasting.profile import Profile
from forecasting.protocol import Forecaster
from forecasting.ridge import Ridge
from forecasting.seasonal_naive import SeasonalNaive
from forecasting.smoothing import Smoothing
from forecasting.stl import Stl
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
        raise ForecastError(f"no forecaster {name!r}; set forecast.model to one of {known}")
    return settled(ALL_FORECASTERS[name](), place)
