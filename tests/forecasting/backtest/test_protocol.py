"""The rules of a backtest: which windows, which origins, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from forecasting.backtest.protocol import BUCKETS, QUANTILES, Bucket, Plan, Protocol
from gyropilot.domain import DemandHistory, Line, Window
from gyropilot.errors import SettingsError
from tests.forecasting.backtest.samples import GPU, HOUR, MIDNIGHT, hourly

MINUTE = timedelta(minutes=1)


def days(count: float, step: timedelta = HOUR, begin: datetime = MIDNIGHT) -> DemandHistory:
    return hourly({"a": np.ones(round(timedelta(days=count) / step)).tolist()}, step, begin)


def origins(plan: Plan) -> list[datetime]:
    return [datetime.fromtimestamp(int(plan.history.times[column]), UTC) for column in plan.origins]


def test_everybody_is_asked_for_the_body_and_both_tails() -> None:
    tenths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

    assert set(QUANTILES) >= {*tenths, 0.01, 0.025, 0.05, 0.95, 0.975, 0.99}
    assert list(QUANTILES) == sorted(QUANTILES)


def test_the_next_hour_is_six_windows_of_ten_minutes() -> None:
    windows = Bucket.named("next hour").windows

    assert windows[0] == Window(timedelta(0), 10 * MINUTE)
    assert windows[-1] == Window(50 * MINUTE, 60 * MINUTE)
    assert len(windows) == 6


def test_a_span_of_hours_is_as_many_windows_of_one_hour() -> None:
    assert Bucket.named("1h").windows == (Window(timedelta(0), HOUR),)
    assert Bucket.named("24h").windows == (Window(23 * HOUR, 24 * HOUR),)
    assert Bucket.named("1-6h").windows == tuple(Window(n * HOUR, (n + 1) * HOUR) for n in range(6))


@pytest.mark.parametrize("name", ["0h", "6-1h", "169h", "hour", "", "1-h", "1.5h"])
def test_another_horizon_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match=r"--horizons got .* it takes 'next hour', an hour such as 1h"):
        Bucket.named(name)


def test_the_last_week_is_tested_from_a_round_hour_on() -> None:
    history = days(24, 5 * MINUTE, MIDNIGHT + 5 * MINUTE)

    plan = Plan.of(history, Protocol())

    told = origins(plan)
    assert history.end == datetime(2026, 3, 26, tzinfo=UTC)
    assert told[:2] == [datetime(2026, 3, 19, 0, tzinfo=UTC), datetime(2026, 3, 19, 3, tzinfo=UTC)]
    assert told[-1] == datetime(2026, 3, 25, 21, tzinfo=UTC)


def test_of_less_than_two_weeks_the_last_third_is_tested() -> None:
    assert origins(Plan.of(days(14), Protocol()))[0] == datetime(2026, 3, 9, 0, tzinfo=UTC)
    assert origins(Plan.of(days(6), Protocol()))[0] == datetime(2026, 3, 6, 0, tzinfo=UTC)


def test_the_origin_is_the_newest_reading_at_that_time() -> None:
    plan = Plan.of(days(3, 10 * MINUTE, MIDNIGHT + 7 * MINUTE), Protocol())

    assert {moment.minute for moment in origins(plan)} == {57}


def test_a_span_of_ones_own_is_kept() -> None:
    begin, end = MIDNIGHT + timedelta(days=2), MIDNIGHT + timedelta(days=3)

    plan = Plan.of(days(9), Protocol(("1h",), begin, end, every=12 * HOUR))

    assert origins(plan) == [begin, begin + 12 * HOUR]
    assert plan.history.end == end


def test_each_window_is_asked_about_once_in_the_order_of_time() -> None:
    plan = Plan.of(days(3, 10 * MINUTE), Protocol())

    assert len(plan.windows) == 6 + 24
    assert [len(plan.within(bucket)) for bucket in plan.buckets] == [6, 1, 6, 24]
    assert [window.end for window in plan.windows] == sorted(window.end for window in plan.windows)


def test_windows_shorter_than_the_step_are_left_out_and_said() -> None:
    plan = Plan.of(days(3), Protocol(BUCKETS))

    assert [bucket.name for bucket in plan.buckets] == ["1h", "1-6h", "1-24h"]
    assert plan.notes == ("'next hour' is left out: its windows are shorter than the history's step of 60 min",)


def test_the_sum_over_queues_is_scored_instead_of_each_if_asked() -> None:
    history = hourly({"a": [1.0] * 72, "b": [2.0] * 72})

    plan = Plan.of(history, Protocol(("1h",), totals=True))

    assert plan.history.lines[-1] == Line("", GPU)
    assert plan.scored.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("history", "protocol", "sentence"),
    [
        (DemandHistory.empty(), Protocol(), "the history is empty; give a trace with readings"),
        (
            days(3, timedelta(days=1)),
            Protocol(),
            "the history has a step of 1440 min, and no window is longer than an hour: it cannot be backtested; "
            "resample it to steps of an hour or less",
        ),
        (
            days(3),
            Protocol(("next hour",)),
            "the history has a step of 60 min, longer than the windows of 'next hour'; give a history with "
            "shorter steps, or other --horizons",
        ),
        (days(3), Protocol(every=MINUTE), "--every 1 min is shorter than the history's step of 60 min"),
        (
            days(3),
            Protocol(end=MIDNIGHT),
            "--to 2026-03-02 00:00 lies before the history, which begins 2026-03-02 00:00",
        ),
        (days(3), Protocol(begin=MIDNIGHT), "no origin from 2026-03-02 00:00 on: the history reaches from 2026-03-02"),
        (days(3), Protocol(begin=MIDNIGHT + 30 * timedelta(days=1)), "the last 2026-03-04 22:00"),
    ],
)
def test_what_cannot_be_tested_is_refused_with_the_reason(
    history: DemandHistory, protocol: Protocol, sentence: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Plan.of(history, protocol)

    assert sentence in str(refused.value)
