"""When the rows of a trace are, however that is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from forecasting.demand.trace import read_trace
from tests.forecasting.demand.written import csv, refusal, table


@pytest.mark.parametrize(
    "stamps",
    [
        ["2026-03-02T12:00:00Z", "2026-03-02T12:01:00Z"],
        ["2026-03-02 13:00+01:00", "2026-03-02 13:01+01:00"],
        ["2026-03-02 12:00", "2026-03-02 12:01"],
        [datetime(2026, 3, 2, 12, 0), datetime(2026, 3, 2, 12, 1)],  # noqa: DTZ001 - as most files have them
        [datetime(2026, 3, 2, 12, 0, tzinfo=UTC), datetime(2026, 3, 2, 12, 1, tzinfo=UTC)],
        [1_772_452_800, 1_772_452_860],
    ],
)
def test_times_are_utc_however_they_are_told(tmp_path: Path, stamps: list[Any]) -> None:
    trace = read_trace(table(tmp_path, timestamp=stamps, demand_gpus=[1, 2]))

    assert trace.history.times.tolist() == [1_772_452_800, 1_772_452_860]


def test_an_empty_timestamp_leaves_the_time_to_t_s(tmp_path: Path) -> None:
    empty = pa.array([None, None], pa.timestamp("us"))

    trace = read_trace(table(tmp_path, timestamp=empty, t_s=[600.0, 1200.0], demand_gpus=[1, 2]))

    assert trace.history.times.tolist() == [600, 1200]


@pytest.mark.parametrize(("unit", "per_second"), [("milli", 10**3), ("micro", 10**6), ("nano", 10**9)])
def test_seconds_that_are_told_in_another_unit_are_refused_with_its_name(
    tmp_path: Path, unit: str, per_second: int
) -> None:
    stamps = [1_772_452_800 * per_second + 1, 1_772_452_860 * per_second]

    said = refusal(table(tmp_path, timestamp=stamps, demand_gpus=[1, 2]))

    assert said.startswith(": timestamp is 17724528")
    assert said.endswith(f", too many seconds since 1970; are they {unit}seconds? Divide them, or write dates")


def test_a_time_of_another_kind_is_not_to_be_looked_for_with_column(tmp_path: Path) -> None:
    path = table(tmp_path, timestamp=[[1], [2]], demand_gpus=[1, 2])

    assert refusal(path).endswith(", not numbers; write dates, or seconds since 1970")


def test_rows_with_a_zone_and_rows_without_are_not_mixed(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        """timestamp,demand_gpus
        2026-03-02T12:00:00+00:00,1
        2026-03-02T12:05:00+00:00,1
        2026-03-02T12:10:00,1""",
    )

    assert refusal(path) == (
        ": timestamp tells a zone in some rows and none in 1 of 3, the first is data row 3 (2026-03-02T12:10:00); "
        "write it in all of them, such as +00:00, or in none"
    )


@pytest.mark.parametrize(
    ("left_out", "zone", "said"),
    [
        (("2026-03-29 02",), "", True),  # a Sunday
        (("2026-03-29 02",), "Z", False),
        (("2026-03-29 02", "2026-03-29 03"), "", False),  # two hours
        (("2026-03-30 02",), "", False),
        (("2026-03-29 12",), "", False),
    ],
)
def test_an_hour_that_is_missing_where_clocks_go_forward_is_pointed_out(
    tmp_path: Path, left_out: tuple[str, ...], zone: str, said: bool
) -> None:
    begin = datetime(2026, 3, 28, tzinfo=UTC)
    moments = [f"{begin + timedelta(minutes=20 * nth):%Y-%m-%d %H:%M}" for nth in range(240)]
    rows = [f"{each}{zone},{of},1" for of in "ab" for each in moments if not each.startswith(left_out)]

    notes = read_trace(csv(tmp_path, "\n".join(["timestamp,queue,demand_gpus", *rows]))).notes

    hint = (
        "no queue has a reading in the hour from 2026-03-29 02:00:00 on: if clocks go forward there, its times are "
        "local; take UTC"
    )
    assert (hint in notes) is said


@pytest.mark.parametrize(
    ("stamps", "said"),
    [
        (["2026-03-02 12:00", "2026-03-02 12:01"], True),
        (["2026-03-02 12:00Z", "2026-03-02 12:01+00:00"], False),
        ([datetime(2026, 3, 2, 12, 0), datetime(2026, 3, 2, 12, 1)], True),  # noqa: DTZ001 - that is what is told
        ([datetime(2026, 3, 2, 12, 0, tzinfo=UTC), datetime(2026, 3, 2, 12, 1, tzinfo=UTC)], False),
        ([1772452800, 1772452860], False),
    ],
)
def test_that_moments_without_a_zone_are_taken_as_utc_is_said(tmp_path: Path, stamps: list[Any], said: bool) -> None:
    trace = read_trace(table(tmp_path, timestamp=stamps, demand_gpus=[1.0, 2.0]))

    assert trace.notes == (("timestamp tells no zone: taken as UTC",) if said else ())
