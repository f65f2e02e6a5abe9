"""The newest reading, moved by the season of the day: what decomposition adds to `Naive`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from forecasting.bands import Bands
from forecasting.demand.seen import DAY_S, newest, scale_gpus, seen_s
from forecasting.forecasters.hourly import HOUR_S, sampled
from forecasting.pooling import rows_of
from forecasting.protocol import State
from forecasting.rolling import until
from forecasting.store import floats, nested, number
from forecasting.windows import over_instants
from gyropilot.domain import DemandHistory, Floats, Window

MAX_DAYS, MIN_DAYS, MIN_PERIOD = 21, 6, 4
JUDGED_SHARE = 1 / 3
"""Of the history, at its end: a season that was found before it and does not help there is left out."""

LEAST_GAIN = 0.02
"""By which a season must shrink the changes over half a day."""


@dataclass(frozen=True, eq=False)
class Stl:
    """STL by loess (Cleveland et al. 1990, statsmodels) on hourly samples; what remains is forecast as `Naive` does.

    The season is shrunk by its strength (Wang, Smith, Hyndman 2006), because that of gang demand is mostly chance.
    Bands come from past errors; those of lines with a season from days that the season had not seen.
    """

    bands: Bands = field(default_factory=Bands.none)
    season: Floats = field(default_factory=lambda: np.empty((0, MIN_PERIOD)))  # (lines of the bands, slots of a day)

    name = "stl"

    def fit(self, history: DemandHistory) -> Self:
        """Finds each line's season twice: on the earlier days to judge it by the later ones, then on all."""
        count = history.demand.shape[1]
        judged_from = count - round(count * JUDGED_SHARE)
        early = seasons(until(history, judged_from - 1))
        now = seasons(history)
        helps = _helps(history, early, judged_from)
        season = np.where(helps[:, None], now, 0.0)
        bands = _own_errors(history, np.where(helps[:, None], early, 0.0), judged_from)
        return replace(self, bands=bands, season=season)

    def predict(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) GPUs."""
        bands = self.bands.for_lines(history)
        row = rows_of(self.bands.lines, history.lines)
        known = len(self.season) > 0
        season = np.where(row[:, None] >= 0, self.season[row], 0.0) if known else np.zeros((len(row), MIN_PERIOD))
        now, age_s = newest(history)
        end_s = float(history.times[-1]) if len(history.times) else 0.0

        def answer(ahead_s: Floats) -> Floats:
            then = season_at(season, np.broadcast_to(end_s + ahead_s, (len(row), len(ahead_s))))
            moved = now[:, None] + then - season_at(season, (end_s - age_s)[:, None])
            return bands.around(moved, age_s[:, None] + ahead_s, quantiles)

        return over_instants(answer, windows, history.step)

    def state(self) -> State:
        """Its bands and seasons."""
        return {"bands": self.bands.state(), "season": self.season, "period": self.season.shape[1]}

    @classmethod
    def restored(cls, state: State) -> Self:
        """From what `state` gave."""
        bands, period = Bands.restored(nested(state, "bands")), int(number(state, "period"))
        return cls(bands, floats(state, "season", (len(bands.lines), period)))


def seasons(history: DemandHistory) -> Floats:
    """(L, P) GPUs at P even times of the day from midnight UTC on; zeros where too few days are known to tell."""
    samples, sample_s = sampled(history, HOUR_S, round(MAX_DAYS * DAY_S / HOUR_S))
    period = round(DAY_S / sample_s)
    table = np.zeros((len(samples), max(period, MIN_PERIOD)))
    if period < MIN_PERIOD or period * sample_s != DAY_S or samples.shape[1] < MIN_DAYS * (1 - JUDGED_SHARE) * period:
        return table
    last_day_s = history.times[-1] - np.arange(period - 1, -1, -1) * sample_s
    for row, line in enumerate(samples):
        table[row] = _season(line, period)
    return _from_midnight(table, last_day_s, sample_s)


def season_at(season: Floats, times_s: Floats) -> Floats:
    """(L, N) the season of each line at times (L, N), linear between its slots."""
    period = season.shape[1]
    slot = times_s % DAY_S / DAY_S * period
    below = np.floor(slot).astype(np.int64) % period
    part = slot - np.floor(slot)
    line = np.arange(len(season))[:, None]
    between: Floats = season[line, below] * (1 - part) + season[line, (below + 1) % period] * part
    return between


def _season(samples: Floats, period: int) -> Floats:
    """(P,) the last day of one line's season, shrunk by its strength."""
    from statsmodels.tsa.seasonal import STL

    seen = np.isfinite(samples)
    if seen.sum() < samples.size / 2 or np.ptp(samples[seen]) == 0:
        return np.zeros(period)
    filled = np.interp(np.arange(samples.size), np.flatnonzero(seen), samples[seen])
    # Loess at every third point and three robust rounds: a twentieth of the time of the defaults, the same season.
    jumps = {"seasonal_jump": 3, "trend_jump": 8, "low_pass_jump": 6}
    found = STL(filled, period=period, seasonal=MAX_DAYS, robust=True, **jumps).fit(inner_iter=1, outer_iter=3)
    with np.errstate(invalid="ignore", divide="ignore"):
        strength = 1 - np.var(found.resid) / np.var(found.seasonal + found.resid)
    season: Floats = found.seasonal[-period:] * max(0.0, strength)
    return season - season.mean() if np.isfinite(season).all() else np.zeros(period)


def _from_midnight(table: Floats, times_s: Floats, sample_s: float) -> Floats:
    """The same season, whose columns are at `times_s`, at even times from midnight on."""
    first = int(np.argmin(times_s % DAY_S))
    late = (times_s[first] % DAY_S) / sample_s  # of a slot
    rolled = np.roll(table, -first, axis=1)
    between: Floats = rolled * (1 - late) + np.roll(rolled, 1, axis=1) * late
    return between


def _helps(history: DemandHistory, early: Floats, judged_from: int) -> np.ndarray:
    """(L,) whether what was found on the earlier days shrinks changes on the later ones."""
    later = history.demand[:, judged_from:]
    lag = max(1, round(DAY_S / 2 / history.step.total_seconds()))
    if later.shape[1] <= lag:
        return np.zeros(len(later), dtype=bool)
    remains = later - _along(early, history.times[judged_from:])
    plain, seasonal = (np.nansum(np.abs(rows[:, lag:] - rows[:, :-lag]), axis=1) for rows in (later, remains))
    helps: np.ndarray = seasonal < (1 - LEAST_GAIN) * plain
    return helps


def _own_errors(history: DemandHistory, early: Floats, judged_from: int) -> Bands:
    """Bands of changes of what remains; of lines with a season only after the days that it was found on."""
    remains = history.demand - _along(early, history.times)
    remains[early.any(axis=1), :judged_from] = np.nan
    measured = Bands.of_changes(DemandHistory(history.lines, history.times, remains, np.zeros_like(remains)))
    return replace(measured, seen_s=seen_s(history), scale=scale_gpus(history))


def _along(season: Floats, times: np.ndarray) -> Floats:
    """(L, T) the season over a whole history."""
    return season_at(season, np.broadcast_to(times.astype(np.float64), (len(season), len(times))))
