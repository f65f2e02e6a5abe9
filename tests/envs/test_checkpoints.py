"""What it takes jobs to write their checkpoints."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from envs.checkpoints import with_halts
from envs.job_file import JobFile
from envs.meeting import met
from envs.scenario import read_scenario
from envs.services import LOSES_S
from envs.workloads import KINDS, JobTable
from gyropilot import train_cli, tune_cli
from gyropilot.domain import WorkloadKind
from gyropilot.settings import PilotSettings
from tests.envs.test_replay import table

SCENARIO = """
flavors: {x: 8}
queues: {a: {shares: {x: {nominal: 8}}}, b: {shares: {x: {nominal: 0}}}}
checkpoint_halt_s: 60
"""


def jobs(*checkpoint_s: float) -> JobTable:
    """Of an hour's work each, submitted together."""
    return replace(table([("a", 0, 3_600, 4)] * len(checkpoint_s)), checkpoint_s=np.array(checkpoint_s))


def test_a_job_takes_longer_by_its_halts_and_so_does_each_interval() -> None:
    found = with_halts(jobs(900.0, 1_800.0), 60.0)

    assert found.duration_s.tolist() == [3_600.0 + 4 * 60.0, 3_600.0 + 2 * 60.0]
    assert found.checkpoint_s.tolist() == [960.0, 1_860.0]


def test_who_writes_no_checkpoints_does_not_halt() -> None:
    serving = replace(jobs(LOSES_S), kind=np.array([KINDS.index(WorkloadKind.INFERENCE)]))

    for mine in (jobs(np.inf), jobs(0.0), serving):
        found = with_halts(mine, 60.0)
        assert (found.duration_s.tolist(), found.checkpoint_s.tolist()) == ([3_600.0], mine.checkpoint_s.tolist())


def test_where_no_halt_is_told_jobs_are_the_same() -> None:
    mine = jobs(900.0)

    assert with_halts(mine, 0.0) is mine


def test_pilots_are_tuned_and_trained_on_jobs_that_halt_as_a_scenario_tells(tmp_path: Path) -> None:
    scenario, file = tmp_path / "cluster.yaml", tmp_path / "jobs.csv"
    scenario.write_text(SCENARIO)
    file.write_text("submit_s,duration_s,gpus,queue,checkpoint_s\n0,3600,4,a,900\n600,3600,4,a,\n")

    ground = tune_cli._ground(file, scenario, until=1.0)
    course = train_cli._course(file, scenario, PilotSettings(name="reactive"), "naive")

    for table_ in (ground.jobs, course.jobs):
        assert table_.duration_s.tolist() == [3_840.0, 3_600.0]


def test_a_scenario_tells_for_how_long_jobs_halt(tmp_path: Path) -> None:
    path = tmp_path / "cluster.yaml"
    path.write_text(SCENARIO)
    file = JobFile(jobs(900.0), np.array(["first"]), ())

    found = met(read_scenario(path), tmp_path, file, np.random.default_rng(0))

    assert found.file.table.duration_s.tolist() == [3_840.0]
