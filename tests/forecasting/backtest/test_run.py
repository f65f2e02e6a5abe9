"""The replay: nobody sees what follows, models are fitted in time, outcomes are what came."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Self

import numpy as np
import pytest

from forecasting.backtest.protocol import Plan, Protocol
from forecasting.backtest.run import Answer, Listeners, hourly_change, outcomes
from forecasting.forecasters.naive import Naive
from gyropilot.domain import DemandHistory
from gyropilot.errors import ForecastError, SettingsError
from tests.forecasting.backtest.samples import HOUR, MIDNIGHT, Says, Stranger, hourly, replayed, stranger

DAY = timedelta(days=1)


def week(future: float = 1.0) -> DemandHistory:
    """A week of hours that count up; from the fourth midnight on times `future`."""
    hours = np.arange(168.0)
    return hourly({"a": np.where(hours > 72, hours * future, hours).tolist()})


def test_nobody_is_shown_what_follows_the_origin() -> None:
    model, peer = Says("first"), Says("peer")

    replayed(week(), [model], [Stranger("peer", peer.predict)], begin=MIDNIGHT + 3 * DAY)

    expected = [MIDNIGHT + 3 * DAY + n * 3 * HOUR for n in range(32)]
    assert [history.end for history in model.asked] == expected
    assert [history.end for history in peer.asked] == expected
    assert all(history.demand.shape == (1, 73 + 3 * n) for n, history in enumerate(model.asked))


def test_another_future_changes_nothing_that_was_said_before() -> None:
    said: list[list[Answer]] = [[], []]

    for future, heard in zip((1.0, 100.0), said, strict=True):
        listeners = Listeners(heard=heard.append)
        replayed(week(future), [Says("first"), Says("second")], listeners=listeners, begin=MIDNIGHT + 2 * DAY)

    before = [[a for a in heard if a.origin <= MIDNIGHT + 3 * DAY] for heard in said]
    assert len(before[0]) == len(before[1]) == 2 * 9
    assert all(np.array_equal(a.gpus, b.gpus) for a, b in zip(*before, strict=True))


def test_models_are_fitted_before_the_first_origin_and_then_daily() -> None:
    model = Says("first")

    replayed(week(), [model], begin=MIDNIGHT + 3 * DAY + 6 * HOUR, refit=DAY)

    assert model.fits == [MIDNIGHT + n * DAY + 6 * HOUR for n in (3, 4, 5, 6)]


@dataclass(eq=False)
class Learning(Says):
    """Says how often it was updated."""

    updates: int = 0

    def update(self, history: DemandHistory) -> Self:
        updates = self.updates + 1
        return type(self)(self.name, lambda newest: updates, self.fits, self.asked, updates)


def test_models_that_learn_do_so_at_each_origin_before_they_answer() -> None:
    heard: list[Answer] = []

    replayed(week(), [Learning("first")], listeners=Listeners(heard=heard.append), begin=MIDNIGHT + 5 * DAY)

    assert [answer.gpus[0, 0, 0] for answer in heard] == list(range(1, 17))


def test_an_outcome_is_the_mean_of_what_came_after_the_origin() -> None:
    quarters = hourly({"a": [0, 1, 2, 3, 4, 10, 20, 30, 40, 0, 0, 0]}, HOUR / 4)
    plan = Plan.of(quarters, Protocol(("1h", "1-2h"), begin=MIDNIGHT + HOUR, every=HOUR))

    came = outcomes(plan)

    assert came[0].tolist() == [[25.0, pytest.approx(np.nan, nan_ok=True)]]


def test_the_next_hour_is_scored_in_six_parts() -> None:
    tens = hourly({"a": [0.0] * 7 + [10, 20, 30, 40, 50, 60]}, HOUR / 6)
    plan = Plan.of(tens, Protocol(("next hour",), begin=MIDNIGHT + HOUR))

    assert outcomes(plan)[0].tolist() == [[10.0, 20.0, 30.0, 40.0, 50.0, 60.0]]


def test_lines_that_do_not_count_have_no_outcome() -> None:
    history = hourly({"a": [1.0] * 48, "b": [2.0] * 48})
    plan = Plan.of(history, Protocol(("1h",), totals=True))

    assert np.array_equal(outcomes(plan)[0], [[np.nan], [np.nan], [3.0]], equal_nan=True)


def test_the_scale_of_mase_is_the_mean_change_over_an_hour() -> None:
    history = hourly({"a": [0, 5, 2, 1, 8, 5], "steady": [4.0] * 6, "unseen": [np.nan] * 6}, HOUR / 2)

    assert np.array_equal(hourly_change(history), [(2 + 4 + 6 + 4) / 4, np.nan, np.nan], equal_nan=True)


def test_time_is_taken_of_each_model() -> None:
    replay = replayed(week(), [Says("first")], [stranger("peer")], begin=MIDNIGHT + 5 * DAY)

    assert replay.seconds.tolist() == [16.0, 16.0]


def test_progress_names_the_origin_and_the_model() -> None:
    phrases: list[str] = []

    replayed(week(), [Says("first")], listeners=Listeners(told=phrases.append), begin=MIDNIGHT + 5 * DAY)

    assert phrases[0] == "origin 1 of 16: first"
    assert phrases[-1] == "origin 16 of 16: first"


def test_our_own_is_drawn_and_the_largest_lines_of_it() -> None:
    history = hourly({f"q{n}": [float(n)] * 72 for n in range(8)})

    replay = replayed(history, [Says("seasonal-naive"), Says("naive"), Says("gyropilot")])

    assert replay.drawn.model == "gyropilot"
    assert replay.drawn.rows == (7, 6, 5, 4, 3, 2)
    assert replay.drawn.gpus[0, :, 0, 0].tolist() == [7.0, 6.0, 5.0, 4.0, 3.0, 2.0]


def test_a_forecast_that_a_pilot_could_not_act_on_stops_the_replay() -> None:
    with pytest.raises(ForecastError, match="bad gave negative demand"):
        replayed(week(), [Says("bad", lambda newest: -1.0)])


def test_a_peer_with_a_table_of_another_shape_is_named() -> None:
    peer = Stranger("crooked", lambda history, windows, quantiles: np.zeros((1, 1, 2)))

    with pytest.raises(ForecastError, match=r"crooked gave a table of shape \(1, 1, 2\), expected \(1, 1, 15\)"):
        replayed(week(), [Says("first")], [peer])


def test_a_peers_quantiles_that_cross_are_put_in_order() -> None:
    heard: list[Answer] = []
    peer = Stranger("crossing", lambda history, windows, quantiles: np.array([[list(quantiles)[::-1]]]))

    replayed(week(), [Says("first")], [peer], Listeners(heard=heard.append))

    said = next(answer.gpus for answer in heard if answer.model == "crossing")
    assert said[0, 0].tolist() == sorted(said[0, 0])


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(SettingsError, match="two models of one name in naive, naive"):
        replayed(week(), [Says("naive"), Says("naive")])


def test_a_real_forecaster_runs_through() -> None:
    model = Says("naive")
    history = week()

    by_hand = replayed(history, [model])
    real = replayed(history, [Naive()])

    assert real.models == by_hand.models == ("naive",)
    assert real.tallies[0].lines.tolist() == [1]
