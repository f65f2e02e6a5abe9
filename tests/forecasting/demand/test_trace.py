"""Traces as people have them: read as they are meant, or refused with the reason and what to do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.demand.counters import rises
from forecasting.demand.trace import read_trace
from gyropilot.domain import Line
from tests.forecasting.demand.written import csv, demand, refusal, table

GPU = "nvidia.com/gpu"
NAN = float("nan")


def test_demand_is_what_runs_and_what_waits(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        """timestamp,queue,running_gpus,pending_gpus,capacity_gpus
        2026-03-02T12:00:00Z,b,8,1,64
        2026-03-02T12:05:00Z,b,16,0,64
        2026-03-02T12:00:00Z,a,4,0,64
        2026-03-02T12:05:00Z,a,4,2,64""",
    )

    trace = read_trace(path)

    assert trace.history.lines == (Line("a", GPU), Line("b", GPU))
    assert demand(trace) == {"a": [4.0, 6.0], "b": [9.0, 16.0]}
    assert trace.history.pending.tolist() == [[0.0, 2.0], [1.0, 0.0]]
    assert trace.history.step == timedelta(minutes=5)
    assert trace.history.end == datetime(2026, 3, 2, 12, 5, tzinfo=UTC)
    assert trace.notes == ()


def test_parquet_is_known_by_its_first_bytes_not_by_its_name(tmp_path: Path) -> None:
    path = table(tmp_path, t_s=[0, 60], demand_gpus=[1.0, 2.0]).rename(tmp_path / "trace.data")

    trace = read_trace(path)

    assert demand(trace) == {"all": [1.0, 2.0]}
    assert trace.notes == ("the trace has no dates: its times are shown as if t_s = 0 were 1970-01-01 00:00 UTC",)


def test_a_missing_row_and_an_empty_cell_are_not_zero(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        """t_s,queue,demand_gpus
        0,a,1
        60,a,
        180,a,4
        0,b,5
        60,b,6
        120,b,7
        180,b,8""",
    )

    trace = read_trace(path)

    assert np.array_equal(trace.history.demand, [[1.0, NAN, NAN, 4.0], [5.0, 6.0, 7.0, 8.0]], equal_nan=True)
    assert trace.notes[-1] == (
        "2 of 8 readings (25 %) are missing, most of them of queue a: not seen, which is not zero"
    )


def test_pending_that_was_never_recorded_counts_as_none_and_is_said(tmp_path: Path) -> None:
    path = csv(
        tmp_path,
        """t_s,queue,running_gpus,pending_gpus
        0,a,1,
        60,a,2,
        0,b,5,3
        60,b,6,""",
    )

    trace = read_trace(path)

    assert np.array_equal(trace.history.demand, [[1.0, 2.0], [8.0, NAN]], equal_nan=True)
    assert trace.notes[1] == (
        "pending_gpus is not recorded for 1 of 2 queues: demand is what ran, a lower bound of what was wanted"
    )


def test_running_alone_is_taken_and_said(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path, "t_s,running_gpus\n0,1\n60,2"))

    assert demand(trace) == {"all": [1.0, 2.0]}
    assert trace.notes[1].startswith("pending_gpus is not recorded: demand is what ran")


def test_any_column_can_be_forecast(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path, "t_s,queue,requests\n0,api,100\n3600,api,120"), "requests")

    assert trace.history.lines == (Line("api", "requests"),)
    assert demand(trace) == {"api": [100.0, 120.0]}


def test_queues_may_be_numbers_and_rows_in_any_order(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path, "t_s,queue,demand_gpus\n60,7,2\n0,7,1"))

    assert demand(trace) == {"7": [1.0, 2.0]}
    assert "rows were not in order of time; they were sorted" in trace.notes


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", " is empty; a trace has one row per queue and moment"),
        ("t_s,demand_gpus", " holds no rows; a trace has one row per queue and moment"),
        ("t_s,demand_gpus\n0,1", " tells one moment only; a forecast needs a history of at least two"),
        (
            "time,demand_gpus\n0,1\n60,2",
            " does not say when: it has no column timestamp and no t_s (seconds), or they are empty; it has time, "
            "demand_gpus",
        ),
        (
            "t_s,nodes,kind\n0,1,x\n60,2,x",
            " tells no demand: running_gpus (with pending_gpus) and demand_gpus are not there, or empty; name what is "
            "to be forecast with --column: nodes",
        ),
        (
            "t_s,demand_gpus\n0,1\n60,many",
            ": demand_gpus is 'many' in data row 2, which is no number; leave it empty where nothing was seen",
        ),
        (
            "t_s,demand_gpus\n0,1\n60,inf",
            ": demand_gpus is inf in data row 2, which is no number; leave it empty where nothing was seen",
        ),
        (
            "t_s;demand_gpus\n0;1\n60;2",
            " seems to part its columns with a semicolon: it has one column, 't_s;demand_gpus'; part them with commas",
        ),
        (
            "t_s,demand_gpus\n0,1\n60,-2",
            ": demand_gpus is -2 in data row 2, and 1 time below zero; demand is zero or more, and empty where it was "
            "not seen",
        ),
        (
            "t_s,queue,demand_gpus\n0,a,\n60,a,",
            " tells no demand: running_gpus (with pending_gpus) and demand_gpus are not there, or empty; name what is "
            "to be forecast with --column: none of its columns holds numbers",
        ),
        (
            "t_s,queue,demand_gpus\n0,a,1\n60,a,2\n60,a,3",
            ": 1 row is there twice, the first queue a at 1970-01-01 00:01:00; keep one row per queue and moment "
            "(add up what is told apart by another column; take UTC where clocks go back)",
        ),
        (
            "t_s,demand_gpus\n0,1\n60,2\n120,2\n185,3\n240,3",
            " is irregular: most readings are 60 s apart, and 1 of 5 do not fit, the first queue all at 1970-01-01 "
            "00:03:05; resample it to a regular step, e.g. in pandas with resample('60s').last() per queue",
        ),
        (
            "t_s,demand_gpus\n0,1\n,2",
            ": t_s is empty in 1 row, the first is data row 2; fill them in, or drop those rows",
        ),
        (
            "timestamp,demand_gpus\n2026-03-02,1\nyesterday,2",
            ": timestamp is 'yesterday' in data row 2; it takes ISO 8601 such as 2026-03-02T12:00:00Z, or seconds "
            "since 1970",
        ),
        (
            "timestamp,demand_gpus\n1772452800000,1\n1772452860000,2",
            ": timestamp is 1772452860000, too many seconds since 1970; are they milliseconds? Divide them, or write "
            "dates",
        ),
        (
            "t_s,queue,demand_gpus\n0,a,1\n60,,2",
            ": 1 row names no queue, the first is data row 2; fill them in, or leave the column out where all rows are "
            "one series",
        ),
        (
            "t_s,demand_gpus\n0,1\n60,2\n120,3\n60000000000,4",
            " spans 1970-01-01 00:00:00 to 3871-04-29 10:40:00 in steps of 60 s: 1000000001 steps of 1 queues are too "
            "many; check for a stray timestamp, or resample it to a longer step",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(tmp_path: Path, text: str, sentence: str) -> None:
    assert refusal(csv(tmp_path, text)) == sentence


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    path = csv(tmp_path, "t_s,queue,requests,tokens\n0,a,1,2\n60,a,2,3")

    assert refusal(path, "request") == " has no column request; --column takes one of requests, tokens"


def test_a_column_of_something_else_than_numbers_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, t_s=[0, 60], spans=[[1], [2]])

    assert refusal(path, "spans").startswith(": spans holds list<")


def test_a_column_called_nearly_queue_is_not_passed_over(tmp_path: Path) -> None:
    path = csv(tmp_path, "t_s,Queue,demand_gpus\n0,a,1\n0,b,2\n60,a,1\n60,b,2")

    assert refusal(path) == (
        " has a column Queue and none called queue, so that all rows would be one series; call it queue if that is "
        "meant, else leave it out"
    )


def test_numbers_under_a_name_like_queue_are_no_names_of_queues(tmp_path: Path) -> None:
    path = csv(tmp_path, "t_s,queued,demand_gpus\n0,3,1\n60,4,1")

    assert demand(read_trace(path)) == {"all": [1.0, 1.0]}


def test_other_columns_that_are_called_nearly_right_are_named(tmp_path: Path) -> None:
    late = csv(tmp_path, "Timestamp,demand_gpus\n2026-03-02T12:00Z,1")
    assert refusal(late).endswith("; call its Timestamp timestamp, if that is what it tells")

    other = csv(tmp_path, "t_s,demand_gpu\n0,1\n60,1")
    assert refusal(other).endswith("; call its demand_gpu demand_gpus, if that is what it tells")


def test_words_that_stand_for_nothing_are_counted_and_empty_cells_are_not(tmp_path: Path) -> None:
    path = csv(tmp_path, "t_s,demand_gpus\n0,1\n60,n/a\n120,NULL\n180,\n240,n/a\n300,2")

    trace = read_trace(path)

    assert trace.notes[1] == "3 cells of demand_gpus hold NULL, n/a: taken as not seen"


def test_a_word_that_stands_for_nothing_is_not_blamed_for_a_number_that_is_none(tmp_path: Path) -> None:
    path = csv(tmp_path, 't_s,running_gpus\n0,1\n60,n/a\n120,2\n180,"1,5"\n240,3')

    assert refusal(path) == (
        ": running_gpus is '1,5' in data row 4, which is no number; leave it empty where nothing was seen"
    )


def test_words_that_stand_for_nothing_may_have_blanks_around_them(tmp_path: Path) -> None:
    trace = read_trace(csv(tmp_path, "t_s,demand_gpus\n0,1\n60, n/a \n120,2"))

    assert np.array_equal(trace.history.demand, [[1.0, NAN, 2.0]], equal_nan=True)
    assert trace.notes[1].startswith("1 cell of demand_gpus holds")


def test_a_number_that_only_python_reads_is_named_as_none(tmp_path: Path) -> None:
    assert ": demand_gpus is '1_000' in data row 2," in refusal(csv(tmp_path, "t_s,demand_gpus\n0,1\n60,1_000"))


@pytest.mark.parametrize(
    ("missing_of_b", "named"),
    [([], ", most of them of queue a"), ([60], ""), ([60, 120], ", most of them of queue b")],
)
def test_a_queue_is_named_only_where_more_than_half_of_what_is_missing_is_its(
    tmp_path: Path, missing_of_b: list[int], named: str
) -> None:
    rows = [(at, queue) for queue in "ab" for at in range(0, 240, 60)]
    seen = [row for row in rows if row != (60, "a") and row not in [(at, "b") for at in missing_of_b]]

    trace = read_trace(csv(tmp_path, "\n".join(["t_s,queue,demand_gpus", *(f"{at},{of},1" for at, of in seen)])))

    assert trace.notes[-1].endswith(f" %) are missing{named}: not seen, which is not zero")


def counts(folder: Path, name: str, values: list[float]) -> Path:
    return table(folder, t_s=[60 * nth for nth in range(len(values))], **{name: values})


def test_of_a_counter_what_it_rises_by_is_forecast_whenever_it_began_anew(tmp_path: Path) -> None:
    since_start = [float(7 * nth) for nth in range(40)]

    trace = read_trace(counts(tmp_path, "requests_total", [*since_start, 3.0, *since_start[1:]]), "requests_total")

    assert trace.history.times.tolist() == [60 * nth for nth in range(1, 80)]
    assert trace.history.running.tolist() == [[*[7.0] * 39, 3.0, 4.0, *[7.0] * 38]]
    assert trace.notes[1:] == (
        "requests_total is a counter: what it rises by in each step is forecast, counted from zero where it began "
        "anew (1 time)",
    )


@given(
    steps=st.lists(st.integers(1, 1000), min_size=30, max_size=60),
    began=st.sets(st.integers(13, 59), max_size=1),
    unseen=st.sets(st.integers(0, 59), max_size=3),
)
def test_resets_lose_no_rise_and_what_is_not_seen_is_made_up_nowhere(
    steps: list[int], began: set[int], unseen: set[int]
) -> None:
    counter: list[float] = []
    for nth, step in enumerate(steps):
        counter.append(step + (counter[-1] if counter and nth not in began else 0.0))
    read = np.array([np.nan if nth in unseen else value for nth, value in enumerate(counter)])

    found = rises(read[None])[0]

    for nth, step in enumerate(steps[1:], start=1):
        if {nth - 1, nth} & unseen:
            assert np.isnan(found[nth - 1])
        elif (
            nth not in began or read[nth] < read[nth - 1]
        ):  # a process that counts quicker than it is read hides its start
            assert found[nth - 1] == step


def test_what_only_rises_under_a_name_of_its_own_is_forecast_with_a_note(tmp_path: Path) -> None:
    trace = read_trace(counts(tmp_path, "requests", [float(nth) for nth in range(48)]), "requests")

    assert trace.notes[1] == (
        "requests never falls but to near zero: if it is a counter, its forecast means nothing; call it "
        "requests_total, and it is forecast by how much it rises in each step"
    )


@pytest.mark.parametrize(
    "values",
    [
        [*range(48), 40],  # a gauge that falls a little
        [0, 5] * 30,  # comes and goes
        [*range(1, 9), 0] * 10,  # fills, and is emptied at once
        [3] * 60,  # stays
        [1, 2, 3],  # too short to tell
    ],
)
def test_gauges_are_not_taken_for_counters_whatever_they_are_called(tmp_path: Path, values: list[int]) -> None:
    trace = read_trace(counts(tmp_path, "slots_total", [float(value) for value in values]), "slots_total")

    assert len(trace.notes) == 1
