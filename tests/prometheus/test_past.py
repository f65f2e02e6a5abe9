"""History kept between readings is what a reading of all of it would be, for the price of an hour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyropilot.errors import PrometheusError
from gyropilot.prometheus.past import Past, Row
from gyropilot.prometheus.reader import PrometheusReader
from gyropilot.prometheus.series import Grid, Table
from tests.fakes import NOW

STEP, COUNT = 300, 288
NOW_S = int(NOW.timestamp())


class Store:
    """Answers from samples by name and second; remembers the grids that it was asked for."""

    def __init__(self, samples: dict[str, dict[int, float]]) -> None:
        self.samples = samples
        self.asked: list[Grid] = []

    def __call__(self, promql: str, grid: Grid, row: Row) -> Table:
        self.asked.append(grid)
        table = Table(grid, row)
        on_grid = set(grid.times.tolist())
        for name, values in self.samples.items():
            seconds = sorted(on_grid & set(values))
            if seconds:
                table.put({"name": name}, np.array(seconds), np.array([values[second] for second in seconds]))
        return table


def by_name(labels: dict[str, str]) -> tuple[str, ...]:
    return (labels["name"],)


def ending(steps: int, count: int = COUNT) -> Grid:
    """A day that ends so many steps after NOW."""
    return Grid(NOW_S + (steps - count + 1) * STEP, STEP, count)


def steady(first: int, last: int, value: float = 8.0) -> dict[int, float]:
    """Samples from one step to another, counted from NOW."""
    return {NOW_S + step * STEP: value for step in range(first, last + 1)}


def rows(table: Table) -> dict[tuple[str, ...], list[float]]:
    return {key: table.values[row].tolist() for key, row in sorted(table.keys.items())}


def assert_equal(one: Table, other: Table) -> None:
    assert one.grid == other.grid
    assert sorted(one.keys) == sorted(other.keys)
    for key, values in rows(one).items():
        np.testing.assert_array_equal(values, rows(other)[key])


spans = st.tuples(st.integers(-400, 200), st.integers(0, 400)).map(lambda span: steady(span[0], sum(span)))


@settings(deadline=None)  # the machine may be busy
@given(
    st.dictionaries(st.sampled_from("abcde"), spans),
    st.lists(st.integers(0, 100), max_size=8).map(lambda moves: np.cumsum([0, *moves]).tolist()),
)
def test_is_the_same_as_a_whole_reading(samples: dict[str, dict[int, float]], ends: Sequence[int]) -> None:
    past = Past(Store(samples))

    for end in ends:
        assert_equal(past.range("up", ending(end), by_name), Store(samples)("up", ending(end), by_name))


def test_asks_again_only_for_the_last_hour_and_what_is_new() -> None:
    store = Store({"a": steady(-288, 99)})
    past = Past(store)

    past.range("up", ending(0), by_name)
    past.range("up", ending(1), by_name)

    assert store.asked == [ending(0), Grid(NOW_S - 3600, STEP, 14)]


def test_what_is_filled_in_late_is_seen() -> None:
    store = Store({"a": steady(-288, -6)})
    past = Past(store)
    past.range("up", ending(0), by_name)

    store.samples["a"] = steady(-288, 1)

    assert rows(past.range("up", ending(1), by_name)) == {("a",): [8.0] * COUNT}


def test_what_changed_further_back_is_seen_after_six_hours() -> None:
    store = Store({"a": steady(-288, -100)})
    past = Past(store)
    past.range("up", ending(0), by_name)
    store.samples["a"] = steady(-288, 99)

    before, after = (past.range("up", ending(steps), by_name) for steps in (71, 72))

    assert np.isnan(before.values).sum() == 99 - 12
    assert not np.isnan(after.values).any()


@pytest.mark.parametrize("other", [ending(-1), ending(300), ending(1, 400), Grid(NOW_S - 3600 * 24, 600, 145)])
def test_another_grid_is_asked_for_as_a_whole(other: Grid) -> None:
    store = Store({"a": steady(-400, 400)})
    past = Past(store)
    past.range("up", ending(0), by_name)

    past.range("up", other, by_name)

    assert store.asked[-1] == other


def test_queries_are_kept_apart() -> None:
    store = Store({"a": steady(-288, 0)})
    past = Past(store)

    past.range("up", ending(0), by_name)
    past.range("down", ending(0), by_name)

    assert store.asked == [ending(0), ending(0)]


def test_a_failure_forgets_nothing() -> None:
    def fails(promql: str, grid: Grid, row: Row) -> Table:
        raise PrometheusError("down")

    store = Store({"a": steady(-288, 99)})
    kept = Past(store)
    kept.range("up", ending(0), by_name)
    with pytest.raises(PrometheusError):
        Past(fails, kept.kept).range("up", ending(1), by_name)

    assert rows(kept.range("up", ending(2), by_name)) == {("a",): [8.0] * COUNT}
    assert store.asked[-1].count == 15


@pytest.mark.parametrize("cluster", ["full", "no-pending", "stale", "pods"])
def test_a_reader_of_many_readings_sees_what_a_fresh_one_sees(
    reader_of: Callable[..., PrometheusReader], cluster: str
) -> None:
    reader = reader_of(cluster)

    for minutes in (200, 130, 47, 46, 1):
        reader.read(NOW - timedelta(minutes=minutes))
    seen, fresh = reader.read(NOW), reader_of(cluster).read(NOW)

    assert seen.history.lines == fresh.history.lines
    np.testing.assert_array_equal(seen.history.times, fresh.history.times)
    np.testing.assert_array_equal(seen.history.running, fresh.history.running)
    np.testing.assert_array_equal(seen.history.pending, fresh.history.pending)
    assert (seen.newest, seen.age, seen.notes) == (fresh.newest, fresh.age, fresh.notes)
