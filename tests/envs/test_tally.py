"""What comes of a replay in figures, where jobs were stopped and went on with other GPUs."""

from dataclasses import replace

import numpy as np
import pytest

from envs.replay import Cluster, Preemption, Share, replay
from envs.tally import HOUR_S, Ran, tally
from tests.envs.test_replay import table

ALONE = Cluster({"a": {"x": Share(8)}}, preemption={"a": Preemption("lower_priority")}, restart_s=0.0)


def test_of_a_job_that_was_stopped_all_times_count_for_which_it_ran_and_none_in_between() -> None:
    jobs = table([("a", 0, 3_600, 8), ("a", 1_800, 7_200, 8)], ("a",), [0, 5])

    ran = replay(jobs, ALONE, 1e9)
    found = tally(jobs, Ran.of(ran), 8)

    assert ran.start_s.tolist() == [0, 1_800]
    assert ran.end_s.tolist() == [12_600, 9_000]
    assert Ran.of(ran).gpu_hours.tolist() == [8 * 1.5, 8 * 2.0]
    assert found.used_gpu_hours == found.waits[0].gpu_hours == 8 * 3.5
    assert found.utilisation == 1.0
    assert found.lasted_s == 12_600


def test_each_time_counts_with_the_gpus_that_the_job_held_then() -> None:
    jobs = replace(table([("a", 0, 3_600, 8), ("a", 1_800, 3_600, 4)], ("a",), [0, 5]), least_gpus=np.array([4, 4]))

    ran = replay(jobs, ALONE, 1e9)

    assert [(int(job), int(gpus)) for job, gpus in zip(ran.spells.job, ran.spells.gpus, strict=True)] == [
        (0, 8),
        (0, 4),
        (1, 4),
    ]
    assert Ran.of(ran).gpu_hours.tolist() == [8 * 0.5 + 4 * 2.0, 4.0]


def test_use_is_what_ran_at_every_moment() -> None:
    rng = np.random.default_rng(4)
    rows = [("a", float(s), float(rng.integers(60, 900)), int(rng.integers(1, 9))) for s in range(0, 4_000, 100)]
    jobs = table(rows, ("a",), rng.integers(0, 3, len(rows)).tolist())

    ran = replay(jobs, ALONE, 1e9)

    hours = ran.running_gpus(np.arange(0.0, float(ran.spells.end_s.max()))).sum() / HOUR_S
    assert Ran.of(ran).gpu_hours.sum() == pytest.approx(hours, rel=1e-3)
    assert len(ran.spells.job) > len(jobs)  # or it would prove little
