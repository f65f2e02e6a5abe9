"""A forecast read along time: the path of one quantile, its mean and its peak."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from gyropilot.domain import DemandForecast, Floats, Line


def hours(duration: timedelta) -> float:
    return duration / timedelta(hours=1)


def quantile_path(forecast: DemandForecast, line: Line, quantile: float) -> Floats:
    """(H,) GPUs at a quantile, interpolated between the ones forecast and held at the ends."""
    return np.array([np.interp(quantile, forecast.quantiles, row) for row in forecast.of(line)])


def on_grid(forecast: DemandForecast, line: Line, quantile: float, grid_hours: Floats) -> Floats:
    """(N,) GPUs at a quantile, at each time of a grid in hours from now, linear between horizons."""
    horizons = [hours(h) for h in forecast.horizons]
    return np.interp(grid_hours, horizons, quantile_path(forecast, line, quantile))


def mean_gpus(forecast: DemandForecast, line: Line, quantile: float, begin: timedelta, end: timedelta) -> float:
    """Mean over [begin, end] of the path of a quantile."""
    grid = _knots(forecast, begin, end)
    path = on_grid(forecast, line, quantile, grid)
    span = float(grid[-1] - grid[0])
    return float(np.trapezoid(path, grid)) / span if span > 0 else float(path[0])


def peak_gpus(forecast: DemandForecast, line: Line, quantile: float, until: timedelta) -> float:
    """The largest value of the path of a quantile from now until a time."""
    return float(on_grid(forecast, line, quantile, _knots(forecast, timedelta(0), until)).max())


def _knots(forecast: DemandForecast, begin: timedelta, end: timedelta) -> Floats:
    inner = [h for h in forecast.horizons if begin < h < end]
    return np.array([hours(h) for h in (begin, *inner, end)])
