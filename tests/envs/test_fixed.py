"""A plain fixed cluster, held against an independent simulator."""

from dataclasses import replace as changed

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.fixed import FixedCluster, Runs, replay
from envs.workloads import KINDS, JobTable
from gyropilot.domain import WorkloadKind
from gyropilot.errors import SettingsError
from tests.envs.plain_fifo import PlainJob, start_times

EIGHTS = FixedCluster(nodes=2, gpus_per_node=8)


def test_a_job_starts_at_once_where_all_of_its_gpus_are_free() -> None:
    assert ran((0, 10, 8), (1, 10, 8)).start_s.tolist() == [0, 1]


def test_the_head_blocks_even_those_that_would_fit() -> None:
    assert ran((0, 100, 9), (1, 10, 8), (2, 10, 1)).start_s.tolist() == [0, 100, 100]


def test_who_ends_makes_room_for_who_starts_at_that_moment() -> None:
    runs = ran((0, 10, 16), (10, 10, 16))

    assert runs.start_s.tolist() == [0, 10]
    assert runs.end_s.tolist() == [10, 20]


def test_of_jobs_submitted_at_once_the_first_in_the_table_goes_first() -> None:
    assert ran((0, 10, 16), (0, 20, 16), (0, 30, 16)).start_s.tolist() == [0, 10, 30]


def test_a_small_job_goes_to_the_fullest_node_that_fits_it_so_that_a_whole_one_stays_empty() -> None:
    runs = ran((0, 100, 2), (1, 100, 4), (2, 100, 8))

    assert runs.start_s.tolist() == [0, 1, 2]
    assert [runs.nodes(job).tolist() for job in range(3)] == [[0], [0], [1]]


def test_of_equal_nodes_the_first_is_taken() -> None:
    runs = ran((0, 5, 8), (0, 100, 8), (10, 100, 3))

    assert runs.nodes(2).tolist() == [0]


def test_a_gang_takes_as_many_nodes_as_it_needs() -> None:
    assert ran((0, 100, 12)).nodes(0).tolist() == [0, 1]


def test_a_gang_of_several_nodes_waits_for_whole_empty_ones() -> None:
    assert ran((0, 50, 1), (1, 10, 12)).start_s.tolist() == [0, 50]


def test_what_a_gang_leaves_free_on_its_last_node_others_may_use() -> None:
    assert ran((0, 50, 12), (1, 10, 4)).start_s.tolist() == [0, 1]


def test_a_job_that_takes_no_time_leaves_at_once() -> None:
    assert ran((5, 0, 16), (5, 10, 16)).start_s.tolist() == [5, 5]


def test_a_job_larger_than_the_cluster_is_refused_before_anything_runs() -> None:
    with pytest.raises(SettingsError, match=r"1 job needs more than the cluster's 16 GPUs, the largest 17.*leave"):
        ran((0, 10, 1), (1, 10, 17))


def test_a_cluster_without_gpus_is_refused() -> None:
    with pytest.raises(SettingsError, match="at least one of both"):
        FixedCluster(0, 8)


def test_no_jobs_are_no_runs() -> None:
    assert len(ran().start_s) == 0


JOBS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 40), st.integers(1, 20)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(JOBS, st.integers(1, 5), st.sampled_from([1, 3, 4, 8]))
def test_any_jobs_start_when_an_independent_simulator_starts_them(
    jobs: list[tuple[int, int, int]], nodes: int, per_node: int
) -> None:
    fitting = sorted(job for job in jobs if job[2] <= nodes * per_node)

    found = replay(table(*fitting), FixedCluster(nodes, per_node))

    assert found.start_s.tolist() == start_times([PlainJob(*job) for job in fitting], nodes, per_node)


@settings(max_examples=100, deadline=None)
@given(JOBS, st.integers(1, 5))
def test_no_moment_uses_more_gpus_than_there_are_and_none_goes_back_before_it_was_submitted(
    jobs: list[tuple[int, int, int]], nodes: int
) -> None:
    fitting = sorted(job for job in jobs if job[2] <= nodes * 8)

    runs = replay(table(*fitting), FixedCluster(nodes, 8))

    for moment in runs.start_s:
        assert runs.jobs.gpus[(runs.start_s <= moment) & (moment < runs.end_s)].sum() <= nodes * 8
    assert (runs.wait_s >= 0).all()
    assert (np.diff(runs.start_s) >= 0).all()


def test_twenty_thousand_jobs_on_a_thousand_gpus_start_when_an_independent_simulator_starts_them() -> None:
    rng = np.random.default_rng(6)
    count = 20_000
    submit = np.sort(rng.uniform(0, 9 * 86_400.0, count))
    gpus = rng.choice([1, 2, 4, 8, 16, 32], count, p=[0.6, 0.12, 0.1, 0.1, 0.05, 0.03])
    duration = rng.lognormal(7.6, 1.9, count).clip(10, 5 * 86_400.0)
    jobs = list(zip(submit.tolist(), duration.tolist(), gpus.tolist(), strict=True))

    found = replay(table(*jobs), FixedCluster(nodes=125, gpus_per_node=8))

    assert found.start_s.tolist() == start_times([PlainJob(*job) for job in jobs], 125, 8)
    assert (found.wait_s > 0).mean() > 0.1  # or it would prove little


def test_who_starts_and_ends_in_one_moment_frees_nothing_for_others_of_that_moment() -> None:
    jobs = [(0.0, 0.0, 1)] * 5 + [(0.0, 1.0, 1), (0.0, 1.0, 3), (0.0, 1.0, 5)]

    found = replay(table(*jobs), FixedCluster(nodes=3, gpus_per_node=4))

    assert found.start_s.tolist() == start_times([PlainJob(*job) for job in jobs], 3, 4)
    assert found.start_s.tolist() == [0, 0, 0, 0, 0, 0, 0, 1]


def ran(*jobs: tuple[float, float, int]) -> Runs:
    """(submitted, lasts, GPUs) on two nodes of eight."""
    return replay(table(*jobs), EIGHTS)


def table(*jobs: tuple[float, float, int]) -> JobTable:
    """Jobs of one queue."""
    count = len(jobs)
    submit_s, duration_s, gpus = (np.array([job[i] for job in jobs]) for i in range(3))
    none = np.zeros(count, dtype=np.int64)
    return JobTable(
        queues=("research",),
        queue=none,
        submit_s=submit_s.astype(np.float64),
        duration_s=duration_s.astype(np.float64),
        gpus=gpus.astype(np.int64),
        priority=none,
        kind=np.full(count, KINDS.index(WorkloadKind.TRAINING)),
        user=none,
        checkpoint_s=np.full(count, np.inf),
    )


def test_parts_of_a_gpu_share_it() -> None:
    jobs = table((0, 100, 1), (0, 100, 1), (0, 100, 1))

    runs = replay(changed(jobs, gpus=np.array([0.5, 0.5, 0.5])), FixedCluster(1, 1))

    assert runs.start_s.tolist() == [0, 0, 100]
