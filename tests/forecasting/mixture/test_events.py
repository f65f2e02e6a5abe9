"""Named events: what they did before tells what they will do, where that was so before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from forecasting.demand.events import Named, Stretch, named
from forecasting.forecasters.anomaly import Anomaly
from forecasting.forecasters.naive import Naive
from forecasting.foresight import Foresight
from forecasting.losses import pinball
from forecasting.mixture.ensemble import Ensemble
from forecasting.mixture.events import Events, events_of, informed
from forecasting.rolling import until
from forecasting.store import load, save
from forecasting.windows import outcome
from gyropilot.domain import DemandHistory, Floats, Line, Window
from gyropilot.settings import CalendarSettings, ForecastSettings
from tests.fakes import GPU, state

HOUR_S, DAY_S = 3_600, 86_400
BEGAN_S = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp())  # a Monday
DAYS = 50
QUANTILES = tuple(round(0.1 * n, 1) for n in range(1, 10))
WINDOWS = tuple(Window(timedelta(hours=n), timedelta(hours=n + 1)) for n in range(24))
FREEZES = tuple(
    Stretch(BEGAN_S + day * DAY_S + 9 * HOUR_S, BEGAN_S + (day + 1) * DAY_S + 9 * HOUR_S) for day in (9, 18, 29, 40)
)
"""On days that no rhythm of weeks tells."""

FREEZE = Named("release freeze", (), FREEZES)


class Replayed(NamedTuple):
    """One model on its way through a history."""

    model: Ensemble
    at: list[int]  # columns
    loss: list[Floats]  # (W,) at each, mean over queues and quantiles

    def loss_within(self, times: Sequence[int], time: Stretch) -> float:
        """Of windows that lie in the event."""
        total = 0.0
        for column, loss in zip(self.at, self.loss, strict=True):
            middles_s = times[column] + HOUR_S * (np.arange(len(WINDOWS)) + 0.5)
            total += float(loss[(time.begin_s < middles_s) & (middles_s < time.end_s)].sum())
        return total


def demand(factor: float, seed: int = 0, queues: int = 2) -> DemandHistory:
    """Days and weekends and what passes in hours; so many times as much in each freeze."""
    rng, times = np.random.default_rng(seed), BEGAN_S + HOUR_S * np.arange(1, 24 * DAYS + 1)
    hour, weekday = times % DAY_S / HOUR_S, times // DAY_S % 7
    on = np.any([(time.begin_s < times) & (times <= time.end_s) for time in FREEZES], axis=0)
    rows = []
    for queue in range(queues):
        noise = np.zeros(len(times))
        for i in range(1, len(times)):
            noise[i] = 0.9 * noise[i - 1] + rng.normal(0, 3)
        usual = 60 + 30 * np.sin(2 * np.pi * (hour - 8 - queue) / 24) + 20 * (weekday < 5) + noise
        rows.append(np.maximum(usual, 0.0) * np.where(on, factor, 1.0))
    lines = tuple(Line(f"queue-{queue}", GPU) for queue in range(queues))
    return DemandHistory(lines, times, np.array(rows), np.zeros((queues, len(times))))


def model(*events: Named) -> Ensemble:
    return informed(Ensemble(experts=(Anomaly(),)), events)


def column(history: DemandHistory, at_s: int) -> int:
    return int(np.searchsorted(history.times, at_s))


def replayed(history: DemandHistory, *events: Named) -> Replayed:
    """Asked every eight hours from the day before the third freeze, fitted every other day."""
    mine, at, losses = model(*events), [], []
    for nth, now in enumerate(range(column(history, FREEZES[2].begin_s) - 24, len(history.times) - 24, 8)):
        known = until(history, now)
        mine = mine.update(known) if nth else mine
        mine = mine.fit(known) if nth % 6 == 0 else mine
        loss = pinball(outcome(history, now, WINDOWS), mine.predict(known, WINDOWS, QUANTILES), QUANTILES)
        at.append(now)
        losses.append(loss.mean(axis=(0, 2)))
    return Replayed(mine, at, losses)


def fitted(history: DemandHistory, before: Stretch, *events: Named) -> tuple[Ensemble, DemandHistory]:
    """As of six hours before an occurrence."""
    known = until(history, column(history, before.begin_s) - 6)
    return model(*events).fit(known), known


def test_what_doubled_demand_twice_is_expected_to_double_it_again() -> None:
    seen = demand(factor=2.0)
    without, knowing = replayed(seen), replayed(seen, FREEZE)

    times = seen.times.tolist()
    for time, most in ((FREEZES[2], 0.7), (FREEZES[3], 0.5)):
        assert knowing.loss_within(times, time) < most * without.loss_within(times, time)
    assert np.sum(knowing.loss) < 0.9 * np.sum(without.loss)


@pytest.mark.parametrize("seed", range(2))
def test_an_event_that_means_nothing_costs_nearly_nothing(seed: int) -> None:
    seen = demand(factor=1.0, seed=seed)

    assert np.sum(replayed(seen, FREEZE).loss) < 1.01 * np.sum(replayed(seen).loss)


def test_one_occurrence_is_no_reason_yet() -> None:
    seen = demand(factor=2.0)
    knowing, known = fitted(seen, FREEZES[1], FREEZE)
    without, _ = fitted(seen, FREEZES[1])

    assert knowing.events.learnt("release freeze", ()).occurrences == 1
    assert np.array_equal(knowing.predict(known, WINDOWS, QUANTILES), without.predict(known, WINDOWS, QUANTILES))


def test_where_no_event_is_near_nothing_is_changed() -> None:
    seen = demand(factor=2.0)
    knowing, _ = fitted(seen, FREEZES[3], FREEZE)
    quiet = until(seen, column(seen, FREEZES[3].begin_s) - 48)
    table = np.ones((len(seen.lines), len(WINDOWS), 3))

    assert knowing.events.moved(table, quiet, WINDOWS) is table
    assert Events().moved(table, quiet, WINDOWS) is table


def test_an_event_moves_only_the_queues_that_it_is_for() -> None:
    seen = demand(factor=2.0)
    mine, known = fitted(seen, FREEZES[3], replace(FREEZE, queues=("queue-1",)))
    table = np.full((len(seen.lines), len(WINDOWS), 1), 50.0)

    moved = mine.events.moved(table, known, WINDOWS)

    assert np.array_equal(moved[0], table[0])
    assert moved[1, 12, 0] == pytest.approx(100, rel=0.15)
    assert moved[1, 0, 0] == 50.0


def test_of_two_events_at_once_the_one_that_is_believed_more_counts_alone() -> None:
    seen = demand(factor=2.0)
    one, known = fitted(seen, FREEZES[3], FREEZE)
    both, _ = fitted(seen, FREEZES[3], FREEZE, replace(FREEZE, name="code freeze"))
    table = np.full((len(seen.lines), len(WINDOWS), 1), 50.0)

    assert np.array_equal(both.events.moved(table, known, WINDOWS), one.events.moved(table, known, WINDOWS))


def test_what_an_event_does_is_learnt_from_what_was_known_then() -> None:
    seen = demand(factor=2.0)
    end = column(seen, FREEZES[1].end_s) + 24
    other = seen.running.copy()
    other[:, end + 1 :] += 500.0
    straight, otherwise = (
        model(FREEZE).fit(until(DemandHistory(seen.lines, seen.times, running, seen.pending), end)).events
        for running in (seen.running, other)
    )

    assert straight.learnt("release freeze", ()).occurrences == 2
    for mine, others in zip(straight.occasions[0], otherwise.occasions[0], strict=True):
        assert np.array_equal(mine.came, others.came, equal_nan=True)
        assert np.array_equal(mine.expected, others.expected, equal_nan=True)


def test_occurrences_are_remembered_when_history_is_not() -> None:
    seen = demand(factor=2.0)
    mine, known = fitted(seen, FREEZES[3], FREEZE)

    later = mine.fit(known.newest(24 * 20))

    assert later.events.learnt("release freeze", ()) == mine.events.learnt("release freeze", ())
    assert later.events.learnt("release freeze", ()).occurrences == 3


def test_a_date_that_is_no_longer_named_is_forgotten() -> None:
    mine, known = fitted(demand(factor=2.0), FREEZES[3], FREEZE)

    fewer = mine.informed((replace(FREEZE, times=FREEZES[1:]),))

    assert fewer.events.learnt("release freeze", ()).occurrences == 2
    assert not fewer.events.unmeasured(known)
    assert fewer.informed((FREEZE,)).events.unmeasured(known)


def test_answers_the_same_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecasting.mixture.ensemble.installed", lambda: (Anomaly,))
    mine, known = fitted(demand(factor=2.0), FREEZES[3], FREEZE)

    save(mine.state(), tmp_path / "model.npz")
    again = Ensemble.restored(load(tmp_path / "model.npz"))

    assert again.events.known == (FREEZE,)
    assert np.array_equal(again.predict(known, WINDOWS, QUANTILES), mine.predict(known, WINDOWS, QUANTILES))


def test_entries_of_one_name_and_the_same_queues_are_one_event_whatever_their_zone() -> None:
    entry = {"name": "payroll", "start": "2026-01-30", "end": "2026-01-30", "timezone": "Asia/Tokyo"}
    settings = CalendarSettings.model_validate(
        {
            "events": [
                {**entry, "start": "2026-02-27T00:00+00:00", "end": "2026-02-28T00:00+00:00", "timezone": "UTC"},
                entry,
                {**entry, "queues": ["batch"]},
            ]
        }
    )

    everyone, batch = named(settings)

    begins = int(datetime(2026, 1, 29, 15, tzinfo=UTC).timestamp())
    assert (everyone.name, everyone.queues, len(everyone.times)) == ("payroll", (), 2)
    assert everyone.times[0] == Stretch(begins, begins + DAY_S)
    assert (batch.queues, batch.times) == (("batch",), everyone.times[:1])


def test_a_model_that_knows_no_events_is_left_as_it_is() -> None:
    naive = Naive()

    assert informed(naive, (FREEZE,)) is naive
    assert events_of(naive) is None


def test_a_day_after_an_event_a_fit_does_not_wait_for_the_night(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = demand(factor=2.0)
    monkeypatch.setattr("forecasting.foresight.make", lambda name, place: model())
    times = [
        {"start": datetime.fromtimestamp(t.begin_s, UTC), "end": datetime.fromtimestamp(t.end_s, UTC)} for t in FREEZES
    ]
    calendar = CalendarSettings.model_validate({"events": [{"name": "release freeze", **time} for time in times]})
    mine = Foresight(ForecastSettings(), calendar)

    due = []
    for at_s in (FREEZES[2].end_s, FREEZES[2].end_s + DAY_S):
        now = datetime.fromtimestamp(at_s, UTC)
        mine(state(history=until(seen, column(seen, at_s)), seen_at=now))
        due.append(any(getattr(work, "__name__", "") == "fit" for work in mine.due(now)))

    assert due == [False, True]
