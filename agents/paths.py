"""A forecast read along time: the path of one quantile, its mean and its peak."""

from __future__ import annotations

from bisect import bisect_right
from datetime import timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.once import once
from forecasting.once import for_reading
from gyropilot.domain import DemandForecast, Floats, Line

Horizons = tuple[timedelta, ...]


class Places(NamedTuple):
    """Where N points lie among M knots: all that reading between them needs, whatever the values at the knots."""

    below: NDArray[np.int64]  # (N,) the last knot before each point; the first one, where it lies before all
    beyond: Floats  # (N, 1) how far behind that
    apart: Floats  # (M - 1, 1) knots from each other

    def read(self, values: Floats) -> Floats:
        """(N, K) from (M, K): linear between knots and held at the ends, to the bit as `numpy.interp` has each column.

        Which takes several times as long for a handful of knots, column by column.
        """
        slopes = np.zeros(values.shape)
        np.divide(values[1:] - values[:-1], self.apart, out=slopes[:-1])
        between: Floats = slopes[self.below] * self.beyond + values[self.below]
        return between


@lru_cache(maxsize=64)
def places(knots: tuple[float, ...], points: tuple[float, ...]) -> Places:
    """The same for all looks that read the same points; knots ascend."""
    at, among = np.array(points), np.array(knots)
    below = np.maximum(np.searchsorted(among, at, side="right") - 1, 0)
    beyond = np.maximum(at - among[below], 0.0)
    return for_reading(Places(below, beyond[:, None], np.diff(among)[:, None]))


def hours(duration: timedelta) -> float:
    return duration / timedelta(hours=1)


def quantile_path(forecast: DemandForecast, line: Line, quantile: float) -> Floats:
    """(H,) GPUs at a quantile, interpolated between the ones forecast and held at the ends."""
    table, known = forecast.of(line), forecast.quantiles
    above = bisect_right(known, quantile)
    if above == 0 or above == len(known) or known[above - 1] == quantile:
        return table[:, max(0, above - 1)].copy()
    low, high = table[:, above - 1], table[:, above]
    path: Floats = (high - low) / (known[above] - known[above - 1]) * (quantile - known[above - 1]) + low
    return path


def on_grid(forecast: DemandForecast, line: Line, quantile: float, grid_hours: Floats) -> Floats:
    """(N,) GPUs at a quantile, at each time of a grid in hours from now, linear between horizons."""
    return np.interp(grid_hours, in_hours(forecast.horizons), quantile_path(forecast, line, quantile))


def mean_gpus(forecast: DemandForecast, line: Line, quantile: float, begin: timedelta, end: timedelta) -> float:
    """Mean over [begin, end] of the path of a quantile: as quantiles in between lie, so do the means of their paths."""
    means, known = _means(forecast, line, begin, end), forecast.quantiles
    above = bisect_right(known, quantile)
    if above == 0 or above == len(known):
        return means[max(0, above - 1)]
    share = (quantile - known[above - 1]) / (known[above] - known[above - 1])
    return means[above - 1] + (means[above] - means[above - 1]) * share


@once
def _means(forecast: DemandForecast, line: Line, begin: timedelta, end: timedelta) -> tuple[float, ...]:
    """(Q,) means over [begin, end] of the paths of all quantiles that are forecast."""
    means: Floats = _weights(forecast.horizons, begin, end) @ forecast.of(line)
    return tuple(means.tolist())


@lru_cache
def _weights(horizons: Horizons, begin: timedelta, end: timedelta) -> Floats:
    """(H,) how much each horizon counts for the mean of a path over [begin, end]: the trapezoidal rule."""
    grid, known = _knots(horizons, begin, end), in_hours(horizons)
    hats = np.array([np.interp(grid, known, unit) for unit in np.eye(len(known))])
    if grid[-1] <= grid[0]:
        return for_reading(hats[:, 0])
    areas: Floats = (grid[1:] - grid[:-1]) * (hats[:, 1:] + hats[:, :-1]) / 2.0
    return for_reading(areas.sum(axis=1) / (grid[-1] - grid[0]))


@once
def peak_gpus(forecast: DemandForecast, line: Line, quantile: float, until: timedelta) -> float:
    """The largest value of the path of a quantile from now until a time."""
    return float(on_grid(forecast, line, quantile, _knots(forecast.horizons, timedelta(0), until)).max())


@lru_cache
def _knots(horizons: Horizons, begin: timedelta, end: timedelta) -> Floats:
    return in_hours((begin, *(h for h in horizons if begin < h < end), end))


@lru_cache
def in_hours(times: Horizons) -> Floats:
    """(N,) the same for every look; nobody can write to it."""
    return for_reading(np.array([hours(time) for time in times]))
