"""Range answers are read as a plain reading of the same JSON would read them, only faster."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gyropilot.prometheus.series import Grid, Key, Labels, ShapeError, Table, read_matrix

START, STEP, COUNT = 1_772_366_400, 300, 40
GRID = Grid(START, STEP, COUNT)

Samples = dict[int, str]  # column -> value as Prometheus writes it


def by_name(labels: Labels) -> Key:
    return (labels["name"],)


def answer(series: Iterable[tuple[Labels, Samples]], compact: bool = True, **more: Any) -> bytes:
    """As Prometheus writes it, or with spaces."""
    result = [
        {"metric": labels, "values": [[START + column * STEP, value] for column, value in samples.items()]}
        for labels, samples in series
    ]
    body = {"status": "success", "data": {"resultType": "matrix", "result": result}, **more}
    return json.dumps(body, separators=(",", ":") if compact else None, ensure_ascii=False).encode()


def blocks(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def read(body: bytes, size: int = 1 << 16) -> Table:
    table = Table(GRID, by_name, rows=1)
    read_matrix(blocks(body, size), STEP, table.put)
    return table


def naively(body: bytes) -> dict[str, list[float]]:
    rows: dict[str, list[float]] = {}
    for series in json.loads(body)["data"]["result"]:
        row = rows.setdefault(series["metric"]["name"], [math.nan] * COUNT)
        for second, text in series["values"]:
            row[(second - START) // STEP] = float(text)
    return rows


numbers = st.one_of(
    st.integers(0, 10**9).map(str),
    st.floats(allow_nan=False).map(repr),
    st.sampled_from(["NaN", "+Inf", "-Inf", "-0", "1e+06", "2.5e-07", "0.1", "007", "9007199254740993"]),
)
samples = st.dictionaries(st.integers(0, COUNT - 1), numbers, min_size=1).map(lambda d: dict(sorted(d.items())))
names = st.one_of(st.text(), st.sampled_from(['"]]}', ',"values":[[', '"result":[', "\\", "é\u2028", "]}"]))
many_series = st.dictionaries(names, samples, max_size=6)


@settings(deadline=None)  # the machine may be busy
@given(many_series, st.integers(1, 300), st.booleans())
def test_reads_what_a_plain_reading_reads(series: dict[str, Samples], size: int, compact: bool) -> None:
    body = answer([({"name": name, "resource": '"]]}'}, values) for name, values in series.items()], compact)

    table = read(body, size)

    expected = naively(body)
    assert [name for (name,) in table.keys] == list(expected)
    for row, name in enumerate(expected):
        np.testing.assert_array_equal(table.values[row], expected[name])


def test_knows_absent_from_zero() -> None:
    table = read(answer([({"name": "a"}, {0: "0", 3: "8"})]))

    assert table.values[0, :4].tolist()[0] == 0.0
    assert np.isnan(table.values[0, 1:3]).all()
    assert table.values[0, 3] == 8.0


def test_keeps_what_is_not_a_number_apart_from_what_is() -> None:
    table = read(answer([({"name": "a"}, {0: "NaN", 1: "+Inf", 2: "-Inf", 3: "12.25", 4: "123456789"})]))

    np.testing.assert_array_equal(table.values[0, :5], [np.nan, np.inf, -np.inf, 12.25, 123456789.0])


def test_takes_the_largest_of_replicas() -> None:
    leader = {"name": "a", "replica_role": "leader"}, {0: "8", 1: "16", 2: "16"}
    follower = {"name": "a", "replica_role": "follower"}, {0: "8", 1: "8", 3: "24"}

    table = read(answer([leader, follower]))

    assert len(table.keys) == 1
    np.testing.assert_array_equal(table.values[0, :4], [8, 16, 16, 24])


def test_makes_room_for_more_rows_than_expected() -> None:
    table = read(answer([({"name": str(i)}, {i: str(i)}) for i in range(9)]))

    assert table.values.shape == (9, COUNT)
    assert [table.values[i, i] for i in range(9)] == list(range(9))


def test_returns_the_rest_of_the_answer() -> None:
    body = answer([({"name": "a"}, {0: "1"})], warnings=["store down"])

    rest = read_matrix(blocks(body, 7), STEP, Table(GRID, by_name).put)

    assert rest["warnings"] == ["store down"]
    assert rest["data"]["result"] == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>login</html>",
        b'["status"]',
        b'{"status": "error", "error": "out of memory"}',
        b'{"status": "success", "data": null}',
        b'{"status": "success", "data": {"resultType": "matrix", "result": null}}',
        answer([({"name": "a"}, {0: "1", 1: "2"})])[:-30],
        answer([({"name": "a"}, {COUNT: "1"})]),
        answer([({"name": "a"}, {0: "1"})]).replace(b"1772366400", b"1772366401"),
        b'{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"histograms":[]}]}}',
        b'{"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}}]}}',
        answer([({"name": "a"}, {0: ""})]),
        answer([({"name": "a"}, {0: "many"})]),
    ],
    ids=[
        *(
            "empty",
            "page",
            "list",
            "error",
            "no data",
            "no result",
            "broken off",
            "past the grid",
            "off the grid",
            "histograms",
            "no values",
        ),
        *("no number", "a word"),
    ],
)
def test_refuses_what_is_no_range_answer(body: bytes) -> None:
    with pytest.raises(ShapeError):
        read(body)


def test_a_grid_ends_at_the_newest_multiple_of_its_step() -> None:
    grid = Grid.ending(datetime(2026, 3, 2, 12, 4, 59, tzinfo=UTC), timedelta(days=28), timedelta(minutes=5))

    assert datetime.fromtimestamp(grid.end_s, UTC) == datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    assert grid.count == 8064
    assert grid.times[-1] == grid.end_s


@settings(deadline=None)  # the machine may be busy
@given(st.integers(1, 500), st.integers(1, 600))
def test_parts_of_a_grid_hold_each_moment_once(count: int, points: int) -> None:
    grid = Grid(START, STEP, count)

    parts = list(grid.split(points))

    assert np.concatenate([part.times for part in parts]).tolist() == grid.times.tolist()
    assert all(part.count <= points for part in parts)
