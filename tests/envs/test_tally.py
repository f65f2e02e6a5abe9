"""What comes of a replay in figures, where jobs were stopped and went on with other GPUs."""

from dataclasses import replace

import numpy as np
import pytest

from envs.replay import Cluster, Preemption, Share, replay
from envs.tally import HOUR_S, Ran, tally, waits_of
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


HOURLY = table([("a", 3_600 * nth, 60, 1) for nth in range(11)], ("a",), [0] * 11)
"""A job at each full hour."""


def test_who_never_started_has_waited_from_its_submission_until_all_was_over() -> None:
    start_s = np.full(11, np.inf)
    start_s[:5] = HOURLY.submit_s[:5]

    everybody = waits_of(HOURLY, start_s, start_s + 60, over_s=20 * HOUR_S)[0]

    # Six wait still: those that came at 5, 6, ... 10 h, since 15, 14, ... 10 hours.
    assert (everybody.started, everybody.never_started) == (5, 6)
    assert (everybody.p50_s, everybody.p50_is_least) == (10 * HOUR_S, True)
    assert (everybody.p95_s, everybody.p95_is_least) == (14.5 * HOUR_S, True)
    assert (everybody.longest_s, everybody.others_are_least) == (15 * HOUR_S, True)
    assert everybody.mean_s == pytest.approx(75 / 11 * HOUR_S)


def test_a_quantile_is_no_lower_bound_where_those_that_never_started_cannot_move_it() -> None:
    start_s = HOURLY.submit_s + 600.0 * np.arange(11)
    start_s[0] = np.inf  # the eleventh in the order of waits, and it would be wherever it waited on

    everybody = waits_of(HOURLY, start_s, start_s + 60, over_s=100 * HOUR_S)[0]

    assert (everybody.p50_s, everybody.p50_is_least) == (3_600.0, False)
    assert everybody.p95_is_least


def test_a_wait_so_far_below_a_quantile_leaves_that_a_lower_bound() -> None:
    start_s = HOURLY.submit_s + 2 * HOUR_S

    everybody = waits_of(HOURLY, start_s, start_s + 60, over_s=10.5 * HOUR_S)[0]

    assert everybody.never_started == 2  # came last, and have waited less than all others yet
    assert (everybody.p50_s, everybody.p50_is_least) == (2 * HOUR_S, False)
    assert (everybody.p95_s, everybody.p95_is_least) == (2 * HOUR_S, True)


def test_without_an_end_that_is_told_all_is_over_when_the_last_job_came_began_or_ended() -> None:
    start_s = np.array([np.inf, *HOURLY.submit_s[1:]])

    everybody = waits_of(HOURLY, start_s, start_s + 60)[0]

    assert everybody.longest_s == 10 * HOUR_S + 60


def test_of_jobs_that_all_left_before_they_started_no_wait_is_known() -> None:
    start_s = np.full(11, np.inf)

    everybody = waits_of(HOURLY, start_s, HOURLY.submit_s + 60)[0]

    assert (everybody.waited, everybody.left_waiting, everybody.never_started) == (0, 11, 0)
    assert not everybody.p95_is_least
