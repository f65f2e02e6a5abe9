"""Signals against a plain reference that walks one line, reading by reading."""

import math
from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter

import numpy as np
import pytest

from forecasting.check import gangs, situations
from forecasting.demand.signals import AGES_S, CYCLES_S, ECHOES_S, MEANS_S, NAMES, RATES_S, WEEK_S, Signals, latest
from gyropilot.domain import DemandHistory, Floats, Line
from tests.fakes import history


def test_agrees_with_the_plain_reference_at_every_column_of_a_line_with_gaps() -> None:
    seen = _waiting_and_running(days=9, step=timedelta(minutes=30))
    lines, columns = seen.demand.shape
    line, column = (grid.ravel() for grid in np.indices((lines, columns)))

    values = Signals.of(seen).at(line, column)

    expected = np.array([_reference(seen, i, t) for i in range(lines) for t in range(columns)])
    np.testing.assert_allclose(values, expected, atol=1e-9)


def test_the_last_column_alone_gives_the_same_numbers_to_the_last_bit() -> None:
    seen = _waiting_and_running(days=9, step=timedelta(minutes=5))
    lines, columns = seen.demand.shape
    line, column = (grid.ravel() for grid in np.indices((lines, columns)))

    whole = Signals.of(seen).at(line, column).reshape(lines, columns, -1)

    assert np.array_equal(_at_the_end(seen), whole[:, -1], equal_nan=True)


def test_the_latest_signals_are_those_at_the_newest_reading_of_each_line() -> None:
    seen = history({"research": [8.0] * 10 + [16.0] * 2, "late": [8.0] * 9 + [24.0, math.nan, math.nan]})

    table = latest(seen)

    assert table[:, NAMES.index("demand")].tolist() == [16.0, 24.0]
    assert table[:, NAMES.index("minutes since rise")].tolist() == [5.0, 0.0]
    assert np.array_equal(table[1], Signals.of(seen).at(np.array([1]), np.array([9]))[0], equal_nan=True)


def test_a_moment_knows_nothing_of_what_follows() -> None:
    seen = gangs(3, 900)
    early = DemandHistory(seen.lines, seen.times[:600], seen.running[:, :600], seen.pending[:, :600])

    then = Signals.of(seen).at(np.arange(3), np.full(3, 599))

    assert np.array_equal(then, _at_the_end(early), equal_nan=True)


def test_young_demand_is_what_arrived_and_gone_demand_is_what_left() -> None:
    seen = history({"research": [8.0] * 288 + [24.0] * 6 + [16.0] * 2})

    assert _newest(seen, "young 5 min", "young 15 min", "young 1 h", "young 24 h") == [0.0, 0.0, 8.0, 8.0]
    assert _newest(seen, "gone 5 min", "gone 15 min", "gone 1 h", "gone 24 h") == [0.0, 8.0, 8.0, 8.0]
    assert _newest(seen, "minutes since change", "minutes since rise", "minutes since fall") == [5.0, 35.0, 5.0]
    assert _newest(seen, "changes in 1 h", "risen in 1 h", "fallen in 1 h") == [2.0, 16.0, 8.0]


def test_says_what_has_waited_and_for_how_long() -> None:
    base = history({"research": [8.0] * 20})
    pending = np.zeros((1, 20))
    pending[0, -4:] = 24.0

    seen = DemandHistory(base.lines, base.times, base.running, pending)

    assert _newest(seen, "pending", "pending share", "minutes pending") == [24.0, 0.75, 20.0]


def test_recalls_what_followed_this_time_yesterday() -> None:
    seen = history({"nightly": [0.0] * 100 + [32.0] * 24 + [0.0] * 264})  # began 23 h and 55 min ago

    assert _newest(seen, "what 1 h changed yesterday", "above same time yesterday") == [32.0, 0.0]


def test_a_gap_stays_a_gap_and_a_change_across_it_has_no_moment() -> None:
    seen = history({"research": [8.0] * 10 + [math.nan] * 3 + [16.0] * 2, "blind": [8.0] * 14 + [math.nan]})

    assert _newest(seen, "minutes since change", "changes in 1 h", "young 1 h") == [70.0, 0.0, 8.0]
    assert np.isnan(_at_the_end(seen)[1]).all()


@pytest.mark.parametrize("situation", situations())
def test_answers_in_every_situation(situation: str) -> None:
    seen = situations()[situation]

    table = _at_the_end(seen)

    assert table.shape == (len(seen.lines), len(Signals.names))
    assert not np.isinf(table).any()


def test_a_few_signals_alone_are_the_same_numbers() -> None:
    seen = _waiting_and_running(days=2, step=timedelta(minutes=5))
    names = ("minutes since change", "demand", "young 1 h")

    alone, all_of_them = _at_the_end(seen, names), _at_the_end(seen)

    assert np.array_equal(alone, all_of_them[:, [Signals.names.index(name) for name in names]], equal_nan=True)


def test_numbers_in_gpus_grow_with_demand_and_the_others_do_not() -> None:
    small = gangs(4, 900)
    large = DemandHistory(small.lines, small.times, small.running * 4, small.pending * 4)

    ratio = np.where(Signals.in_gpus, 4.0, 1.0)

    np.testing.assert_allclose(_at_the_end(large), _at_the_end(small) * ratio)


def test_a_thousand_queues_are_described_within_a_fraction_of_a_second() -> None:
    month = np.tile(gangs(4, 8_640, timedelta(minutes=5)).running, (250, 1))
    times = np.arange(8_640, dtype=np.int64) * 300
    seen = DemandHistory(tuple(Line(str(i), "gpu") for i in range(1_000)), times, month, np.zeros_like(month))
    assert seen.demand.shape == (1_000, 8_640)

    latest(seen)  # in full before, or this would time the compiler
    began = perf_counter()
    _at_the_end(seen)

    assert perf_counter() - began < 1.0  # an idle machine takes about a tenth of that


def _at_the_end(seen: DemandHistory, names: Sequence[str] = NAMES) -> Floats:
    """(L, len(names)) at the last column."""
    lines, columns = seen.demand.shape
    if not columns:
        return np.full((lines, len(names)), np.nan)
    return Signals.of(seen).at(np.arange(lines), np.full(lines, columns - 1), names)


def _newest(seen: DemandHistory, *names: str) -> list[float]:
    """Of the first line."""
    return [float(_at_the_end(seen)[0, Signals.names.index(name)]) for name in names]


def _waiting_and_running(days: int, step: timedelta) -> DemandHistory:
    steps = days * round(timedelta(days=1) / step)
    running, pending = gangs(3, steps, step), gangs(3, steps, step, seed=1)
    gappy = np.where(np.random.default_rng(2).random(running.running.shape) < 0.1, np.nan, running.running / 3)
    return DemandHistory(running.lines, running.times, gappy, np.maximum(0.0, pending.running - 4))


def _reference(seen: DemandHistory, line: int, column: int) -> list[float]:
    """All signals of one line at one column, slowly."""
    demand: list[float] = (np.round(seen.demand[line] * 1024) / 1024).tolist()
    pending: list[float] = (np.round(seen.pending[line] * 1024) / 1024).tolist()
    step_s, now = seen.step.total_seconds(), demand[column]
    if math.isnan(now):
        return [math.nan] * len(Signals.names)

    def steps(span_s: float) -> int:
        return max(1, round(span_s / step_s))

    def seen_in(first: int, last: int) -> list[float]:
        return [v for v in demand[max(0, first) : max(0, last + 1)] if not math.isnan(v)]

    def mean(first: int, last: int) -> float:
        readings = seen_in(first, last)
        return sum(readings) / len(readings) if readings else math.nan

    def at(moment: int) -> float:
        return demand[moment] if moment >= 0 else math.nan

    def minutes_since(moments: list[int]) -> float:
        return min(column - max(moments, default=0), steps(WEEK_S)) * step_s / 60

    change = {t: demand[t] - demand[t - 1] for t in range(1, column + 1)}
    change = {t: c for t, c in change.items() if c != 0 and not math.isnan(c)}
    idle = [t for t in range(column + 1) if pending[t] <= 0]
    waits = pending[column] > 0
    recent = [[c for t, c in change.items() if t > column - steps(span_s)] for span_s in RATES_S.values()]
    cycles = [column - steps(cycle_s) for cycle_s in CYCLES_S.values()]
    return [
        now,
        pending[column],
        pending[column] / now if now else 0.0,
        minutes_since(idle) if waits else 0.0,
        *(now - min(seen_in(column - steps(age_s), column)) for age_s in AGES_S.values()),
        *(max(seen_in(column - steps(age_s), column)) - now for age_s in AGES_S.values()),
        *(now - mean(column - steps(span_s) + 1, column) for span_s in MEANS_S.values()),
        minutes_since(list(change)),
        minutes_since([t for t, c in change.items() if c > 0]),
        minutes_since([t for t, c in change.items() if c < 0]),
        *(float(len(changes)) for changes in recent),
        *(sum(c for c in changes if c > 0) for changes in recent),
        *(-sum(c for c in changes if c < 0) for changes in recent),
        *(now - at(then) for then in cycles),
        *(mean(then + 1, then + steps(echo_s)) - at(then) for then in cycles for echo_s in ECHOES_S.values()),
    ]
