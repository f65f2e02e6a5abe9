"""The best that public libraries make of the same readings: who our own forecasters have to beat.

Each is used as its users would use it, at its best: it reads means that end exactly at the newest reading, says
quantiles for each step ahead, and answers for a window with the mean of the quantiles of its steps. Near windows are
asked of short steps and far ones of long steps; which, and every other choice here, was made on validation days
(Helios Earth, 11 to 17 May 2020) and not on those that `benchmarks.forecast` reports. Every window is answered: one
shorter than a step with that step's quantiles, and all with "demand stays" where a library's history is too short.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.util import find_spec
from math import ceil
from typing import Any, Protocol

import numpy as np

from forecasting.demand.seen import newest
from forecasting.demand.steps import over_windows, resampled, whole_steps
from forecasting.forecasters.foundation import widened, zero_shot
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.errors import ForecastError

LIBRARIES = ("fracast", "mlforecast", "statsforecast")
DAY = timedelta(days=1)
REACHES = (timedelta(hours=1), timedelta(hours=6), DAY)
"""Windows that end within the first are asked together, and so on; those that end later go with the last."""

CALIBRATIONS = 100
"""Past forecasts from which a conformal band is made, where there were as many. 30 and 2,000 were no better."""

TREE_CALIBRATIONS = 20
"""At most, and from at most half of the history: what they are made from is not learnt from meanwhile."""

PATHS = 1_000
LEAST_STEPS = 10
MOST_STEPS = 2_016
"""From which a model is fitted: two weeks of ten minutes, twelve of hours."""

Samples = tuple[int, int, int]
"""Minutes of a step for each of REACHES."""


@dataclass(frozen=True, eq=False, slots=True)
class Asked:
    """Rows of means, and how many steps after them are wanted."""

    lines: tuple[Line, ...]
    rows: Floats  # (L, N) without gaps; the newest reading where there is no whole sample
    end_s: int  # of the last mean
    sample: timedelta
    ahead: int
    quantiles: tuple[float, ...]

    @property
    def per_day(self) -> int:
        return max(1, round(DAY / self.sample))

    @property
    def levels(self) -> list[float]:
        """Central intervals, in percent, whose ends are the quantiles."""
        return sorted({_level(q) for q in self.quantiles})

    def unmoved(self) -> Floats:
        """(L, ahead, Q): demand stays."""
        return np.tile(self.rows[:, -1, None, None], (1, self.ahead, len(self.quantiles)))


class Method(Protocol):
    """A library's model: (L, ahead, Q) quantiles of the steps that follow; NaN where it has no answer."""

    def __call__(self, asked: Asked) -> Floats: ...


@dataclass(frozen=True, eq=False, slots=True)
class Peer:
    """A method, and how finely it is fed for windows near and far."""

    name: str
    method: Method
    samples: tuple[timedelta, ...]  # for each of REACHES
    costly: bool  # seconds per origin, not milliseconds

    def forecast(self, history: DemandHistory, windows: Sequence[Window], quantiles: Sequence[float]) -> Floats:
        """(L, W, Q) quantiles of mean demand in each window after history.end."""
        table = np.zeros((len(history.lines), len(windows), len(quantiles)))
        for sample, picked in self._by_reach(windows, history.step):
            these = [windows[i] for i in picked]
            table[:, picked] = over_windows(self._steps(_asked(history, sample, these, quantiles)), sample, these)
        return np.sort(np.maximum(table, 0.0), axis=-1)

    def _steps(self, asked: Asked) -> Floats:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # a search that stopped early: users take what they get
            said = self.method(asked) if asked.rows.shape[1] > 1 else asked.unmoved()
        answered = np.isfinite(said).all(axis=(1, 2), keepdims=True)
        return np.where(answered, said, asked.unmoved())

    def _by_reach(self, windows: Sequence[Window], step: timedelta) -> Iterator[tuple[timedelta, list[int]]]:
        begin = timedelta.min
        for reach, sample in zip((*REACHES[:-1], timedelta.max), self.samples, strict=True):
            picked = [i for i, window in enumerate(windows) if begin < window.end <= reach]
            begin = reach
            if picked:
                yield whole_steps(sample, step), picked


@dataclass(frozen=True, eq=False, slots=True)
class Conformal:
    """A model of statsforecast, fitted at each origin, with the split-conformal intervals of that library."""

    model: Callable[[int, Any], Any]  # of steps per day, and of intervals
    season_days: int = 0

    def __call__(self, asked: Asked) -> Floats:
        from statsforecast.utils import ConformalIntervals

        spare = asked.rows.shape[1] - 1 - self.season_days * asked.per_day
        calibrations = min(CALIBRATIONS, spare // asked.ahead)
        if calibrations < 2:
            return asked.unmoved()
        model = self.model(asked.per_day, ConformalIntervals(n_windows=calibrations, h=asked.ahead))
        said = [model.forecast(y=row, h=asked.ahead, level=asked.levels) for row in asked.rows]
        return np.array([_quantiles(each, asked.quantiles) for each in said])


@dataclass(frozen=True, eq=False, slots=True)
class Native:
    """A model of statsforecast with its own intervals, fitted now and then and carried on from there."""

    model: Callable[[int], Any]  # of steps per day
    refit: timedelta = DAY
    least_days: float = 1.0
    most_days: float = 84.0  # that it is fitted on
    kept: dict[tuple[Line, timedelta], tuple[int, Any]] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Floats:
        if asked.rows.shape[1] < max(LEAST_STEPS, self.least_days * asked.per_day):
            return asked.unmoved()
        said = [
            _onwards(self._fitted(line, row, asked))(y=row, h=asked.ahead, level=asked.levels)
            for line, row in zip(asked.lines, asked.rows, strict=True)
        ]
        return np.array([_quantiles(each, asked.quantiles) for each in said])

    def _fitted(self, line: Line, row: Floats, asked: Asked) -> Any:
        fitted_s, model = self.kept.get((line, asked.sample), (asked.end_s, None))
        if model is None or not 0 <= asked.end_s - fitted_s < self.refit.total_seconds():
            most = min(MOST_STEPS, round(self.most_days * asked.per_day))
            fitted_s, model = asked.end_s, self.model(asked.per_day).fit(y=row[-most:])
            self.kept[line, asked.sample] = fitted_s, model
        return model


@dataclass(frozen=True, eq=False, slots=True)
class Paths:
    """A model of statsforecast that draws what may come, fitted at each origin; asked with a seed.

    The median is its point forecast, as in its own intervals.
    """

    model: Callable[[int], Any]  # of steps per day

    def __call__(self, asked: Asked) -> Floats:
        if asked.rows.shape[1] <= asked.per_day:
            return asked.unmoved()
        model = self.model(asked.per_day)
        return np.array([self._one(model, row, asked) for row in asked.rows])

    def _one(self, model: Any, row: Floats, asked: Asked) -> Floats:
        paths = model.simulate(h=asked.ahead, n_paths=PATHS, y=row, seed=0)
        table: Floats = np.quantile(paths, asked.quantiles, axis=0).T
        table[:, np.array(asked.quantiles) == 0.5] = model.forecast(y=row, h=asked.ahead)["mean"][:, None]
        return table


@dataclass(frozen=True, eq=False, slots=True)
class Trees:
    """LightGBM over all lines by mlforecast, recursive, with its conformal intervals, fitted once a day."""

    kept: dict[tuple[timedelta, int], tuple[int, Any]] = field(default_factory=dict)

    def __call__(self, asked: Asked) -> Floats:
        calibrations = min(TREE_CALIBRATIONS, asked.rows.shape[1] // (2 * asked.ahead))
        if calibrations < 2:
            return asked.unmoved()
        fitted_s, model = self._fitted(asked, calibrations)
        fresh = round((asked.end_s - fitted_s) / asked.sample.total_seconds())
        if fresh:
            model = copy.copy(model)
            model.ts = copy.deepcopy(model.ts)
            model.update(_frame(asked, asked.rows[:, -fresh:]))
        said = model.predict(asked.ahead, level=[level for level in asked.levels if level])
        columns = [_column(q, "trees-", "trees") for q in asked.quantiles]
        table: Floats = said[columns].to_numpy(np.float64).reshape(len(asked.lines), asked.ahead, -1)
        return table

    def _fitted(self, asked: Asked, calibrations: int) -> tuple[int, Any]:
        from mlforecast.utils import PredictionIntervals

        key = asked.sample, asked.ahead
        if key not in self.kept or not 0 <= asked.end_s - self.kept[key][0] < DAY.total_seconds():
            intervals = PredictionIntervals(n_windows=calibrations, h=asked.ahead)
            model = _trees(asked.per_day, asked.rows.shape[1] - calibrations * asked.ahead)
            model.fit(_frame(asked, asked.rows), prediction_intervals=intervals, static_features=[])
            self.kept[key] = asked.end_s, model
        return self.kept[key]


@dataclass(frozen=True, eq=False, slots=True)
class Past:
    """Quantiles of what was seen in the last days, at any time or at the same time of day."""

    days: int
    same_time: bool

    def __call__(self, asked: Asked) -> Floats:
        recent, cycle = asked.rows[:, -self.days * asked.per_day :], asked.per_day if self.same_time else 1
        if recent.shape[1] < cycle:
            return asked.unmoved()
        phases = [recent[:, phase - cycle :: -cycle] for phase in range(cycle)]
        table = np.stack([np.quantile(phase, asked.quantiles, axis=1).T for phase in phases], axis=1)
        return table[:, np.arange(asked.ahead) % cycle]


def foundation(asked: Asked) -> Floats:
    """Fracast-0 as it comes."""
    return widened(zero_shot(list(asked.rows), asked.ahead), asked.quantiles)


def peers(step: timedelta = timedelta(minutes=1), *, costly: bool = True) -> list[Peer]:
    """Whoever makes sense for histories of that step. Raises ForecastError where a library is not installed."""
    missing = [library for library in LIBRARIES if find_spec(library) is None]
    if missing:
        raise ForecastError(f"peers need {', '.join(missing)}: pip install 'gyropilot[bench]'")
    everybody = [*_past(step), *_conformal(step), *_native(step), *_learnt(step)]
    unlike = {peer.name: peer for peer in everybody if costly or not peer.costly}
    return list(unlike.values())


def _past(step: timedelta) -> Iterator[Peer]:
    yield _peer("Past two weeks, quantiles", "numpy", Past(14, same_time=False), (10, 60, 60), step)
    yield _peer("Same time of day, quantiles", "numpy", Past(28, same_time=True), (10, 60, 60), step)


def _conformal(step: timedelta) -> Iterator[Peer]:
    from statsforecast import models

    def peer(title: str, model: Callable[[int, Any], Any], minutes: Samples, season_days: int = 0) -> Peer:
        return _peer(f"{title} + conformal", "statsforecast", Conformal(model, season_days), minutes, step)

    yield peer("Naive", lambda day, band: models.Naive(prediction_intervals=band), (5, 10, 10))
    yield peer("Naive", lambda day, band: models.Naive(prediction_intervals=band), (10, 10, 10))
    yield peer("Naive", lambda day, band: models.Naive(prediction_intervals=band), (60, 60, 60))
    yield peer(
        "SES", lambda day, band: models.SimpleExponentialSmoothingOptimized(prediction_intervals=band), (10, 10, 60)
    )
    yield peer("TSB", lambda day, band: models.TSB(0.5, 0.5, prediction_intervals=band), (10, 10, 60))
    for days, season in ((1, "daily"), (7, "weekly")):
        yield peer(
            f"Seasonal naive, {season}",
            lambda day, band, days=days: models.SeasonalNaive(days * day, prediction_intervals=band),  # type: ignore[misc]
            (10, 60, 60),
            days,
        )


def _native(step: timedelta) -> Iterator[Peer]:
    from statsforecast import models

    def peer(title: str, method: Method, minutes: Samples, costly: bool = False) -> Peer:
        return _peer(title, "statsforecast", method, minutes, step, costly)

    yield peer("Naive", Native(lambda day: models.Naive()), (10, 10, 60))
    yield peer("Historic average", Native(lambda day: models.HistoricAverage()), (10, 60, 60))
    yield peer("AutoETS", Native(lambda day: models.AutoETS(season_length=_season(day))), (10, 30, 60))
    yield peer("AutoTheta", Native(lambda day: models.AutoTheta(season_length=_season(day))), (10, 30, 60))
    yield peer("MSTL", Native(lambda day: models.MSTL(season_length=day), least_days=2.5), (10, 60, 60), costly=True)
    pool = Paths(models.ConformalSeasonalPool)
    yield peer("Conformal seasonal pool", pool, (10, 60, 60))
    if step < timedelta(minutes=30):
        arima = Native(lambda day: models.AutoARIMA(season_length=1))
    else:  # some 10 s a fit on two weeks of hours, minutes on more
        arima = Native(lambda day: models.AutoARIMA(season_length=day), refit=3.5 * DAY, least_days=3, most_days=14)
    yield peer("AutoARIMA", arima, (10, 10, 60), costly=True)


def _learnt(step: timedelta) -> Iterator[Peer]:
    yield _peer("LightGBM + conformal", "mlforecast", Trees(), (10, 30, 60), step, costly=True)
    yield _peer("Fracast-0", "fracast", foundation, (5, 10, 60), step, costly=True)
    yield _peer("Fracast-0", "fracast", foundation, (10, 30, 30), step, costly=True)


def _peer(title: str, library: str, method: Method, minutes: Samples, step: timedelta, costly: bool = False) -> Peer:
    samples = tuple(whole_steps(timedelta(minutes=m), step) for m in minutes)
    told = "/".join(dict.fromkeys(f"{sample / timedelta(minutes=1):g}m" for sample in samples))
    return Peer(f"{title} @{told} ({library})", method, samples, costly)


def _asked(history: DemandHistory, sample: timedelta, windows: Sequence[Window], quantiles: Sequence[float]) -> Asked:
    end_s = int(history.times[-1]) if len(history.times) else 0
    ahead = max(1, ceil(max(window.end for window in windows) / sample))
    rows = _filled(resampled(history, sample))
    if not rows.shape[1]:
        rows = newest(history)[0][:, None]
    return Asked(history.lines, rows, end_s, sample, ahead, tuple(quantiles))


def _filled(rows: Floats) -> Floats:
    """(L, N) with each gap filled by what was seen before it, or else after it; 0 where nothing was seen."""
    steps = np.arange(rows.shape[1])
    before = np.maximum.accumulate(np.where(np.isfinite(rows), steps, -1), axis=1)
    first = np.argmax(np.isfinite(rows), axis=1)[:, None] if rows.size else before
    filled: Floats = np.take_along_axis(rows, np.where(before < 0, first, before), axis=1)
    return np.nan_to_num(filled)


def _level(quantile: float) -> float:
    """The central interval of which a quantile is an end, in percent."""
    return round(abs(100 - 200 * quantile), 6)


def _column(quantile: float, prefix: str = "", middle: str = "mean") -> str:
    """What a library calls a quantile."""
    if quantile == 0.5:
        return middle
    return f"{prefix}{'lo' if quantile < 0.5 else 'hi'}-{_level(quantile)}"


def _quantiles(said: Mapping[str, Floats], quantiles: Sequence[float]) -> Floats:
    """(ahead, Q) from an answer of statsforecast."""
    return np.column_stack([said[_column(q)] for q in quantiles])


def _onwards(model: Any) -> Callable[..., Mapping[str, Floats]]:
    """How a fitted model is carried on; those that cost nothing to fit know no other way than a new fit."""
    carried_on: Callable[..., Mapping[str, Floats]] = getattr(model, "forward", model.forecast)
    return carried_on


def _season(per_day: int) -> int:
    """Steps of a day, where they are few enough that a model with a state for each can be fitted."""
    return per_day if per_day <= 24 else 1


def _trees(per_day: int, steps: int) -> Any:
    """Not fitted yet. Lags reach a week back, or as far as leaves three quarters of `steps` to learn from."""
    from lightgbm import LGBMRegressor
    from mlforecast import MLForecast
    from mlforecast.target_transforms import Differences

    model = LGBMRegressor(n_estimators=100, num_leaves=15, learning_rate=0.05, num_threads=1, verbosity=-1, seed=0)
    lags = sorted(lag for lag in {1, 2, 3, 6, 12, 24, per_day, 7 * per_day} if lag == 1 or 4 * lag <= steps)
    return MLForecast({"trees": model}, freq=1, lags=lags, target_transforms=[Differences([1])], num_threads=1)


def _frame(asked: Asked, rows: Floats) -> Any:
    """Rows that end with the last mean, as mlforecast reads them."""
    import pandas as pd

    last = asked.end_s // round(asked.sample.total_seconds())
    steps = np.arange(last - rows.shape[1] + 1, last + 1)
    names = np.repeat([f"{row:06d}" for row in range(len(rows))], rows.shape[1])
    return pd.DataFrame({"unique_id": names, "ds": np.tile(steps, len(rows)), "y": rows.ravel()})
