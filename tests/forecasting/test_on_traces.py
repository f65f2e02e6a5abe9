"""On real demand: the Earth cluster of Helios (Hu et al., SC'21), one row per minute and queue.

Validation days only: the last week of the trace is kept for the final comparison.
"""

import os
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from forecasting.losses import coverage, wql
from forecasting.mixture import experts
from forecasting.protocol import Forecaster
from forecasting.registry import make
from forecasting.rolling import Replay, replay, until
from gyropilot.domain import DemandHistory, Line, Window

WINDOWS = tuple(Window.step(timedelta(minutes=m), timedelta(minutes=5)) for m in (10, 20, 30, 40, 50, 60, 360))
HOUR, SIX_HOURS = 5, 6
DECILES = tuple(round(0.1 * i, 1) for i in range(1, 10))
DAY = 288  # steps
FITTED_AT = 11 * DAY
ORIGINS = range(FITTED_AT, 16 * DAY, 36)  # every three hours for five days, all before the last week

JUDGED = 13 * DAY
LEARNT_FROM = 9 * DAY
ORIGINS_OF_A_DAY = range(LEARNT_FROM, LEARNT_FROM + DAY, 36)
NEXT_HOUR = tuple(Window(timedelta(minutes=m - 10), timedelta(minutes=m)) for m in range(10, 70, 10))
HOURS = tuple(Window(timedelta(hours=h - 1), timedelta(hours=h)) for h in range(1, 25))


@pytest.fixture(scope="module")
def earth() -> DemandHistory:
    folder = os.environ.get("GYROPILOT_TRACES")
    if not folder:
        pytest.skip("set GYROPILOT_TRACES to the folder that holds demand_helios_earth_vc.parquet")
    from pyarrow.parquet import read_table

    table = read_table(Path(folder) / "demand_helios_earth_vc.parquet")
    column = {name: table[name].to_numpy() for name in ("timestamp", "queue", "running_gpus", "pending_gpus")}
    queues, minutes = np.unique(column["queue"]), np.unique(column["timestamp"])
    order = np.lexsort((column["timestamp"], column["queue"]))  # every queue has every minute
    running, pending = (
        column[name][order].astype(np.float64).reshape(len(queues), len(minutes) // 5, 5).mean(axis=2)
        for name in ("running_gpus", "pending_gpus")
    )
    ends = minutes[4::5].astype("datetime64[s]").astype(np.int64) + 60
    return DemandHistory(tuple(Line(str(q), "nvidia.com/gpu") for q in queues), ends, running, pending)


@pytest.fixture(scope="module")
def seasonal(earth: DemandHistory) -> Replay:
    return _replayed(make("seasonal-naive"), earth)


@pytest.mark.parametrize("name", ["naive", "ets", "lightgbm", "auto"])
def test_beats_the_seasonal_naive_forecast_and_covers_what_came(
    name: str, earth: DemandHistory, seasonal: Replay
) -> None:
    played = _replayed(make(name), earth)

    assert _wql(played, HOUR) < 0.4 * _wql(seasonal, HOUR)
    assert _wql(played, SIX_HOURS) < _wql(seasonal, SIX_HOURS)
    assert 0.65 <= _coverage(played, HOUR) <= 0.92
    assert 0.65 <= _coverage(played, SIX_HOURS) <= 0.92


def test_naive_bands_are_as_sharp_as_published_over_the_next_hour(earth: DemandHistory) -> None:
    played = _replayed(make("naive"), earth)

    next_hour = np.mean([_wql(played, h) for h in range(HOUR + 1)])

    assert 0.02 < next_hour < 0.05


def test_the_mixture_loses_less_than_demand_stays_over_the_next_hour_and_far_less_over_the_day(
    earth: DemandHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experts, "find_spec", lambda name: None)  # as without the extra, so that figures are the same
    known = _between(earth, JUDGED - LEARNT_FROM, JUDGED + 2 * DAY)

    ours, plain = (_of_a_day(make(name), known) for name in ("gyropilot", "naive"))

    hour, day = slice(0, len(NEXT_HOUR)), slice(len(NEXT_HOUR), None)
    assert _pooled(ours, hour) < 0.98 * _pooled(plain, hour)  # measured: 0.953
    assert _pooled(ours, day) < 0.93 * _pooled(plain, day)  # measured: 0.853


def _between(history: DemandHistory, begin: int, end: int) -> DemandHistory:
    part = slice(begin, end)
    return DemandHistory(history.lines, history.times[part], history.running[:, part], history.pending[:, part])


def _of_a_day(model: Forecaster, history: DemandHistory) -> Replay:
    fitted = model.fit(until(history, LEARNT_FROM))
    return replay(fitted, history, ORIGINS_OF_A_DAY, (*NEXT_HOUR, *HOURS), DECILES)


def _pooled(played: Replay, windows: slice) -> float:
    return wql(played.actual[:, :, windows], played.predicted[:, :, windows], DECILES)


def _replayed(model: Forecaster, history: DemandHistory) -> Replay:
    return replay(model.fit(until(history, FITTED_AT)), history, ORIGINS, WINDOWS, DECILES)


def _wql(played: Replay, window: int) -> float:
    return wql(played.actual[:, :, window], played.predicted[:, :, window], DECILES)


def _coverage(played: Replay, window: int) -> float:
    table = played.predicted[:, :, window]
    return coverage(played.actual[:, :, window], table[..., 0], table[..., -1])
