"""Gradient boosted quantiles: one model for all lines, which corrects `Naive` where the features say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from forecasting.bands import DAY_S, LEADS_S, Bands
from forecasting.features import REACH_S, Questions, describe
from forecasting.naive import plain
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window
from gyropilot.errors import ForecastError

BOOSTED = (0.1, 0.3, 0.5, 0.7, 0.9, 0.975)
"""Quantiles that have a booster of their own; corrections of others are interpolated."""

LEADS = np.flatnonzero((LEADS_S >= 300) & (LEADS_S <= DAY_S))
MIN_ROWS = 2_000
SPREAD = (0.025, 0.975)
LEAST_CORRECTION = 0.01
"""Of a line's scale; see `predict`."""

LEAST_SPREAD = 0.02
"""Of a line's scale: a line that hardly ever moves must not turn a small change into a huge one."""


@dataclass(frozen=True, eq=False)
class LightGbm:
    """Direct, global, one booster per quantile (LightGBM, Ke et al. 2017).

    Each booster starts from `Naive`'s quantile and learns a correction in units of the line's own spread
    at that lead, so that lines of all sizes teach each other. Strongly regularised on purpose: with a
    month of history, trees that start from nothing lose to `Naive`.
    """

    rows: int = 40_000
    trees: int = 40
    num_threads: int = 1
    seed: int = 0
    bands: Bands = field(default_factory=Bands.none)
    boosters: tuple[Any, ...] = ()

    name = "lightgbm"

    def fit(self, history: DemandHistory) -> Self:
        """Learns from at most `rows` past moments; stays `Naive` where there are too few."""
        bands = Bands.of_changes(history)
        asked = self._past(history)
        if len(asked.line) < MIN_ROWS:
            return replace(self, bands=bands, boosters=())
        steps = np.round(asked.lead_s / history.step.total_seconds()).astype(np.int64)
        change = history.demand[asked.line, asked.column + steps] - history.demand[asked.line, asked.column]
        # Most changes are exactly zero, where the loss has no slope: jitter parts them (Machado, Santos Silva 2005).
        jitter = np.random.default_rng(self.seed).uniform(-1, 1, len(change))
        change = change + jitter * LEAST_CORRECTION * bands.scale[asked.line]
        start, spread = _start(bands, asked)
        features = describe(history, asked, spread, bands.scale[asked.line])
        boosters = tuple(
            self._boost(features, change / spread, start[:, i] / spread, level, spread)
            for i, level in enumerate(BOOSTED)
        )
        return replace(self, bands=bands, boosters=boosters)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)
        return over_instants(lambda ahead_s: self._at(bands, history, ahead_s, quantiles), windows, history.step)

    def _at(self, bands: Bands, history: DemandHistory, ahead_s: Floats, quantiles: Sequence[float]) -> Floats:
        """(L, N, Q) GPUs at instants."""
        naive = plain(bands, history, ahead_s, quantiles)
        if not self.boosters or not history.demand.size:
            return naive
        correction = self._correction(_recent(history), bands, ahead_s, quantiles)
        # Demand mostly stays exactly as it is: a hair's breadth above it, a lower quantile would miss each time.
        worthwhile = np.abs(correction) >= LEAST_CORRECTION * bands.scale[:, None, None]
        return bands.bounded(naive + np.where(worthwhile, correction, 0.0))

    def _correction(self, recent: DemandHistory, bands: Bands, ahead_s: Floats, quantiles: Sequence[float]) -> Floats:
        """(L, N, Q) GPUs that the boosters add; none to lines whose newest reading is missing."""
        shape = (len(recent.lines), len(ahead_s), len(quantiles))
        correction, current = np.zeros(shape), np.flatnonzero(np.isfinite(recent.demand[:, -1]))
        if not len(current) or not correction.size:
            return correction
        leads_s = np.tile(ahead_s, len(current))
        column = np.full(len(leads_s), recent.demand.shape[1] - 1)
        asked = Questions(np.repeat(current, len(ahead_s)), column, leads_s)
        _, spread = _start(bands, asked)
        features = describe(recent, asked, spread, bands.scale[asked.line])
        boosted = np.column_stack([b.predict(features, num_threads=self.num_threads) for b in self.boosters])
        between = np.array([np.interp(quantiles, BOOSTED, unit) for unit in np.eye(len(BOOSTED))])
        correction[current] = (boosted * spread[:, None] @ between).reshape(len(current), *shape[1:])
        return correction

    def _past(self, history: DemandHistory) -> Questions:
        """Moments of the history, drawn at random, whose outcome is known."""
        rng = np.random.default_rng(self.seed)
        lines, count = history.demand.shape
        if not lines or count < 2:
            return Questions(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
        step_s = history.step.total_seconds()
        rows = min(self.rows, lines * count)
        line, column = rng.integers(lines, size=rows), rng.integers(count, size=rows)
        lead_s = np.maximum(np.round(rng.choice(LEADS_S[LEADS], size=rows) / step_s), 1) * step_s
        outcome = column + np.round(lead_s / step_s).astype(np.int64)
        known = np.isfinite(history.demand[line, column]) & (outcome < count)
        known &= np.isfinite(history.demand[line, np.minimum(outcome, count - 1)])
        return Questions(line[known], column[known], lead_s[known])

    def _boost(self, features: Floats, target: Floats, start: Floats, level: float, spread: Floats) -> Any:
        lightgbm = _library()
        parameters = {
            "objective": "quantile",
            "alpha": level,
            "learning_rate": 0.05,
            "num_leaves": 8,
            "min_data_in_leaf": 400,
            "lambda_l2": 10.0,
            "feature_fraction": 0.7,
            "max_bin": 63,
            "num_threads": self.num_threads,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }
        # Between all lines alike (1) and GPU for GPU (spread): the latter is the loss, the former learns from more.
        weight = np.sqrt(spread / spread.mean())
        data = lightgbm.Dataset(features, target, weight=weight, init_score=start)
        return lightgbm.train(parameters, data, num_boost_round=self.trees)


def _library() -> Any:
    """Imported late, for it is heavy. Raises ForecastError where a library that it needs is not installed."""
    try:
        import lightgbm
    except OSError as problem:
        raise ForecastError(
            f"LightGBM cannot be loaded ({problem}); install OpenMP (apt-get install libgomp1), or set forecast.model "
            "to ets, naive or seasonal-naive"
        ) from problem
    return lightgbm


def _start(bands: Bands, asked: Questions) -> tuple[Floats, Floats]:
    """(N, len(BOOSTED)) change that `Naive` expects, and (N,) spread of changes at that lead, in GPUs."""
    leads_s = np.unique(asked.lead_s)
    table = bands.at(np.broadcast_to(leads_s, (len(bands.lines), len(leads_s))), (*BOOSTED, *SPREAD))
    picked = table[asked.line, np.searchsorted(leads_s, asked.lead_s)]
    width = picked[:, -1] - picked[:, -2]
    return picked[:, :-2], width + LEAST_SPREAD * bands.scale[asked.line]


def _recent(history: DemandHistory) -> DemandHistory:
    """As much of the end as features look at."""
    first = -max(2, round(REACH_S / history.step.total_seconds()) + 1)
    return DemandHistory(history.lines, history.times[first:], history.running[:, first:], history.pending[:, first:])
