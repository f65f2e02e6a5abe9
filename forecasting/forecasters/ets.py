"""Exponential smoothing: a level that follows demand and a trend that dies out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from forecasting.bands import Bands
from forecasting.forecasters.hourly import HOUR_S, own_bands, sample_seconds, sampled, within_a_sample
from forecasting.forecasters.naive import plain
from forecasting.pooling import rows_of
from forecasting.protocol import State
from forecasting.store import floats, nested, number
from forecasting.threads import one_thread
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window

MIN_POINTS = 24
AS_NAIVE = (1.0, 0.0, 1.0)
"""alpha, beta, phi of a level that is the newest reading, without trend."""


@dataclass(frozen=True, eq=False)
class Ets:
    """ETS(A,N,N) or damped ETS(A,Ad,N) per line, by AICc; Hyndman et al. (2008), fitted by statsmodels.

    Demand is sampled once an hour (48 times a history shorter than two days): smoothing every five
    minutes would cost minutes per thousand lines. The newest reading is always a sample. Bands come from
    the model's own past errors, because those of gang demand are far from Gaussian.
    """

    bands: Bands = field(default_factory=Bands.none)
    weights: Floats = field(default_factory=lambda: np.empty((0, 3)))  # alpha, beta, phi of each line of the bands
    sample_s: float = HOUR_S

    name = "ets"

    def fit(self, history: DemandHistory) -> Self:
        """Fits each line; one that was seen too little or never moved is left to `Naive`."""
        samples, sample_s = sampled(history, sample_seconds(history))
        with one_thread():
            weights = np.array([_fit_one(row) for row in samples]).reshape(-1, 3)
        bands = _own_errors(history, samples, weights, sample_s)
        return replace(self, weights=weights, bands=bands, sample_s=sample_s)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)
        return over_instants(lambda ahead_s: self._at(bands, history, ahead_s, quantiles), windows, history.step)

    def _at(self, bands: Bands, history: DemandHistory, ahead_s: Floats, quantiles: Sequence[float]) -> Floats:
        """(L, N, Q) GPUs at instants."""
        naive = plain(bands, history, ahead_s, quantiles)
        samples, sample_s = sampled(history, self.sample_s)
        if not samples.size or not len(self.weights):
            return naive
        row = rows_of(self.bands.lines, history.lines)
        weights = np.where(row[:, None] >= 0, self.weights[row], AS_NAIVE)
        level, trend = (state[:, -1] for state in _smooth(samples, weights))
        leads_s = np.maximum(ahead_s, sample_s)
        centre = level[:, None] + trend[:, None] * _damped_sum(weights[:, 2:], leads_s / sample_s)
        own = bands.around(np.nan_to_num(centre), np.broadcast_to(leads_s, centre.shape), quantiles)
        smooth = within_a_sample(naive, own, ahead_s, sample_s)
        current = np.isfinite(samples[:, -1]) & (row >= 0)
        return np.where(current[:, None, None], smooth, naive)

    def state(self) -> State:
        """Its weights and its bands."""
        return {"bands": self.bands.state(), "weights": self.weights, "sample_s": self.sample_s}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        bands = Bands.restored(nested(state, "bands"))
        return cls(bands, floats(state, "weights", (len(bands.lines), 3)), number(state, "sample_s"))


def _fit_one(samples: Floats) -> tuple[float, float, float]:
    """alpha, beta, phi that describe one line best."""
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    seen = samples[np.isfinite(samples)]
    if len(seen) < MIN_POINTS or np.ptp(seen) == 0:
        return AS_NAIVE
    seen = seen / np.max(seen)  # the optimiser's tolerances are absolute
    with warnings.catch_warnings():
        # A search that stopped early still gives weights in range, and the bands measure how good they are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        simple = ExponentialSmoothing(seen, initialization_method="heuristic" if len(seen) >= 10 else "estimated").fit()
        damped = ExponentialSmoothing(seen, trend="add", damped_trend=True, initialization_method="heuristic").fit()
    if not damped.aicc < simple.aicc:
        return float(simple.params["smoothing_level"]), 0.0, 1.0
    found = (damped.params[name] for name in ("smoothing_level", "smoothing_trend", "damping_trend"))
    alpha, beta, phi = (float(value) for value in found)
    return alpha, beta, phi


def _smooth(samples: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """(L, N) level and (L, N) trend after each sample; a gap is bridged by the trend, a line begins when first seen."""
    alpha, beta, phi = weights.T
    level, trend = np.full_like(samples, np.nan), np.zeros_like(samples)
    now, slope = np.full(len(samples), np.nan), np.zeros(len(samples))
    for t, reading in enumerate(samples.T):
        expected = np.where(np.isnan(now), reading, now + phi * slope)
        error = np.where(np.isnan(reading), 0.0, reading - expected)
        now, slope = expected + alpha * error, phi * slope + beta * error
        level[:, t], trend[:, t] = now, slope
    return level, trend


def _damped_sum(phi: Floats, steps: Floats) -> Floats:
    """phi + phi^2 + ... over `steps`, which may be a fraction; at phi = 1 the trend is zero and so may this be."""
    damped = np.minimum(phi, 0.999)
    total: Floats = damped * (1 - damped**steps) / (1 - damped)
    return total


def _own_errors(history: DemandHistory, samples: Floats, weights: Floats, sample_s: float) -> Bands:
    """Bands of what these models got wrong before, at each lead."""
    level, trend = _smooth(samples, weights)

    def errors_at(steps: int) -> Floats:
        ahead = _damped_sum(weights[:, 2:], np.array([float(steps)]))
        return samples[:, steps:] - (level + trend * ahead)[:, : samples.shape[1] - steps]

    return own_bands(history, errors_at, sample_s)
