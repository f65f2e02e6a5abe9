"""Whom the simulated cluster stops is whom the preemptor would choose."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.preemptor import victims as chosen
from envs.compiled.victims import victims
from gyropilot.domain import Line, Workload, WorkloadKind
from tests import fakes

LINE = Line("research", fakes.GPU)

jobs = st.lists(
    st.tuples(
        st.sampled_from((1, 2, 3, 4, 8, 16)),
        st.sampled_from((0, 10, 40, 90, 360)),  # minutes since the last checkpoint
        st.sampled_from((0, 1, 2)),
        st.booleans(),
    ),
    max_size=12,
)


def workloads(told: list[tuple[int, int, int, bool]]) -> list[Workload]:
    """In order of GPUs, then of name."""
    return [
        replace(
            fakes.workload(f"job-{nth:03d}", gpus=gpus, priority=priority),
            started=fakes.NOW - timedelta(hours=8),
            last_checkpoint=fakes.NOW - timedelta(minutes=minutes),
            kind=WorkloadKind.INFERENCE if serves else WorkloadKind.TRAINING,
        )
        for nth, (gpus, minutes, priority, serves) in enumerate(sorted(told))
    ]


@given(jobs, st.integers(0, 60))
@settings(max_examples=300, deadline=None)
def test_the_simulated_cluster_and_the_preemptor_stop_the_same_jobs(
    told: list[tuple[int, int, int, bool]], need: int
) -> None:
    running = workloads(told)
    state = fakes.state([fakes.pool()], [fakes.queue()], running)
    ranks = [(w.kind is WorkloadKind.INFERENCE) * 10 + w.priority for w in running]

    ours = victims(
        need,
        np.array([w.gpus for w in running], dtype=np.int64),
        np.array([w.lost_gpu_hours(fakes.NOW) for w in running]),
        np.array(ranks, dtype=np.int64),
    )

    theirs = {w.key for w in chosen(state, LINE, need)}
    assert {w.key for w, stopped in zip(running, ours, strict=True) if stopped} == theirs


def test_all_make_way_where_all_do_not_suffice() -> None:
    stopped = victims(9, np.array([2, 4]), np.array([1.0, 5.0]), np.array([0, 0]))

    assert stopped.tolist() == [True, True]


def test_nobody_of_a_higher_rank_makes_way_while_lower_ones_suffice() -> None:
    stopped = victims(4, np.array([1, 4, 4]), np.array([0.0, 9.0, 0.1]), np.array([0, 0, 1]))

    assert stopped.tolist() == [False, True, False]


def test_who_became_superfluous_is_spared() -> None:
    stopped = victims(8, np.array([2, 8]), np.array([1.0, 1.0]), np.array([0, 1]))

    assert stopped.tolist() == [False, True]
