"""Histories of a simulated cluster are windows on one table, and the same as if they were put together anew."""

import numpy as np
import pytest

from envs.recorded import Record
from envs.workloads import DAY_S, Floats
from forecasting.forecast import known
from gyropilot.domain import DemandHistory, Line
from tests.fakes import GPU

STEP_S = 3_600.0
STEPS = 40 * 24


@pytest.fixture(scope="module")
def readings() -> Floats:
    """(2, 3, T) GPUs that ran and waited."""
    return np.floor(np.random.default_rng(0).random((2, 3, STEPS + 1)) * 64)


@pytest.fixture(scope="module")
def record(readings: Floats) -> Record:
    record = Record.blank(("a", "b", "c"), GPU, STEPS, 1_000_000.0, STEP_S)
    for nth, (running, pending) in enumerate(zip(*readings.swapaxes(1, 2), strict=True)):
        record.note(nth, running, pending)
    return record


@pytest.mark.parametrize("nth", [0, 1, 100, 28 * 24 - 1, 28 * 24, STEPS])
def test_a_history_ends_with_the_newest_reading_and_goes_back_four_weeks(
    nth: int, record: Record, readings: Floats
) -> None:
    history = record.of_queues(nth)

    first = max(0, nth + 1 - 28 * 24)
    assert history.lines == tuple(Line(queue, GPU) for queue in "abc")
    assert history.times.tolist() == [1_000_000 + 3_600 * step for step in range(first, nth + 1)]
    np.testing.assert_array_equal(history.running, readings[0, :, first : nth + 1])
    np.testing.assert_array_equal(history.pending, readings[1, :, first : nth + 1])


@pytest.mark.parametrize("nth", [0, 100, STEPS])
def test_totals_are_those_that_would_be_added_up(nth: int, record: Record) -> None:
    history, whole = record.of_queues(nth), record.whole(nth)

    again = DemandHistory(history.lines, history.times, history.running, history.pending)

    assert whole.lines == known(again).lines
    np.testing.assert_array_equal(whole.running, known(again).running)
    np.testing.assert_array_equal(whole.pending, known(again).pending)
    np.testing.assert_array_equal(whole.demand, known(again).demand)
    np.testing.assert_array_equal(whole.seen, known(again).seen)
    np.testing.assert_array_equal(history.demand, again.demand)
    np.testing.assert_array_equal(history.totals[GPU], again.totals[GPU])


def test_what_comes_later_is_not_seen(record: Record) -> None:
    before = record.of_queues(48)
    seen = before.demand.copy()

    record.note(49, np.full(3, 999.0), np.full(3, 999.0))

    np.testing.assert_array_equal(before.running + before.pending, seen)
    assert record.at(48).timestamp() == 1_000_000 + 2 * DAY_S


def test_the_newest_steps_of_a_history_know_only_of_themselves(record: Record) -> None:
    newest = record.of_queues(100).newest(3)

    assert newest.times.tolist() == record.times[98:101].tolist()
    np.testing.assert_array_equal(newest.totals[GPU], newest.demand.sum(axis=0))
    assert len(record.of_queues(1).newest(3).times) == 2


def test_a_total_counts_what_was_seen_and_is_unknown_where_nothing_was() -> None:
    lines = tuple(Line(queue, GPU) for queue in "ab")
    nan = np.nan
    history = DemandHistory(lines, np.arange(3) * 300, np.array([[1.0, nan, nan], [2.0, 4.0, nan]]), np.zeros((2, 3)))

    np.testing.assert_array_equal(history.totals[GPU], [3.0, 4.0, nan])
