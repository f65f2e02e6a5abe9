"""Jobs from files: what is read, what is left out and said, what is refused."""

import gzip
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from envs.job_file import read_jobs
from envs.table_file import write_table
from envs.workloads import ENDINGS, KINDS, Ending, parts_of
from gyropilot.errors import SettingsError

NOTHING: Mapping[str, list[Any]] = {}
ROWS: Mapping[str, list[Any]] = {
    "job_id": ["c", "a", "b"],
    "queue": ["vision", "nlp", "nlp"],
    "submit_s": [20.0, 0.0, 10.0],
    "duration_s": [5.0, 100.0, 50.0],
    "gpus": [8, 1, 2],
}
SWF = """; Version: 2.2
; Computer: Example
1 0 3 100 4 -1 -1 8 -1 -1 1 7 -1 -1 2 -1 -1 -1
2 5 -1 50 4 -1 -1 -1 -1 -1 1 -1 -1 -1 -1 -1 -1 -1

3 6 -1 -1 4 -1 -1 4 -1 -1 5 7 -1 -1 2 -1 -1 -1
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_is_read_in_order_of_submission(kind: str, tmp_path: Path) -> None:
    found = read_jobs(written(tmp_path, suffix=kind))

    assert found.ids.tolist() == ["a", "b", "c"]
    assert found.table.queues == ("nlp", "vision")
    assert found.table.queue.tolist() == [0, 0, 1]
    assert found.table.submit_s.tolist() == [0.0, 10.0, 20.0]
    assert found.table.gpus.tolist() == [1, 2, 8]
    assert found.notes == ()


def test_what_is_not_told_is_one_queue_of_training_jobs_without_checkpoints(tmp_path: Path) -> None:
    found = read_jobs(written(tmp_path, without=("job_id", "queue")))

    assert found.ids.tolist() == ["2", "3", "1"]
    assert found.table.queues == ("all",)
    assert {KINDS[kind].value for kind in found.table.kind} == {"training"}
    assert found.table.checkpoint_s.tolist() == [float("inf")] * 3


def test_priority_user_kind_and_checkpoints_are_read_where_they_are_told(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "priority": [0, 5, 0],
            "user": ["u", "v", "u"],
            "kind": ["sweep", "batch", None],
            "checkpoint_s": [60, None, 30],
        },
    )

    table = read_jobs(path).table

    assert table.priority.tolist() == [5, 0, 0]
    assert table.user.tolist() == [1, 0, 0]
    assert [KINDS[kind].value for kind in table.kind] == ["batch", "training", "sweep"]
    assert table.checkpoint_s.tolist() == [float("inf"), 30.0, 60.0]


def test_when_jobs_leave_and_are_due_is_read_where_it_is_told(tmp_path: Path) -> None:
    table = read_jobs(
        written(tmp_path, {"leaves_s": [30, None, 0], "deadline_s": [None, 900, 60], "data_gb": [8, None, 1]})
    ).table

    assert table.leaves_s.tolist() == [float("inf"), 0.0, 30.0]
    assert table.deadline_s.tolist() == [900.0, 60.0, float("inf")]
    assert table.data_gb.tolist() == [0.0, 1.0, 8.0]


def test_what_a_restart_costs_is_read_where_it_is_told(tmp_path: Path) -> None:
    table = read_jobs(written(tmp_path, {"restart_s": [30, None, 0]})).table

    assert table.restart_s[1:].tolist() == [0.0, 30.0]
    assert np.isnan(table.restart_s[0])


def test_a_restart_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="restart_s is inf in data row 2; give zero or more"):
        read_jobs(written(tmp_path, {"restart_s": [8, float("inf"), 1]}))


def test_data_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="data_gb is inf in data row 2; give zero or more"):
        read_jobs(written(tmp_path, {"data_gb": [8, float("inf"), 1]}))


def test_jobs_that_did_not_run_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    found = read_jobs(written(tmp_path, {"duration_s": [None, 100.0, 50.0], "gpus": [8, 0, 2]}))

    assert found.ids.tolist() == ["b"]
    assert found.notes == (
        "1 job is left out: when they came, how long they ran or on what is not told",
        "1 job is left out: they took no GPUs",
    )


@pytest.mark.parametrize("name", ["log.swf", "log.swf.gz"])
def test_the_standard_workload_format_is_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(SWF.encode()) if name.endswith("gz") else SWF.encode())

    found = read_jobs(path)

    assert found.ids.tolist() == ["1", "2"]
    assert found.table.gpus.tolist() == [8, 4]  # asked for; used where nothing was asked for
    assert found.table.duration_s.tolist() == [100.0, 50.0]
    assert [found.table.queues[queue] for queue in found.table.queue] == ["queue-2", "queue--1"]
    assert found.notes[0].startswith("1 job is left out")


def test_the_standard_workload_format_tells_how_jobs_ended_and_no_stretch_of_one_is_a_job(tmp_path: Path) -> None:
    rows = [
        f"{nth} {nth} 0 100 4 -1 -1 4 -1 -1 {state} 7 -1 -1 2 -1 -1 -1" for nth, state in enumerate((0, 1, 5, 2, 3))
    ]
    path = tmp_path / "log.swf"
    path.write_text("\n".join(rows))

    found = read_jobs(path)

    assert found.ids.tolist() == ["0", "1", "2"]
    assert [ENDINGS[at] for at in found.table.ending] == [Ending.FAILED, Ending.PASSED, Ending.KILLED]
    assert found.notes == ("2 rows left out: stretches of jobs that are there as a whole",)


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"gpus": ["8", "many", "2"]}, "gpus is 'many' in data row 2, which is no number"),
        ({"gpus": [8, 0.37, 0.143]}, r"gpus is 0.37 in data row 2, and with the others no multiple of a 100th"),
        ({"min_gpus": [4, 2, None]}, "min_gpus is 2 in data row 2; it runs on 1 GPUs, so give more than 0 and no more"),
        ({"min_gpus": [4, None, 0]}, "min_gpus is 0 in data row 3"),
        ({"max_gpus": [8, 2, 1]}, "max_gpus is 1 in data row 3; it runs on 2 GPUs, so give that and more, or nothing"),
        ({"scaling": [1, 1.2, None]}, "scaling is 1.2 in data row 2; give more than 0 and up to 1"),
        ({"gpus": [8, 1, 0.011], "min_gpus": [0.017, None, None]}, "min_gpus and max_gpus are together no multiples"),
        ({"gpus": [8, 1, -2]}, "gpus is -2 in data row 3; give zero or more, or nothing"),
        ({"duration_s": [-5, 1, 2]}, "duration_s is -5 in data row 1; give zero or more, or nothing"),
        ({"leaves_s": [30, -1, None]}, "leaves_s is -1 in data row 2; give zero or more, or nothing"),
        ({"kind": ["sweep", "sweeping", None]}, "kind 'sweeping' is none of training, fine-tuning"),
        (
            {"submit_s": ["2026-01-01", 0, 1]},
            "submit_s is '2026-01-01' in data row 1, which is no number; give seconds",
        ),
        ({"submit_s": [1.7e12, 1.7e12, 1.7e12]}, "submit_s is 1.7e.12 in data row 1; .* it looks like milliseconds"),
        ({"deadline_s": [None, 1.7e9, None]}, "that is over thirty years; give seconds after the submission"),
        ({"gpus": [1e30, 1, 1]}, "gpus is 1e.30 in data row 1; give a number of GPUs, up to ten million"),
        ({"priority": [1, 0.5, 0]}, "priority is 0.5 in data row 2; give whole numbers"),
        ({"duration_s": [None, None, None]}, "holds no job that ran: 3 jobs are left out"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(columns: dict[str, list[Any]], why: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=why):
        read_jobs(written(tmp_path, columns))


def test_an_elastic_job_asks_for_the_most_and_its_duration_is_of_that_size(tmp_path: Path) -> None:
    columns: Mapping[str, list[Any]] = {
        "gpus": [8, 4, 2],
        "min_gpus": [None, 2, None],
        "max_gpus": [None, 16, 4],
        "scaling": [0.7, 0.5, None],
        "checkpoint_s": [60, 40, None],
    }

    table = read_jobs(written(tmp_path, columns)).table  # a, b, c

    assert table.gpus.tolist() == [16, 4, 8]
    assert table.least_gpus.tolist() == [2, 2, 8]
    assert table.scaling.tolist() == [0.5, 1.0, 0.7]
    assert table.duration_s.tolist() == [100.0 / 2, 50.0 / 2, 5.0]  # 4 ** 0.5 and 2 times as fast
    assert table.checkpoint_s.tolist() == [20.0, float("inf"), 60.0]


def test_ranges_may_be_of_parts_of_gpus(tmp_path: Path) -> None:
    table = read_jobs(written(tmp_path, {"gpus": [0.143, 1, 2], "min_gpus": [0.143, None, 0.571]})).table

    assert table.gpus.tolist() == pytest.approx([1, 2, 1 / 7])
    assert table.least_gpus.tolist() == pytest.approx([1, 4 / 7, 1 / 7])


def test_elastic_jobs_are_written_as_they_are_read(tmp_path: Path) -> None:
    columns: Mapping[str, list[Any]] = {"gpus": [8, 4, 2], "min_gpus": [4, 2, None], "scaling": [0.7, None, None]}
    table = read_jobs(written(tmp_path, columns)).table

    write_table(table, tmp_path / "again.csv")
    again = read_jobs(tmp_path / "again.csv").table

    assert again.gpus.tolist() == table.gpus.tolist()
    assert again.least_gpus.tolist() == table.least_gpus.tolist() == [2, 2, 4]
    assert again.scaling.tolist() == table.scaling.tolist() == [1.0, 1.0, 0.7]


def test_missing_columns_are_named_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no column duration_s, gpus; .*this one has job_id, queue, submit_s"):
        read_jobs(written(tmp_path, without=("duration_s", "gpus")))


def test_a_missing_column_that_is_called_almost_so_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"no column gpus; .*; call its gpu gpus, if that is what it tells"):
        read_jobs(written(tmp_path, {"gpu": [8, 1, 2]}, without=("gpus",)))


@pytest.mark.parametrize(
    ("column", "meant"), [("prioritty", "priority"), ("Priority", "priority"), ("deadline", "deadline_s")]
)
def test_a_mistyped_column_is_refused_with_the_name_that_was_meant(column: str, meant: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=f"has a column {column}, which nothing reads; call it {meant} if that"):
        read_jobs(written(tmp_path, {column: [1, 2, 3]}))


def test_columns_that_mean_nothing_are_noted_once_and_those_of_public_traces_are_not(tmp_path: Path) -> None:
    known: Mapping[str, list[Any]] = {"submit_ts": [1, 2, 3], "gpu_type": ["a", "b", "c"], "max_cpus": [1, 2, 3]}
    columns: Mapping[str, list[Any]] = {"colour": [1, 2, 3], "rack": [1, 2, 3], **known}

    assert read_jobs(written(tmp_path, columns)).notes == ("nothing reads columns colour, rack",)
    assert read_jobs(written(tmp_path, {"priority": [1, 2, 3], "priorities": [1, 2, 3]})).notes == (
        "nothing reads column priorities",
    )


def test_jobs_of_one_name_are_noted(tmp_path: Path) -> None:
    found = read_jobs(written(tmp_path, {"job_id": ["a", "b", "a"]}))

    assert found.notes == ("2 jobs have the job_id of another, such as a; each is run",)


def test_a_comma_at_the_end_of_each_line_moves_no_column(tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text("submit_s, duration_s ,gpus\n1,20,4,\n2,30,8,\n")

    assert read_jobs(path).table.gpus.tolist() == [4, 8]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty; give a parquet, CSV or SWF file of jobs"),
        ("submit_s;duration_s;gpus\n1;2;3\n", "parts its columns by semicolons; part them by commas"),
        ("submit_s,duration_s,gpus\n1,2,3,4\n", "its rows have more cells than its first line has names"),
    ],
)
def test_a_csv_that_would_be_misread_is_refused(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "jobs.csv"
    path.write_text(text)

    with pytest.raises(SettingsError, match=why):
        read_jobs(path)


@pytest.mark.parametrize(
    ("gpus", "row"),
    [
        ([0.5, 0.25, 0.00371], 3),  # which is no part of a GPU even alone
        ([0.143, 0.37, 0.143], 2),  # two are sevenths
        ([0.37, 0.143, 0.37], 2),
    ],
)
def test_of_amounts_that_do_not_go_together_the_one_that_spoils_it_is_named(
    gpus: list[float], row: int, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=rf"gpus is {gpus[row - 1]} in data row {row}, and with the others"):
        read_jobs(written(tmp_path, {"gpus": gpus}))


def test_the_row_is_that_of_the_file_where_jobs_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gpus is 0\.37 in data row 2"):
        read_jobs(
            written(tmp_path, {"gpus": [0.00371, 0.37, 0.143], "duration_s": [None, 100.0, 50.0], "queue": ["q"] * 3})
        )


def test_a_file_that_is_not_there_or_no_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "image.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "short.swf").write_text("1 2 3\n")

    for name, why in (("absent.csv", "No such file"), ("image.parquet", "cut off"), ("short.swf", "line 1: 3 fields")):
        with pytest.raises(SettingsError, match=why):
            read_jobs(tmp_path / name)


@pytest.mark.parametrize("kept", [4, 9, -20])
def test_a_parquet_file_that_is_cut_off_is_called_so(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path, suffix="parquet")
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(SettingsError, match="is parquet that is cut off: its end is missing; write or copy it again"):
        read_jobs(path)


def written(
    folder: Path, columns: Mapping[str, list[Any]] = NOTHING, *, suffix: str = "csv", without: Collection[str] = ()
) -> Path:
    """Three jobs as a file, with some columns otherwise."""
    frame = pd.DataFrame({name: values for name, values in {**ROWS, **columns}.items() if name not in without})
    path = folder / f"jobs.{suffix}"
    if suffix == "csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return path


@pytest.mark.parametrize(
    ("gpus", "parts", "read"),
    [
        ([8, 2, 1], 1, [8, 2, 1]),
        ([0.5, 2, 1], 2, [0.5, 2, 1]),
        ([0.143, 1, 0.4286], 7, [1 / 7, 1, 3 / 7]),  # MIG slices as they are written down
        ([0.5, 0.2, 1], 10, [0.5, 0.2, 1]),
        ([0.37, 1, 4], 100, [0.37, 1, 4]),
    ],
)
def test_parts_of_gpus_are_multiples_of_the_largest_part_that_fits_all(
    gpus: list[float], parts: int, read: list[float], tmp_path: Path
) -> None:
    found = read_jobs(written(tmp_path, {"gpus": gpus})).table.gpus

    assert parts_of(found) == parts
    assert sorted(found.tolist()) == pytest.approx(sorted(read), abs=1e-12)


def test_a_column_of_users_is_said_to_be_unread_and_refused_by_nobody(tmp_path: Path) -> None:
    found = read_jobs(written(tmp_path, {"users": [3, 1, 2]}, without=("user",)))

    assert found.notes == ("nothing reads column users",)
