"""The fast replay with jobs that stop others against the plain one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.replay import FAIR, Cluster, Preemption, Reclaim, Replay, Share, Shares, Within, replay
from envs.terms import PoolTerms, Speed
from envs.world import Weather, World
from gyropilot.errors import SettingsError
from tests.envs.plain_preemption import plain_replay
from tests.envs.test_quotas import KINDS_OF, LEAVES, SHARES, SPEEDS, alike, elastic, leaving
from tests.envs.test_replay import Job, table

QUEUES = ("a", "b", "c")
WITHIN: Sequence[Within] = get_args(Within)
RECLAIM: Sequence[Reclaim] = get_args(Reclaim)
LIMITS = st.none() | st.integers(0, 12)
JOBS = st.lists(
    st.tuples(st.sampled_from(QUEUES), st.integers(0, 40), st.integers(1, 30), st.integers(1, 12)), max_size=30
)


@st.composite
def preemptions(draw: st.DrawFn, fair: bool) -> Preemption:
    within = draw(st.sampled_from(WITHIN))
    reclaim = draw(st.sampled_from(RECLAIM))
    if fair or reclaim == "never" or draw(st.booleans()):
        return Preemption(within, reclaim)
    return Preemption(within, reclaim, "lower_priority", draw(st.none() | st.integers(-1, 3)))


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Three queues, two flavors in any order, some in one cohort, some without nodes for all that is promised."""
    shares: Shares = {
        queue: {
            flavor: Share(draw(st.integers(0, 16)), draw(LIMITS), draw(LIMITS))
            for flavor in draw(st.permutations(["x", "y"]))[: draw(st.integers(0, 2))]
        }
        for queue in QUEUES
    }
    cohorts = {queue: draw(st.sampled_from(["one", "one", "two"])) for queue in QUEUES if draw(st.integers(0, 3))}
    installed = {flavor: draw(st.integers(0, 24)) for flavor in ("x", "y") if draw(st.integers(0, 3)) == 0}
    strict = frozenset(queue for queue in QUEUES if draw(st.integers(0, 3)) == 0)
    fair = draw(st.sampled_from([(), FAIR, FAIR[:1], FAIR[1:]]))
    policies = {queue: draw(preemptions(bool(fair))) for queue in QUEUES}
    weights = {queue: draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])) for queue in QUEUES if draw(st.booleans())}
    return Cluster(
        shares,
        cohorts,
        installed,
        strict,
        draw(st.integers(0, 4)) > 0,
        policies,
        fair,
        weights,
        restart_s=draw(st.sampled_from([0.0, 2.0])),
    )


@settings(max_examples=600, deadline=None)
@given(
    JOBS,
    clusters(),
    st.lists(st.integers(0, 3), min_size=30, max_size=30),
    st.sampled_from([np.inf, 4.0]),
    st.sampled_from([20.0, 1e9]),
    LEAVES,
)
def test_any_jobs_run_when_and_where_the_plain_rules_say(
    jobs: list[Job], cluster: Cluster, priority: list[int], checkpoint_s: float, until_s: float, leaves_s: list[float]
) -> None:
    jobs = sorted(jobs, key=lambda job: job[1])
    submitted = leaving(table(jobs, QUEUES, priority[: len(jobs)]), leaves_s)
    submitted.checkpoint_s[:] = checkpoint_s
    submitted.restart_s[:] = np.where(submitted.priority == 3, 5.0, np.nan)

    fast, plain = replay(submitted, cluster, until_s), plain_replay(submitted, cluster, until_s)

    assert spells(fast) == spells(plain)
    alike(fast, plain)


@settings(max_examples=500, deadline=None)
@given(
    JOBS,
    clusters(),
    st.lists(st.integers(0, 3), min_size=30, max_size=30),
    SHARES,
    KINDS_OF,
    SPEEDS,
    st.sampled_from([(np.inf, 1.0), (4.0, 0.6)]),
)
def test_any_elastic_jobs_stop_and_start_as_the_plain_rules_say(
    jobs: list[Job],
    cluster: Cluster,
    priority: list[int],
    share: list[float],
    kind: list[int],
    speed: Mapping[str, Speed],
    runs: tuple[float, float],
) -> None:
    jobs = sorted(jobs, key=lambda job: job[1])
    submitted = elastic(table(jobs, QUEUES, priority[: len(jobs)]), share, kind, runs[1])
    submitted.checkpoint_s[:] = runs[0]
    cluster = replace(cluster, speed=speed)

    fast, plain = replay(submitted, cluster, 200.0), plain_replay(submitted, cluster, 200.0)

    assert spells(fast) == spells(plain)
    alike(fast, plain)
    ran = fast.spells
    assert (ran.gpus >= submitted.least_gpus[ran.job]).all()
    assert (ran.gpus <= submitted.gpus[ran.job]).all()


def spells(ran: Replay) -> list[tuple[int, int, int, float, float]]:
    every = ran.spells
    columns = (each.tolist() for each in (every.job, every.flavor, every.gpus, every.start_s, every.end_s))
    return sorted(zip(*columns, strict=True), key=lambda spell: (spell[3], spell[0]))


def ran(jobs: Sequence[Job], shares: Shares, priority: list[int], **rules: Any) -> list[tuple[int, float, float]]:
    """Who ran, from when until when; queues of one cohort."""
    cluster = Cluster(shares, dict.fromkeys(shares, "all"), restart_s=0.0, **rules)
    return [
        (job, start_s, end_s)
        for job, _, _, start_s, end_s in spells(replay(table(jobs, QUEUES, priority), cluster, 1e9))
    ]


ALONE: Shares = {"a": {"x": Share(8)}}
BOTH: Shares = {"a": {"x": Share(8)}, "b": {"x": Share(8)}}


def test_nobody_stops_unless_a_policy_lets_others() -> None:
    assert ran([("a", 0, 10, 8), ("a", 2, 10, 8)], ALONE, [0, 5]) == [(0, 0, 10), (1, 10, 20)]


def test_who_has_less_priority_makes_way_and_starts_anew() -> None:
    jobs = [("a", 0, 10, 8), ("a", 2, 10, 8)]

    assert ran(jobs, ALONE, [0, 5], preemption={"a": Preemption("lower_priority")}) == [
        (0, 0, 2),
        (1, 2, 12),
        (0, 12, 22),
    ]


def test_the_one_that_started_last_makes_way_and_no_more_than_are_needed() -> None:
    jobs = [("a", 0, 50, 2), ("a", 1, 50, 4), ("a", 2, 50, 2), ("a", 3, 10, 4)]

    assert ran(jobs, ALONE, [0, 0, 0, 5], preemption={"a": Preemption("lower_priority")}) == [
        (0, 0, 50),
        (1, 1, 3),
        (2, 2, 52),
        (3, 3, 13),
        (1, 13, 63),
    ]


def test_a_queue_takes_back_its_quota_from_one_that_borrows_whatever_the_priority() -> None:
    jobs = [("b", 0, 50, 8), ("b", 1, 50, 8), ("a", 2, 10, 8)]

    assert ran(jobs, BOTH, [5, 5, 0], preemption={"a": Preemption(reclaim="any")}) == [
        (0, 0, 50),
        (1, 1, 2),
        (2, 2, 12),
        (1, 12, 62),
    ]


def test_a_queue_within_its_quota_keeps_what_it_has() -> None:
    jobs = [("b", 0, 50, 8), ("a", 1, 10, 8), ("a", 2, 10, 8)]

    assert ran(jobs, BOTH, [0, 5, 5], preemption={"a": Preemption(reclaim="any")}) == [
        (0, 0, 50),
        (1, 1, 11),
        (2, 11, 21),
    ]


def test_stops_others_to_borrow_only_up_to_the_priority_that_is_told() -> None:
    jobs = [("b", 0, 50, 8), ("b", 1, 50, 4), ("a", 2, 10, 8)]
    shares: Shares = {"a": {"x": Share(6)}, "b": {"x": Share(6)}}

    may = ran(jobs, shares, [0, 1, 5], preemption={"a": Preemption("never", "lower_priority", "lower_priority", 1)})
    may_not = ran(jobs, shares, [2, 2, 5], preemption={"a": Preemption("never", "lower_priority", "lower_priority", 1)})

    assert (2, 2, 12) in may
    assert (2, 2, 12) not in may_not


def test_with_fair_sharing_the_queue_that_borrows_least_by_its_weight_goes_first() -> None:
    jobs = [("c", 0, 10, 9), ("a", 1, 10, 6), ("b", 2, 10, 6)]
    shares: Shares = {"a": {"x": Share(0)}, "b": {"x": Share(0)}, "c": {"x": Share(9)}}

    apart = ran(jobs, shares, [0, 0, 0])
    fair = ran(jobs, shares, [0, 0, 0], fair_sharing=FAIR, weights={"b": 4.0})

    assert apart == [(0, 0, 10), (1, 10, 20), (2, 20, 30)]
    assert fair == [(0, 0, 10), (2, 10, 20), (1, 20, 30)]


def test_with_fair_sharing_shares_come_closer_to_each_other() -> None:
    jobs = [("a", 0, 50, 3), ("a", 1, 50, 3), ("a", 2, 50, 3), ("b", 3, 10, 3)]
    shares: Shares = {"a": {"x": Share(0)}, "b": {"x": Share(0)}, "c": {"x": Share(9)}}
    policies = {"a": Preemption(reclaim="any"), "b": Preemption(reclaim="any")}

    assert ran(jobs, shares, [0] * 4, fair_sharing=FAIR, preemption=policies)[3] == (3, 3, 13)
    assert ran(jobs, shares, [0] * 4, preemption=policies)[3] == (3, 50, 60)


def test_what_was_done_since_the_last_checkpoint_is_lost_and_a_restart_takes_time() -> None:
    jobs = table([("a", 0, 10, 8), ("a", 7, 1, 8)], QUEUES, [0, 5])
    jobs.checkpoint_s[:] = 3.0
    cluster = Cluster(ALONE, preemption={"a": Preemption("lower_priority")}, restart_s=2.0)

    assert replay(jobs, cluster, 1e9).end_s.tolist() == [8 + 2 + 10 - 6, 8]


def test_equal_jobs_that_came_together_do_not_stop_each_other() -> None:
    jobs = [("a", 0, 10, 8), ("a", 0, 10, 8)]

    assert len(ran(jobs, ALONE, [0, 0], preemption={"a": Preemption("lower_or_newer_equal_priority")})) == 2


def test_levels_count_each_time_that_a_job_ran() -> None:
    jobs = table([("a", 0, 10, 8), ("a", 2, 10, 4)], QUEUES, [0, 5])
    done = replay(jobs, Cluster(ALONE, preemption={"a": Preemption("lower_priority")}, restart_s=0.0), 1e9)
    at_s = np.array([1.0, 2.0, 11.9, 12.0, 21.9, 22.0])

    assert done.running_gpus(at_s)[0, 0].tolist() == [8, 4, 4, 8, 8, 0]
    assert done.pending_gpus(at_s)[0].tolist() == [0, 8, 8, 0, 0, 0]
    assert done.running_at(3.0).tolist() == [1]
    assert done.waiting_at(3.0).tolist() == [0]


def test_in_a_world_jobs_stop_for_others_as_in_the_replay_and_lost_work_is_told() -> None:
    jobs = table([("a", 0, 3_600, 8), ("a", 600, 600, 8)], QUEUES, [0, 5])
    policies = {"a": Preemption("lower_priority")}
    world = World((PoolTerms("x", 1, 1, 1),), ALONE, preemption=policies)
    run = world.begin(jobs, Weather.calm(world.pools, 24))

    lost = sum(float(run.step(np.array([[1]])).lost[0]) for _ in range(24))

    cluster = Cluster(ALONE, installed={"x": 8}, preemption=policies, restart_s=world.restart_s)
    assert run.sites.state.runs.end_s[0].tolist() == replay(jobs, cluster, 1e9).end_s.tolist() == [5_100, 1_200]
    assert lost == pytest.approx(8 * (600 + world.restart_s) / 3_600)


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"fair_sharing": ("less_than_initial_share", "less_than_initial_share")}, "or one of them"),
        ({"weights": {"a": 1e-9}}, "queue a has weight 1e-09"),
        (
            {"fair_sharing": FAIR, "preemption": {"a": Preemption("never", "any", "lower_priority")}},
            "fair sharing leaves out",
        ),
    ],
)
def test_rules_that_are_not_simulated_are_refused(rules: dict[str, Any], why: str) -> None:
    with pytest.raises(SettingsError, match=why):
        Cluster(ALONE, **rules)


def test_a_queue_that_reclaims_nothing_cannot_stop_others_to_borrow() -> None:
    with pytest.raises(SettingsError, match="has to reclaim"):
        Preemption(borrow="lower_priority")
    with pytest.raises(SettingsError, match="borrow_up_to is for"):
        Preemption(borrow_up_to=5)
