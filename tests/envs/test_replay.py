from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.replay import NOWHERE, Cluster, Replay, Share, Shares, replay
from envs.tally import waits_of
from envs.workloads import DAY_S, Floats, JobTable, ServiceProfile, TrainingProfile, generate

INF = float("inf")
Job = tuple[str, float, float, int]  # queue, submitted, duration, GPUs


def table(jobs: Sequence[Job], queues: Sequence[str] = ("a", "b"), priority: Sequence[int] = ()) -> JobTable:
    count = len(jobs)
    return JobTable(
        queues=tuple(queues),
        queue=np.array([queues.index(job[0]) for job in jobs], np.int64),
        submit_s=np.array([job[1] for job in jobs], np.float64),
        duration_s=np.array([job[2] for job in jobs], np.float64),
        gpus=np.array([job[3] for job in jobs], np.int64),
        priority=np.array(priority or [0] * count, np.int64),
        kind=np.zeros(count, np.int64),
        user=np.zeros(count, np.int64),
        checkpoint_s=np.full(count, np.inf),
    )


def cluster(shares: Shares, **installed: int) -> Cluster:
    """All queues in one cohort."""
    return Cluster(shares, dict.fromkeys(shares, "all"), installed)


def starts(jobs: Sequence[Job], shares: Shares, priority: Sequence[int] = ()) -> list[float]:
    return list(replay(table(jobs, priority=priority), cluster(shares), 1000.0).start_s)


def test_first_come_first_served_within_the_quota() -> None:
    jobs = [("a", 0, 10, 4), ("a", 1, 10, 4), ("a", 2, 10, 4)]

    assert starts(jobs, {"a": {"x": Share(8)}}) == [0, 1, 10]


def test_a_gang_runs_whole_or_waits_while_smaller_jobs_pass_it() -> None:
    jobs = [("a", 0, 10, 5), ("a", 1, 10, 8), ("a", 2, 5, 3)]

    assert starts(jobs, {"a": {"x": Share(8)}}) == [0, 10, 2]


def test_in_a_strict_queue_the_head_blocks_those_behind_it_and_no_other_queue() -> None:
    jobs = [("a", 0, 10, 5), ("a", 1, 10, 8), ("a", 2, 5, 3), ("b", 3, 5, 3)]
    shares = {"a": {"x": Share(8)}, "b": {"x": Share(3, lending_limit=0)}}
    strict = Cluster(shares, {"a": "all", "b": "all"}, strict=frozenset({"a"}))

    assert replay(table(jobs), strict, 1000.0).start_s.tolist() == [0, 10, 20, 3]


def test_nobody_borrows_what_the_head_of_a_strict_queue_has_a_right_to() -> None:
    jobs = [("a", 0, 10, 5), ("a", 1, 10, 8), ("b", 3, 5, 3)]
    shares = {"a": {"x": Share(8)}, "b": {"x": Share(0)}}

    best_effort = Cluster(shares, {"a": "all", "b": "all"})
    strict = Cluster(shares, {"a": "all", "b": "all"}, strict=frozenset({"a"}))

    assert replay(table(jobs), best_effort, 1000.0).start_s.tolist() == [0, 10, 3]
    assert replay(table(jobs), strict, 1000.0).start_s.tolist() == [0, 10, 20]


def test_in_a_strict_queue_who_has_priority_steps_before_a_head_that_blocks() -> None:
    jobs = [("a", 0, 10, 5), ("a", 1, 10, 8), ("a", 2, 5, 3)]
    strict = Cluster({"a": {"x": Share(8)}}, strict=frozenset({"a"}))

    assert replay(table(jobs, priority=[0, 0, 1]), strict, 1000.0).start_s.tolist() == [0, 10, 2]


def test_a_gang_larger_than_all_that_it_may_use_never_starts() -> None:
    jobs = [("a", 0, 10, 9), ("a", 1, 10, 8)]

    assert starts(jobs, {"a": {"x": Share(8)}}) == [INF, 1]


def test_higher_priority_goes_first_among_those_that_wait() -> None:
    jobs = [("a", 0, 10, 8), ("a", 1, 10, 8), ("a", 2, 10, 8)]

    assert starts(jobs, {"a": {"x": Share(8)}}, priority=[0, 0, 5]) == [0, 20, 10]


def test_borrows_what_others_leave_unused() -> None:
    jobs = [("a", 0, 10, 8), ("a", 0, 10, 8)]

    assert starts(jobs, {"a": {"x": Share(8)}, "b": {"x": Share(8)}}) == [0, 0]


def test_lends_within_a_cohort_only() -> None:
    jobs = table([("a", 0, 10, 8), ("a", 0, 10, 8)])
    shares = {"a": {"x": Share(8)}, "b": {"x": Share(8)}}

    apart = replay(jobs, Cluster(shares, {"a": "labs", "b": "products"}), 100.0)
    alone = replay(jobs, Cluster(shares), 100.0)

    assert apart.start_s.tolist() == alone.start_s.tolist() == [0, 10]


def test_borrows_no_more_than_its_limit() -> None:
    jobs = [("a", 0, 10, 8), ("a", 0, 10, 4), ("a", 0, 10, 2)]

    assert starts(jobs, {"a": {"x": Share(8, borrowing_limit=4)}, "b": {"x": Share(8)}}) == [0, 0, 10]


def test_a_queue_keeps_what_it_does_not_lend() -> None:
    jobs = [("a", 0, 10, 8), ("a", 0, 10, 4), ("b", 1, 10, 6)]

    assert starts(jobs, {"a": {"x": Share(8)}, "b": {"x": Share(8, lending_limit=2)}}) == [0, 10, 1]


def test_those_that_need_not_borrow_go_before_those_that_must() -> None:
    jobs = [("a", 0, 10, 8), ("b", 0, 10, 8), ("a", 1, 10, 4), ("b", 2, 10, 8)]

    assert starts(jobs, {"a": {"x": Share(8)}, "b": {"x": Share(8)}}) == [0, 0, 10, 10]


def test_takes_the_first_flavor_in_which_all_of_it_fits() -> None:
    jobs = table([("a", 0, 10, 6), ("a", 0, 10, 6), ("a", 0, 10, 2)])

    done = replay(jobs, cluster({"a": {"x": Share(8), "y": Share(8)}}), 100.0)

    assert [done.flavors[f] for f in done.flavor] == ["x", "y", "x"]


def test_starts_nothing_for_which_no_node_is_there() -> None:
    jobs = table([("a", 0, 10, 8), ("a", 1, 10, 8)])

    done = replay(jobs, cluster({"a": {"x": Share(32)}}, x=8), 100.0)

    assert done.start_s.tolist() == [0, 10]


def test_a_queue_without_shares_starts_nothing() -> None:
    done = replay(table([("b", 0, 10, 1)]), cluster({"a": {"x": Share(8)}}), 100.0)

    assert done.flavor.tolist() == [NOWHERE]


def test_levels_count_from_the_start_until_just_before_the_end() -> None:
    done = replay(table([("a", 5, 10, 8), ("a", 7, 10, 4)]), cluster({"a": {"x": Share(8)}}), 100.0)
    at_s = np.array([4.0, 5.0, 7.0, 14.9, 15.0, 25.0])

    assert done.running_gpus(at_s)[0, 0].tolist() == [0, 8, 8, 8, 4, 0]
    assert done.pending_gpus(at_s)[0].tolist() == [0, 0, 4, 4, 0, 0]


def test_tells_who_runs_and_who_waits_at_a_moment() -> None:
    done = replay(table([("a", 0, 10, 8), ("a", 1, 10, 8), ("a", 2, 10, 8)]), cluster({"a": {"x": Share(8)}}), 12.0)

    assert done.running_at(12.0).tolist() == [1]
    assert done.waiting_at(12.0).tolist() == [2]


def test_who_leaves_is_gone_running_or_waiting() -> None:
    jobs = replace(table([("a", 0, 10, 8), ("a", 1, 10, 8), ("a", 2, 10, 8)]), leaves_s=np.array([4.0, 2.0, np.inf]))

    done = replay(jobs, cluster({"a": {"x": Share(8)}}), 100.0)

    assert done.start_s.tolist() == [0, INF, 4]
    assert done.end_s.tolist() == [4, 3, 14]
    assert jobs.ran_s(done.start_s).tolist() == [4, 0, 10]
    assert done.pending_gpus(np.array([2.5, 3.0, 3.5, 4.0]))[0].tolist() == [16, 8, 8, 0]
    assert done.waiting_at(2.5).tolist() == [1, 2]


def test_who_had_ended_by_its_deadline_was_in_time_and_who_left_undone_was_not() -> None:
    jobs = table([("a", 0, 10, 8), ("a", 1, 10, 8), ("a", 2, 10, 8), ("b", 3, 10, 8)])
    jobs = replace(jobs, deadline_s=np.array([10.0, 15.0, 15.0, INF]), leaves_s=np.array([INF, INF, 5.0, INF]))
    starts_s, ends_s = np.array([0.0, 10.0, 3.0, 3.0]), np.array([10.0, 20.0, 7.0, 13.0])

    everybody, a, b = waits_of(jobs, starts_s, ends_s)
    soon = waits_of(jobs, starts_s, ends_s, over_s=12.0)[0]

    assert (everybody.due, everybody.in_time) == (a.due, a.in_time) == (3, 1)
    assert (b.due, b.in_time_share) == (0, None)
    assert (soon.due, soon.in_time_share) == (3, 1 / 3)  # who had not ended when nobody looked any more was late


def test_who_left_before_it_started_is_not_among_those_that_never_did() -> None:
    jobs = replace(table([("a", 0, 10, 8), ("a", 1, 10, 8), ("b", 2, 10, 9)]), leaves_s=np.array([INF, 2.0, INF]))

    done = replay(jobs, cluster({"a": {"x": Share(8)}, "b": {"x": Share(0)}}), INF)

    everybody, a, b = waits_of(jobs, done.start_s, done.end_s)
    assert (everybody.started, everybody.left_waiting, everybody.never_started) == (1, 1, 1)
    assert (a.started, a.left_waiting, a.never_started) == (1, 1, 0)
    assert (b.started, b.left_waiting, b.never_started) == (0, 0, 1)


def test_nobody_leaves_before_he_comes() -> None:
    jobs = replace(table([("a", 0, 10, 8)]), leaves_s=np.array([-1.0]))

    with pytest.raises(ValueError, match="leaves 1 s before it comes"):
        replay(jobs, cluster({"a": {"x": Share(8)}}), 100.0)


SHARES = st.builds(
    Share, st.integers(0, 12), st.one_of(st.none(), st.integers(0, 8)), st.one_of(st.none(), st.integers(0, 8))
)
JOBS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.integers(1, 20), st.integers(1, 12)), max_size=25
)


@settings(max_examples=150, deadline=None)
@given(JOBS, SHARES, SHARES)
def test_no_quota_is_broken_and_nothing_that_fits_is_left_waiting(jobs: list[Job], a: Share, b: Share) -> None:
    shares = {"a": {"x": a}, "b": {"x": b}}
    done = replay(table(sorted(jobs, key=lambda job: job[1])), cluster(shares), 200.0)

    moments = np.unique(np.concatenate([done.jobs.submit_s, done.end_s[np.isfinite(done.end_s)], [0.0]]))
    for moment in moments[moments <= 200.0]:
        used = done.running_gpus(np.array([moment]))[:, 0, 0]
        assert used.sum() <= a.nominal + b.nominal
        for queue, share in enumerate((a, b)):
            room = _room(queue, (a, b), used)
            assert room >= 0
            assert share.borrowing_limit is None or used[queue] <= share.nominal + share.borrowing_limit
            waiting = [row for row in done.waiting_at(moment) if done.jobs.queue[row] == queue]
            assert all(done.jobs.gpus[row] > room for row in waiting)


def _room(queue: int, shares: tuple[Share, Share], used: Floats) -> float:
    """What is left to a queue, reckoned from the other side: all quota, less all that is used or kept by others."""
    own, other = shares[queue], shares[1 - queue]
    mine, theirs = float(used[queue]), float(used[1 - queue])
    left = own.nominal + other.nominal - mine - max(theirs, other.kept)
    if own.borrowing_limit is not None:
        left = min(left, own.nominal + own.borrowing_limit - mine)
    return left


def test_fourteen_days_of_a_busy_cluster_conserve_gpu_seconds() -> None:
    jobs = generate((TrainingProfile("a", 100), ServiceProfile("b", 6)), 14, np.random.default_rng(3))
    done: Replay = replay(jobs, cluster({"a": {"x": Share(64)}, "b": {"x": Share(16)}}), 14 * DAY_S)

    ran_s = np.clip(np.minimum(done.end_s, 14 * DAY_S) - done.start_s, 0, None)
    grid_s = np.arange(0, 14 * DAY_S, 60.0)
    assert done.running_gpus(grid_s).sum() * 60 == pytest.approx((ran_s * jobs.gpus).sum(), rel=0.002)
    assert ((done.start_s >= jobs.submit_s) | np.isinf(done.start_s)).all()


def test_who_comes_as_another_ends_is_looked_at_together_with_those_who_wait() -> None:
    jobs = [("a", 1, 1, 5), ("b", 1, 1, 8), ("b", 2, 3, 5), ("a", 2, 1, 4)]
    shares = {"b": {"x": Share(6)}, "a": {"x": Share(7)}}

    assert list(replay(table(jobs), cluster(shares, x=6), 1000.0).start_s) == [1, INF, 3, 2]


def test_flavors_stand_in_the_order_of_nodes_and_those_nobody_may_use_are_there_too() -> None:
    told = Cluster({"a": {"y": Share(4)}}, installed={"x": 4, "y": 4, "z": 4})

    assert told.flavors == ("x", "y", "z")
