"""Services: how many replicas the autoscaler wants, and the jobs that these are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from envs.loads import Load
from envs.services import Service, Wanted, replicas, wanted
from envs.workloads import KINDS
from gyropilot.domain import WorkloadKind
from tests.envs.plain_autoscaler import plainly_wanted

CHAT = Service("chat", "production", capacity_per_s=10.0, target_utilisation=0.5, max_replicas=9)
"""A replica should bear five requests a second."""

MINUTE = 4
"""Looks of the autoscaler."""


def by_minute(*per_s: float) -> list[int]:
    """Replicas that are wanted at the end of each minute of a load."""
    found: list[int] = wanted(CHAT, Load(60.0, np.array(per_s))).replicas[MINUTE - 1 :: MINUTE].tolist()
    return found


def test_as_many_replicas_are_wanted_as_bear_the_load_at_the_target() -> None:
    assert by_minute(4.0) == [1]
    assert by_minute(5.0) == [1]
    assert by_minute(12.0) == [3]


def test_between_the_least_and_the_most() -> None:
    assert by_minute(0.0, 1_000.0) == [1, 9]


def test_within_the_tolerance_nothing_changes() -> None:
    assert by_minute(20.0, 21.9, 22.1) == [4, 4, 5]


def test_it_grows_at_once_and_shrinks_after_five_minutes() -> None:
    assert by_minute(20.0, 40.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0) == [4, 8, 8, 8, 8, 8, 2, 2, 2]


def test_it_shrinks_to_the_largest_number_that_was_wanted_meanwhile() -> None:
    assert by_minute(40.0, 10.0, 25.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0) == [8, 8, 8, 8, 8, 5, 5, 2, 2]


def test_it_looks_every_fifteen_seconds_or_at_each_shorter_step() -> None:
    assert wanted(CHAT, Load(600.0, np.ones(2))).step_s == 15.0
    assert wanted(CHAT, Load(20.0, np.ones(2))).step_s == 10.0
    assert wanted(CHAT, Load(5.0, np.ones(2))).step_s == 5.0


def test_tokens_are_borne_as_requests_are() -> None:
    service = Service("chat", "q", capacity_per_s=2_000.0, concurrency=16, tokens_per_request=500.0)

    assert service.unit == "tokens"
    assert service.service_s == pytest.approx(4.0)  # sixteen at once, four a second
    assert wanted(service, Load(60.0, np.array([7_000.0]))).replicas[-1] == 5


def test_a_replica_is_a_job_for_as_long_as_it_is_wanted_and_the_newest_goes_first() -> None:
    jobs = replicas(CHAT, Wanted(60.0, np.array([1, 3, 3, 2, 3])), ("research", "production"))

    assert jobs.submit_s.tolist() == [0.0, 60.0, 60.0, 240.0]
    assert jobs.leaves_s.tolist() == [300.0, 240.0, 120.0, 60.0]
    assert (jobs.duration_s >= jobs.leaves_s).all()
    assert {KINDS[kind] for kind in jobs.kind} == {WorkloadKind.INFERENCE}
    assert {jobs.queues[queue] for queue in jobs.queue} == {"production"}
    assert set(jobs.priority.tolist()) == {1_000}


@given(st.lists(st.integers(0, 8), min_size=1, max_size=30))
def test_as_many_replicas_are_there_as_are_wanted(levels: list[int]) -> None:
    jobs = replicas(CHAT, Wanted(60.0, np.array(levels)), ("production",))

    at_s = 60.0 * np.arange(len(levels))[:, None] + 30.0
    there = (jobs.submit_s <= at_s) & (at_s < jobs.submit_s + jobs.leaves_s)
    assert there.sum(axis=1).tolist() == levels


@given(
    st.lists(st.floats(0, 60), min_size=1, max_size=60), st.integers(0, 3), st.sampled_from([0.0, 60.0, 300.0, 900.0])
)
def test_it_wants_what_the_rule_as_it_is_written_down_wants(per_s: list[float], least: int, window_s: float) -> None:
    service = replace(CHAT, min_replicas=least, stabilisation_s=window_s)

    found = wanted(service, Load(30.0, np.array(per_s)))

    assert found.replicas.tolist() == plainly_wanted(service, np.repeat(per_s, 2).tolist(), 15.0)


@given(st.lists(st.floats(0, 60), min_size=1, max_size=12))
def test_a_load_of_any_shape_is_borne_or_is_beyond_the_most(per_s: list[float]) -> None:
    found = wanted(CHAT, Load(60.0, np.array(per_s)))

    borne = 5.0 * (1.0 + CHAT.tolerance) * found.replicas
    assert ((borne >= np.repeat(per_s, MINUTE) - 1e-6) | (found.replicas == 9)).all()
