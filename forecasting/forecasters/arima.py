"""ARMA about a mean: demand walks, and comes home in the end."""

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

MIN_POINTS = 48
MAX_ITERATIONS = 30
LEAST_ROOT, LARGEST_ROOT = 0.1, 0.9995
"""Of phi: below, the mean is all that is forecast after an hour; above, there is no mean to come home to."""


@dataclass(frozen=True, eq=False)
class Arima:
    """ARIMA(1,0,1) with a mean per line, by maximum likelihood (Box and Jenkins 1970; statsmodels).

    Gangs that come at random and stay for a while are an AR(1) about their mean, and at phi = 1 the same model is
    simple exponential smoothing. Sampled once an hour, as `Ets`. A fit costs some 50 ms, so that only the `most`
    lines with the largest demand are fitted; the others are left to `Naive`. Bands come from past errors.
    """

    most: int = 600  # lines
    bands: Bands = field(default_factory=Bands.none)
    weights: Floats = field(default_factory=lambda: np.empty((0, 3)))  # mean, phi, theta of each line; NaN: not fitted
    sample_s: float = HOUR_S

    name = "arima"

    def fit(self, history: DemandHistory) -> Self:
        """Fits the largest lines; one that was seen too little or never moved is left to `Naive`."""
        samples, sample_s = sampled(history, sample_seconds(history))
        weights = np.full((len(samples), 3), np.nan)
        size = np.nansum(samples, axis=1)
        with one_thread():
            for row in np.argsort(-size, kind="stable")[: self.most]:
                weights[row] = _fit_one(samples[row])
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
        weights = np.where(row[:, None] >= 0, self.weights[row], np.nan)
        shocks = _shocks(samples, weights)
        leads_s = np.maximum(ahead_s, sample_s)
        centre = _ahead(samples[:, -1:], shocks[:, -1:], weights, leads_s / sample_s)
        own = bands.around(np.nan_to_num(centre), np.broadcast_to(leads_s, centre.shape), quantiles)
        return np.where(np.isfinite(centre)[..., None], within_a_sample(naive, own, ahead_s, sample_s), naive)

    def state(self) -> State:
        """Its weights and its bands."""
        known = {"bands": self.bands.state(), "weights": self.weights, "sample_s": self.sample_s}
        return {**known, "most": self.most}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        bands = Bands.restored(nested(state, "bands"))
        weights = floats(state, "weights", (len(bands.lines), 3))
        return cls(int(number(state, "most")), bands, weights, number(state, "sample_s"))


def _fit_one(samples: Floats) -> tuple[float, float, float]:
    """Mean, phi, theta of one line; NaN where it has none."""
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.statespace.sarimax import SARIMAX

    seen = samples[np.isfinite(samples)]
    if len(seen) < MIN_POINTS or np.ptp(seen) == 0:
        return np.nan, np.nan, np.nan
    largest = np.max(seen)  # the optimiser's tolerances are absolute
    with warnings.catch_warnings():
        # A search that stopped early still gives weights, and the bands measure how good they are.
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", UserWarning)  # of starting values that are not stationary
        model = SARIMAX(samples / largest, order=(1, 0, 1), trend="c")
        constant, phi, theta, _ = model.fit(disp=0, maxiter=MAX_ITERATIONS, cov_type="none").params
    if not LEAST_ROOT <= phi <= LARGEST_ROOT:
        return np.nan, np.nan, np.nan
    # Where phi is almost 1 the mean is hardly told: it lies within what was seen.
    mean = float(np.clip(constant / (1 - phi) * largest, np.min(seen), largest))
    return mean, float(phi), float(theta)


def _shocks(samples: Floats, weights: Floats) -> Floats:
    """(L, N) by how much each sample missed what was expected of it; a gap is no shock."""
    mean, phi, theta = weights.T
    shocks, distance, shock = np.zeros_like(samples), np.zeros(len(samples)), np.zeros(len(samples))
    for t, reading in enumerate(samples.T):
        expected = phi * distance + theta * shock
        seen = np.isfinite(reading)
        shock = np.where(seen, reading - mean - expected, 0.0) * (t > 0)
        distance = np.where(seen, reading - mean, expected)
        shocks[:, t] = shock
    return shocks


def _ahead(newest: Floats, shock: Floats, weights: Floats, steps: Floats) -> Floats:
    """(L, N) GPUs that are expected after `steps` (N,) of a sample, at least one."""
    mean, phi, theta = (weights[:, [i]] for i in range(3))
    expected: Floats = mean + phi**steps * (newest - mean) + phi ** (steps - 1) * theta * shock
    return expected


def _own_errors(history: DemandHistory, samples: Floats, weights: Floats, sample_s: float) -> Bands:
    """Bands of what these models got wrong before, at each lead; of lines without a model, of changes."""
    shocks = _shocks(samples, weights)

    def errors_at(steps: int) -> Floats:
        before = samples.shape[1] - steps
        expected = _ahead(samples[:, :before], shocks[:, :before], weights, np.array([float(steps)]))
        return samples[:, steps:] - expected

    return own_bands(history, errors_at, sample_s)
